//! Where apps' questions and reports are handed in.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, PgPool};

use super::{Answered, KeyReused, Question, Request, Rules, Verdict, carry_out, judge};
use crate::grouped::{Failed, Grouped, Together};

/// One per process.
#[derive(Clone)]
pub struct Desk {
    questions: Grouped<Looking>,
    requests: Grouped<Counting>,
}

impl Desk {
    /// Start what is behind it. An answer that takes longer than `deadline` is given up on.
    pub fn start(pool: &PgPool, rules: &Rules, deadline: Duration) -> Desk {
        let rules = Arc::new(rules.clone());
        Desk {
            questions: Grouped::start(Looking(rules.clone()), pool.clone(), deadline),
            requests: Grouped::start(Counting(rules), pool.clone(), deadline),
        }
    }

    /// May they? The answers come in the order of the questions.
    pub async fn judge(&self, questions: Vec<Question>) -> Result<Vec<Verdict>, Failed> {
        self.questions.ask(questions).await
    }

    /// Carry out what is asked, in one commit. The answers come in the order of the requests.
    pub async fn carry_out(
        &self,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<Answered, KeyReused>>, Failed> {
        self.requests.ask(requests).await
    }
}

struct Looking(Arc<Rules>);

impl Together for Looking {
    type Asked = Vec<Question>;
    type Answer = Vec<Verdict>;

    const NAME: &'static str = "questions of usage";
    const AT_ONCE: usize = 1;

    fn weight(asked: &Vec<Question>) -> usize {
        asked.len()
    }

    async fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&Vec<Question>],
    ) -> sqlx::Result<Vec<Vec<Verdict>>> {
        let all: Vec<Question> = group.iter().flat_map(|one| one.iter().cloned()).collect();
        let mut verdicts = judge(conn, &self.0, &all).await?.into_iter();
        let part = |one: &&Vec<Question>| verdicts.by_ref().take(one.len()).collect();
        Ok(group.iter().map(part).collect())
    }
}

struct Counting(Arc<Rules>);

impl Together for Counting {
    type Asked = Vec<Request>;
    type Answer = Vec<Result<Answered, KeyReused>>;

    const NAME: &'static str = "reports of usage";
    const AT_ONCE: usize = 2;

    fn weight(asked: &Vec<Request>) -> usize {
        asked.len()
    }

    async fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&Vec<Request>],
    ) -> sqlx::Result<Vec<Self::Answer>> {
        let all: Vec<&Request> = group.iter().copied().flatten().collect();
        let mut tx = conn
            .begin_with("begin; set local idle_in_transaction_session_timeout = '10s'")
            .await?;
        let answers = carry_out(&mut tx, &self.0, &all).await?;
        tx.commit().await?;
        let mut answers = answers.into_iter();
        let part = |one: &&Vec<Request>| answers.by_ref().take(one.len()).collect();
        Ok(group.iter().map(part).collect())
    }
}
