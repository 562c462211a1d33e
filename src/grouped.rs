//! Asking the database in groups: one look, or one commit, for all that came while the one before was under way.
//!
//! Who comes alone waits for nobody. What comes meanwhile goes together, so groups grow with the load and a
//! flush of the disk is shared. A group that the database refuses is tried half by half: what cannot be done
//! fails alone.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tollkeeper_jobs::mask::mask;

use crate::{clock::Clock, db::Kept};

/// How many may wait for their turn, and as many before them. More are told to come back: memory stays bounded.
const WAITING_MAX: usize = 4096;
/// So many are worth a group of their own while another one is under way.
const COMPANY: usize = 16;
/// What one group takes; one that is asked for may weigh as much as the thousand uses it reports.
const WEIGHT_MAX: usize = 1000;

/// It is not known to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("too many requests are waiting")]
    Busy,
    #[error("the database took too long")]
    TooSlow,
    #[error("the database did not do it")]
    Refused,
}

/// What is done for a group.
pub trait Together: Send + Sync + 'static {
    type Asked: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// In a log, what is done.
    const NAME: &'static str;

    /// So many groups are carried out at once. What waits for the disk has two: meanwhile another one is carried out.
    /// What only looks has one: what comes while it does goes together.
    const AT_ONCE: usize;

    /// How much of a group it takes.
    fn weight(asked: &Self::Asked) -> usize;

    /// The answers, in the order of what was asked, after the commit.
    fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&Self::Asked],
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Answer>>> + Send;
}

/// The way in, for any number of callers.
pub struct Grouped<T: Together> {
    waiting: mpsc::Sender<Arrival<T>>,
    deadline: Duration,
}

impl<T: Together> Clone for Grouped<T> {
    fn clone(&self) -> Self {
        Grouped {
            waiting: self.waiting.clone(),
            deadline: self.deadline,
        }
    }
}

struct Waiting<Asked, Answer> {
    asked: Asked,
    /// Who asked waits so long.
    until: Instant,
    answer: oneshot::Sender<Result<Answer, Failed>>,
}

impl<T: Together> Grouped<T> {
    /// Start the task behind it, which ends when every copy of this is dropped and everything is answered. An
    /// answer that takes longer than `deadline` is given up on.
    pub fn start(work: T, pool: PgPool, deadline: Duration) -> Grouped<T> {
        let (waiting, arrivals) = mpsc::channel(WAITING_MAX);
        let clerk = Arc::new(Clerk { work, pool });
        tokio::spawn(clerk.run(arrivals));
        Grouped { waiting, deadline }
    }

    /// The answer, once what it takes is done. An error leaves open whether it was.
    pub async fn ask(&self, asked: T::Asked) -> Result<T::Answer, Failed> {
        let (answer, answered) = oneshot::channel();
        let until = Instant::from_std(Clock::instant() + self.deadline);
        let waiting = Waiting {
            asked,
            until,
            answer,
        };
        self.waiting.try_send(waiting).map_err(|_| Failed::Busy)?;
        match timeout_at(until, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failed::Refused),
            Err(_) => Err(Failed::TooSlow),
        }
    }
}

struct Clerk<T> {
    work: T,
    pool: PgPool,
}

type Arrival<T> = Waiting<<T as Together>::Asked, <T as Together>::Answer>;

impl<T: Together> Clerk<T> {
    async fn run(self: Arc<Self>, mut arrivals: mpsc::Receiver<Arrival<T>>) {
        let mut under_way: JoinSet<Kept> = JoinSet::new();
        let mut spare: Vec<Kept> = Vec::new();
        let mut waiting: Vec<Arrival<T>> = Vec::new();
        let mut is_open = true;
        loop {
            let enough = match under_way.len() {
                0 => 1,
                n if n < T::AT_ONCE => COMPANY,
                _ => usize::MAX,
            };
            // Who was told that it took too long asks again: it is not done for the first time they asked.
            waiting.retain(|one| !one.answer.is_closed());
            if waiting.len() >= enough {
                let group = next_group::<T>(&mut waiting);
                let kept = spare.pop().unwrap_or_else(|| Kept::new(self.pool.clone()));
                let clerk = self.clone();
                under_way.spawn(async move { clerk.serve(group, kept).await });
                continue;
            }
            if under_way.is_empty() {
                // Nothing follows.
                spare.iter_mut().for_each(Kept::give_back);
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => spare.extend(ended.ok()),
                // What is full takes nothing more in: callers behind it are told at once to come back.
                arrived = arrivals.recv_many(&mut waiting, WAITING_MAX), if is_open && waiting.len() < WAITING_MAX => {
                    is_open = arrived > 0;
                }
                else => return,
            }
        }
    }

