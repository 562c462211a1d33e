//! Storing webhooks in groups: one commit for all that arrive within a few milliseconds, so that
//! throughput is not one disk flush per webhook.
//!
//! A caller is answered after the commit that holds its webhook, never before. A webhook that comes alone
//! waits for nobody. What comes while a commit is under way goes with the next one, when that commit is done
//! or when enough have come (the rule of Nagle's algorithm, RFC 896): groups grow with the load. A commit
//! that hangs keeps others waiting for a tenth of their time at most. A group that the database refuses is
//! stored one by one, so that a row that cannot be stored fails alone.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tollkeeper_jobs::NewJob;

use crate::{
    clock::Clock,
    config::HttpConfig,
    context::Context,
    crash::{self, Moment},
    db::webhooks::{self, NewWebhook, Provider, Wanted},
    queue::Wake,
};

/// How many may wait for their commit. More is answered with "later" at once: memory stays bounded.
const WAITING_MAX: usize = 1024;
/// Places that Stripe may not take: it repeats for three days, Twilio hardly ever.
const RESERVE: usize = WAITING_MAX / 4;
/// While one group waits for the disk others are written.
const GROUPS_AT_ONCE: usize = 4;
/// So many are worth a commit of their own while another one is under way.
const COMPANY: usize = 16;

/// A webhook and the job it leads to.
#[derive(Debug)]
pub struct Delivery {
    pub webhook: NewWebhook,
    /// Its key is the webhook's id.
    pub job: Option<NewJob>,
    /// The Stripe customer it is about: the job takes its turn among those of the customer's account.
    pub customer_ref: Option<String>,
}

impl Delivery {
    fn wanted(&self) -> Option<Wanted<'_>> {
        Some(Wanted {
            webhook_id: self.webhook.id,
            job: self.job.as_ref()?,
            customer_ref: self.customer_ref.as_deref(),
        })
    }
}

/// It is in the database, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    New,
    /// A copy of it was there before; nothing new was stored.
    Duplicate,
}

/// It is not known to be in the database: the sender must not be told that it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    #[error("too many webhooks are waiting to be stored")]
    Busy,
    #[error("the database took too long")]
    TooSlow,
    #[error("the database did not store it")]
    Refused,
}

impl NotStored {
    /// The label of metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            NotStored::Busy => "busy",
            NotStored::TooSlow => "too_slow",
            NotStored::Refused => "refused",
        }
    }
}

/// The way in, for any number of callers.
#[derive(Debug, Clone)]
pub struct Store {
    waiting: mpsc::Sender<Waiting>,
    deadline: Duration,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    answer: oneshot::Sender<Result<Stored, NotStored>>,
}

impl Store {
    /// Start the task that commits. It ends, with everything stored, once every `Store` is dropped.
    pub fn start(ctx: &Context) -> (Store, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let writer = Writer {
            pool: ctx.pools.ingest.clone(),
            clock: ctx.clock.clone(),
            wake: ctx.wake.clone(),
            settings: ctx.config.http.clone(),
        };
        let store = Store {
            waiting: sender,
            deadline: ctx.config.http.store_deadline,
        };
        (store, tokio::spawn(writer.run(receiver)))
    }

    /// Wait until the delivery is committed.
    ///
    /// An error leaves open whether it was: the sender repeats, and a copy changes nothing.
    pub async fn put(&self, delivery: Delivery) -> Result<Stored, NotStored> {
        let free = self.waiting.capacity();
        if delivery.webhook.provider == Provider::Stripe && free <= RESERVE {
            return Err(NotStored::Busy);
        }
        let (answer, answered) = oneshot::channel();
        self.waiting
            .try_send(Waiting { delivery, answer })
            .map_err(|_| NotStored::Busy)?;
        match timeout(self.deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(NotStored::Refused),
            Err(_) => Err(NotStored::TooSlow),
        }
    }
}

/// A connection on which a group was stored a moment ago. Not given back while groups follow each other: the
/// pool asks each one that comes back whether it still answers.
type Spare = Option<PoolConnection<Postgres>>;

/// The groups that are being committed.
#[derive(Default)]
struct UnderWay {
    groups: JoinSet<Spare>,
    spare: Vec<PoolConnection<Postgres>>,
}

impl UnderWay {
    fn begin(&mut self, writer: Arc<Writer>, group: Vec<Waiting>) {
        let spare = self.spare.pop();
        self.groups
            .spawn(async move { writer.answer(group, spare).await });
    }

    async fn one_ended(&mut self) {
        match self.groups.join_next().await {
            Some(Ok(Some(spare))) => self.spare.push(spare),
            // What broke one has perhaps broken all.
            _ => self.spare.clear(),
        }
    }
}

