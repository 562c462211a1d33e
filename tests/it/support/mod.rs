//! What the tests stand on.

pub mod address;
pub mod api;
pub mod cluster;
pub mod command;
pub mod crashes;
pub mod crowd;
pub mod figures;
pub mod house;
pub mod kept;
pub mod load;
pub mod log;
pub mod mail_server;
pub mod phone;
pub mod postgres_server;
pub mod probe;
pub mod process;
pub mod proof;
pub mod service;
pub mod source;
pub mod subscriber;
pub mod tables;
pub mod web;
pub mod works;

use std::time::{Duration, Instant};

/// Every run that ended, as a relation for a statement: of a finished job, the last one is told by the job.
#[macro_export]
macro_rules! every_run {
    () => {
        "(select job_id, attempt, account_id, worker, started_at, finished_at, outcome, error from queue.job_attempts
          union all
          select id, attempt, account_id, worker, started_at, finished_at, state, note from queue.finished_jobs
          where state in ('done', 'skipped'))"
    };
}
pub use every_run;

/// Wait until the condition holds; fail with what was waited for after five minutes.
pub async fn until<F>(what: &str, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + Duration::from_secs(300);
    while !holds().await {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