    async fn serve(&self, group: Vec<Arrival<T>>, mut kept: Kept) -> Kept {
        metrics::histogram!("tollkeeper_group_size", "of" => T::NAME).record(group.len() as f64);
        let asked: Vec<&T::Asked> = group.iter().map(|one| &one.asked).collect();
        // When the last of them has gone nothing more is begun for them.
        let until = group.iter().map(|one| one.until).max();
        let until = until.unwrap_or_else(|| Instant::from_std(Clock::instant()));
        let answers = self.apart(&asked, &mut kept, until).await;
        for (one, answer) in group.into_iter().zip(answers) {
            // Who went away has it done all the same.
            let _ = one.answer.send(answer);
        }
        kept
    }

    /// All together, or half by half where the database refuses them: what cannot be done fails alone, and costs the
    /// others a few commits.
    fn apart<'a>(
        &'a self,
        asked: &'a [&'a T::Asked],
        kept: &'a mut Kept,
        until: Instant,
    ) -> BoxFuture<'a, Vec<Result<T::Answer, Failed>>> {
        let all = |failed| asked.iter().map(|_| Err(failed)).collect();
        Box::pin(async move {
            match self.attempt(asked, kept, until).await {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(Failed::Refused) if asked.len() > 1 => {
                    let (first, rest) = asked.split_at(asked.len() / 2);
                    let mut answers = self.apart(first, kept, until).await;
                    let is_too_slow = |one: &Result<_, Failed>| matches!(one, Err(Failed::TooSlow));
                    let is_there = !answers.iter().any(is_too_slow);
                    if is_there {
                        answers.extend(self.apart(rest, kept, until).await);
                    } else {
                        answers.extend(rest.iter().map(|_| Err(Failed::TooSlow)));
                    }
                    answers
                }
                Err(failed) => all(failed),
            }
        })
    }

    async fn attempt(
        &self,
        asked: &[&T::Asked],
        kept: &mut Kept,
        until: Instant,
    ) -> Result<Vec<T::Answer>, Failed> {
        let mut conn: PoolConnection<Postgres> = kept.take().await.map_err(|error| {
            tracing::warn!(%error, asked = T::NAME, "the database cannot be asked");
            Failed::TooSlow
        })?;
        match timeout_at(until, self.work.answer(&mut conn, asked)).await {
            Ok(Ok(answers)) => {
                kept.keep(conn);
                Ok(answers)
            }
            Ok(Err(sqlx::Error::Database(error))) => {
                let error = mask(error.message());
                tracing::warn!(%error, asked = T::NAME, group = asked.len(), "the database refused a group");
                Err(Failed::Refused)
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, asked = T::NAME, "the database cannot be asked");
                conn.close_on_drop();
                Err(Failed::TooSlow)
            }
            Err(_) => {
                // Nobody knows where the session stands: it is ended, and with it what it had begun.
                conn.close_on_drop();
                Err(Failed::TooSlow)
            }
        }
    }
}

/// The first ones that are not too much together, one at least.
fn next_group<T: Together>(waiting: &mut Vec<Arrival<T>>) -> Vec<Arrival<T>> {
    let mut weight = 0;
    let fits = waiting.iter().take_while(|one| {
        weight += T::weight(&one.asked).max(1);
        weight <= WEIGHT_MAX
    });
    let size = fits.count().max(1);
    waiting.drain(..size).collect()
}
