//! Thin clients of the providers, of the apps' endpoints, of speech endpoints and of the mail server. The only code that knows
//! reqwest and lettre.
//!
//! No client retries by itself or follows a redirect: what may be repeated is the journal's matter.

pub mod audio;
mod breaker;
mod call;
pub mod jwks;
pub mod mailer;
pub mod notifier;
pub mod on_sale;
pub mod pace;
pub mod speech;
pub mod stripe;
pub mod twilio;
pub mod voipms;

use std::time::Duration;

/// What went wrong with a call, told apart by what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The request never reached the provider: nothing happened there.
    #[error("{provider} cannot be reached: {why}")]
    Unreachable { provider: &'static str, why: String },
    /// The provider answered that it did nothing and wants us back later (429, a key in use).
    #[error("{provider} wants to be asked again later (status {status})")]
    TryLater {
        provider: &'static str,
        status: u16,
        after: Option<Duration>,
    },
    /// Nothing was sent: we ask the provider as often as we may, and our turn is not soon.
    #[error("{provider} is asked as often as it may be; there is a turn in {} s", after.as_secs())]
    Crowded {
        provider: &'static str,
        after: Duration,
    },
    /// The request was sent and no answer came, or one that leaves the outcome open (5xx).
    #[error("{provider} left the outcome open: {why}")]
    Unknown {
        provider: &'static str,
        status: Option<u16>,
        why: String,
    },
    /// A definite no: nothing happened, and the same request will be refused again.
    #[error("{provider} refused (status {status}, code {code}): {message}")]
    Refused {
        provider: &'static str,
        status: u16,
        code: String,
        message: String,
    },
}

impl ClientError {
    /// Whether the provider knows no such thing.
    pub fn is_not_found(&self) -> bool {
        // Stripe says 400 where the missing thing is only named by a parameter.
        matches!(self, ClientError::Refused { status, code, .. }
            if *status == 404 || code == "resource_missing")
    }
}

/// A look-up that finds nothing is an answer.
pub(crate) fn found<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
