//! The outermost layer of a worker: it turns how a run ended into what the job becomes.

use std::{collections::HashMap, sync::Arc, task::Poll, time::Duration};

use apalis_core::{error::BoxDynError, task::Task};
use futures_util::future::BoxFuture;
use tollkeeper_jobs::{RetryPolicy, mask::mask};
use tower::{Layer, Service};

use super::{
    backend::Ticket,
    claim::Claimed,
    held::Held,
    runs::{Ending, Runs},
    verdict::{Failure, Outcome},
};
use crate::{
    clock::Clock,
    crash::{self, Moment},
};

/// How long a job waits when its provider asks for patience without saying how much.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct AckLayer {
    pub(super) ack: Arc<Ack>,
}

pub(super) struct Ack {
    pub runs: Runs,
    pub held: Held,
    pub clock: Clock,
    pub policies: HashMap<&'static str, RetryPolicy>,
    pub backoff_scale: f64,
}

impl<S> Layer<S> for AckLayer {
    type Service = AckService<S>;

    fn layer(&self, inner: S) -> AckService<S> {
        AckService {
            ack: self.ack.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
pub struct AckService<S> {
    ack: Arc<Ack>,
    inner: S,
}

impl<S> Service<Task<Ticket>> for AckService<S>
where
    S: Service<Task<Ticket>, Response = Outcome, Error = BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Ticket>) -> Self::Future {
        let ack = self.ack.clone();
        let ticket = task.args.clone();
        let entry = ack.held.enter(&ticket.claimed.lease);
        let run = self.inner.call(task);
        Box::pin(async move {
            let ended = run.await;
            if let Some(ending) = ack.ending(&ticket.claimed, ended) {
                tell(&ticket.claimed, &ending);
                let (kind, outcome) = (&ticket.claimed.kind, ending.outcome);
                crash::point(Moment::Ended, format_args!("{outcome} {kind}"));
                entry.ends();
                ack.runs.end(&ticket.claimed.lease, ending).await;
                crash::point(Moment::Acknowledged, format_args!("{outcome} {kind}"));
            }
            drop(entry);
            Ok(())
        })
    }
}

impl Ack {
    /// None: the run lost its job for certain, and the job's fate is another run's to write.
    fn ending(&self, claimed: &Claimed, ended: Result<Outcome, BoxDynError>) -> Option<Ending> {
        let failure = match ended {
            Ok(Outcome::Done) => return Some(ending("done", None)),
            Ok(Outcome::Skipped(why)) => return Some(ending("skipped", Some(mask(&why)))),
            Ok(Outcome::Later(at, why)) => {
                return Some(Ending {
                    later_at: Some(at),
                    ..ending("later", Some(mask(&why)))
                });
            }
            Err(error) => match error.downcast::<Failure>() {
                Ok(failure) => *failure,
                // A panic or a run that took too long: caught by the layers in between.
                Err(error) => Failure::Retry(error.to_string()),
            },
        };
        let note = Some(mask(&failure.to_string()));
        Some(match failure {
            Failure::LeaseLost(_) if claimed.lease.lost.is_cancelled() => return None,
            // Only by this process' own clock: Postgres was away for so long. If nobody has taken the
            // job since, it goes on at once; left alone it would be taken back as a crash.
            Failure::LeaseLost(_) => Ending {
                later_in: Some(self.ahead()),
                ..ending("later", note)
            },
            Failure::Stop(_) => ending("stop", note),
            Failure::Wait { after, .. } => {
                let pause = after.unwrap_or_else(|| PATIENCE.mul_f64(self.backoff_scale));
                Ending {
                    later_in: Some(self.ahead() + pause.mul_f64(rand::random_range(1.0..1.5))),
                    ..ending("later", note)
                }
            }
            Failure::Retry(_) => {
                let policy = self
                    .policies
                    .get(claimed.kind.as_str())
                    .copied()
                    .unwrap_or(RetryPolicy::DEFAULT);
                let delay = policy
                    .delay(claimed.failures + 1, rand::random())
                    .mul_f64(self.backoff_scale);
                Ending {
                    later_in: Some(self.ahead() + delay),
                    ..ending("retry", note)
                }
            }
        })
    }

    /// How far the service's clock is ahead of the database's, by which delays are stored.
    fn ahead(&self) -> Duration {
        self.clock.offset().to_std().unwrap_or_default()
    }
}

fn ending(outcome: &'static str, note: Option<String>) -> Ending {
    Ending {
        outcome,
        note,
        later_at: None,
        later_in: None,
    }
}

fn tell(claimed: &Claimed, ending: &Ending) {
    let waited_out = Clock::instant()
        .saturating_duration_since(claimed.claimed_at)
        .as_secs_f64();
    metrics::counter!("tollkeeper_runs_total", "kind" => claimed.kind.clone(), "outcome" => ending.outcome).increment(1);
    metrics::histogram!("tollkeeper_run_seconds", "kind" => claimed.kind.clone())
        .record(waited_out);
    let note = ending.note.as_deref().unwrap_or_default();
    let job = &claimed.lease.job_id;
    match ending.outcome {
        "retry" | "stop" => {
            tracing::warn!(job.kind = %claimed.kind, job.id = %job, account.id = %claimed.account_id, outcome = ending.outcome, note, "{} {}", claimed.kind, ending.outcome)
        }
        _ => {
            tracing::info!(job.kind = %claimed.kind, job.id = %job, account.id = %claimed.account_id, outcome = ending.outcome, note, "{} {}", claimed.kind, ending.outcome)
        }
    }
}
