//! Waking idle workers: a hint that saves them the rest of a poll interval, never needed.

use std::sync::Arc;

use tokio::sync::Notify;

/// Rung after a commit that stored jobs. Workers of this process hear it at once.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    local: Arc<Notify>,
}

impl Wake {
    pub fn ring(&self) {
        self.local.notify_waiters();
    }

    pub async fn heard(&self) {
        self.local.notified().await;
    }
}