struct Writer {
    pool: PgPool,
    clock: Clock,
    wake: Wake,
    settings: HttpConfig,
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let writer = Arc::new(self);
        let mut under_way = UnderWay::default();
        while let Some(group) = writer.gather(&mut waiting, &mut under_way).await {
            under_way.begin(writer.clone(), group);
        }
        while !under_way.groups.is_empty() {
            under_way.one_ended().await;
        }
    }

    /// The connection that is left over is the next group's.
    async fn answer(&self, group: Vec<Waiting>, mut spare: Spare) -> Spare {
        metrics::histogram!("tollkeeper_webhook_group_size").record(group.len() as f64);
        let deliveries: Vec<&Delivery> = group.iter().map(|one| &one.delivery).collect();
        let outcomes = self.store(&deliveries, &mut spare).await;
        for (one, outcome) in group.into_iter().zip(outcomes) {
            // A caller that went away has its webhook stored all the same.
            let _ = one.answer.send(outcome);
        }
        spare
    }

    /// What is to be committed next, as soon as that is worth a commit; none when no caller is left.
    async fn gather(
        &self,
        waiting: &mut mpsc::Receiver<Waiting>,
        under_way: &mut UnderWay,
    ) -> Option<Vec<Waiting>> {
        let group_max = self.settings.group_max.max(1);
        let mut group = Vec::with_capacity(group_max);
        let patience = sleep(self.settings.store_deadline / 10);
        tokio::pin!(patience);
        loop {
            let enough = match under_way.groups.len() {
                0 => 1,
                1..GROUPS_AT_ONCE if patience.is_elapsed() => 1,
                1..GROUPS_AT_ONCE => COMPANY.min(group_max),
                _ => usize::MAX,
            };
            if group.len() >= enough {
                return Some(group);
            }
            if under_way.groups.is_empty() && patience.is_elapsed() {
                // Nothing follows.
                under_way.spare.clear();
            }
            let free = group_max - group.len();
            tokio::select! {
                () = under_way.one_ended(), if !under_way.groups.is_empty() => {}
                () = &mut patience, if !patience.is_elapsed() => {}
                arrived = waiting.recv_many(&mut group, free), if free > 0 => if arrived == 0 {
                    return (!group.is_empty()).then_some(group);
                },
            }
        }
    }

    /// One transaction for all; one each when the database refuses that.
    async fn store(
        &self,
        deliveries: &[&Delivery],
        spare: &mut Spare,
    ) -> Vec<Result<Stored, NotStored>> {
        let together = self.commit_in_time(deliveries, spare).await;
        match together {
            Ok(stored) => stored.into_iter().map(Ok).collect(),
            Err(NotStored::Refused) if deliveries.len() > 1 => {
                metrics::counter!("tollkeeper_webhook_groups_split_total").increment(1);
                join_all(deliveries.iter().map(async |one| {
                    let stored = self.commit_in_time(&[*one], &mut None).await?;
                    Ok(stored[0])
                }))
                .await
            }
            Err(error) => vec![Err(error); deliveries.len()],
        }
    }

    async fn commit_in_time(
        &self,
        deliveries: &[&Delivery],
        spare: &mut Spare,
    ) -> Result<Vec<Stored>, NotStored> {
        let deadline = self.settings.store_deadline;
        match timeout(deadline, self.commit(deliveries, spare)).await {
            Ok(Ok(stored)) => Ok(stored),
            // The database answered, and said no: perhaps to one row among many.
            Ok(Err(sqlx::Error::Database(error))) => {
                tracing::warn!(
                    code = error.code().as_deref(),
                    webhooks = deliveries.len(),
                    "the database refused a group of webhooks"
                );
                Err(NotStored::Refused)
            }
            // It cannot be reached: asking once for each would only take longer.
            Ok(Err(error)) => {
                tracing::warn!(%error, webhooks = deliveries.len(), "webhooks cannot be stored");
                Err(NotStored::TooSlow)
            }
            Err(_) => {
                tracing::warn!(
                    webhooks = deliveries.len(),
                    "storing webhooks took too long"
                );
                Err(NotStored::TooSlow)
            }
        }
    }

    async fn commit(
        &self,
        deliveries: &[&Delivery],
        spare: &mut Spare,
    ) -> sqlx::Result<Vec<Stored>> {
        let rows: Vec<&NewWebhook> = deliveries.iter().map(|one| &one.webhook).collect();
        let wanted: Vec<Wanted<'_>> = deliveries.iter().filter_map(|one| one.wanted()).collect();
        for row in &rows {
            crash::point(Moment::BeforeStored, &row.kind);
        }
        let mut conn = match spare.take() {
            Some(conn) => conn,
            None => self.pool.acquire().await?,
        };
        let new = webhooks::take_in(&mut conn, &rows, &wanted, self.clock.now()).await?;
        *spare = Some(conn);
        for row in &rows {
            crash::point(Moment::Stored, &row.kind);
        }
        if !new.is_empty() && !wanted.is_empty() {
            self.wake.ring();
        }
        let outcome = |row: &&NewWebhook| match new.contains(&row.id) {
            true => Stored::New,
            false => Stored::Duplicate,
        };
        Ok(rows.iter().map(outcome).collect())
    }
}
