//! Telling the app that a user comes close to a limit, once in a window.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewNotification,
    plans::Window,
    usage::{MicroUnits, Span},
};

use crate::notify;

/// A stored word; never renamed.
const KIND: &str = "usage.threshold";

/// A threshold that was crossed.
#[derive(Debug, Clone)]
pub struct Crossing {
    pub account_id: String,
    pub feature: String,
    pub tier: String,
    pub window: Window,
    pub span: Span,
    /// Of the limit.
    pub percent: i64,
    pub used: MicroUnits,
    pub limit: MicroUnits,
    /// Whether what goes beyond is allowed, and billed.
    pub is_billable: bool,
}

/// Announce it in the transaction of the use: once for a window and a threshold, however often it is crossed.
pub(super) async fn announce(tx: &mut PgConnection, crossings: &[Crossing]) -> sqlx::Result<()> {
    if crossings.is_empty() {
        return Ok(());
    }
    let told: Vec<NewNotification> = crossings.iter().map(Crossing::told).collect();
    notify::announce(tx, &told).await?;
    Ok(())
}

impl Crossing {
    fn told(&self) -> NewNotification {
        let Crossing {
            feature, percent, ..
        } = self;
        let starts_at = self.span.starts_at;
        NewNotification {
            account_id: self.account_id.clone(),
            kind: KIND.to_owned(),
            occasion: format!(
                "{feature}/{}/{}/{percent}",
                self.window.as_str(),
                starts_at.to_rfc3339()
            ),
            data: json!({
                "userId": self.account_id,
                "feature": feature,
                "threshold": percent,
                "used": self.used.to_json(),
                "limit": self.limit.to_json(),
                "tier": self.tier,
                "window": self.window.as_str(),
                "windowStartsAt": starts_at,
                "resetsAt": self.span.ends_at,
                "overageAllowed": self.is_billable,
            }),
        }
    }
}
