//! How a run ends: a small closed set.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::lease::{HoldError, LeaseLost};
use crate::clients::ClientError;

/// A run that did what there was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There was nothing to do, and why.
    Skipped(String),
    /// Not yet: run again at that time (by the service's clock). Costs no attempt.
    Later(DateTime<Utc>, String),
}

/// A run that did not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Try again after the job's back-off. Costs an attempt.
    #[error("{0}")]
    Retry(String),
    /// The provider asked for patience, or cannot be reached. Costs no attempt.
    #[error("{why}")]
    Wait {
        after: Option<Duration>,
        why: String,
    },
    /// Trying again cannot help: the job is dead and waits for an operator.
    #[error("{0}")]
    Stop(String),
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        let why = format!("database: {error}");
        if is_passing(&error) {
            let after = Some(Duration::from_millis(100));
            return Failure::Wait { after, why };
        }
        Failure::Retry(why)
    }
}

/// Whether the same transaction may well succeed in a moment: it gave way to another one
/// (serialization failure, deadlock, lock timeout), or the database is away or starting.
fn is_passing(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
        );
    };
    let code = error.code().unwrap_or_default();
    matches!(&*code, "40001" | "40P01" | "55P03" | "53300" | "25P03")
        || code.starts_with("57P")
        || code.starts_with("08")
}

impl From<HoldError> for Failure {
    fn from(error: HoldError) -> Failure {
        match error {
            HoldError::Lost(lost) => Failure::LeaseLost(lost),
            HoldError::Database(error) => error.into(),
        }
    }
}

/// For calls that only read. A call with an effect goes through the journal, which knows more.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::TryLater { after, .. } => Failure::Wait {
                after,
                why: error.to_string(),
            },
            ClientError::Crowded { after, .. } => Failure::Wait {
                after: Some(after),
                why: error.to_string(),
            },
            ClientError::Unreachable { .. } => Failure::Wait {
                after: None,
                why: error.to_string(),
            },
            ClientError::Unknown { .. } => Failure::Retry(error.to_string()),
            ClientError::Refused { .. } => Failure::Stop(error.to_string()),
        }
    }
}
