//! How often a provider may be asked, by all our processes together.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::ClientError;

/// It is nobody's turn soon enough: come back after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded {
    pub after: Duration,
}

/// Gives out turns at a provider.
pub trait Turns: Send + Sync {
    /// Take the next one. How long it is to be waited for.
    fn take(&self) -> BoxFuture<'_, Result<Duration, Crowded>>;
}

/// What a client asks before each request.
#[derive(Clone, Default)]
pub enum Pace {
    /// As often as it likes.
    #[default]
    Free,
    /// When it is its turn.
    InTurn(Arc<dyn Turns>),
    /// At once, for a person waits; those who take turns wait the longer for it.
    AtOnce(Arc<dyn Turns>),
}

impl Pace {
    /// The same, for whom a person waits.
    pub fn at_once(self) -> Pace {
        match self {
            Pace::InTurn(turns) => Pace::AtOnce(turns),
            pace => pace,
        }
    }

    /// Wait until a request may leave.
    pub(super) async fn wait(&self, provider: &'static str) -> Result<(), ClientError> {
        match self {
            Pace::Free => {}
            Pace::AtOnce(turns) => {
                let _ = turns.take().await;
            }
            Pace::InTurn(turns) => {
                let turn = turns.take().await;
                let crowded = |Crowded { after }| ClientError::Crowded { provider, after };
                tokio::time::sleep(turn.map_err(crowded)?).await;
            }
        }
        Ok(())
    }
}
