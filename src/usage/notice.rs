//! Telling the app that a user comes close to a limit, once in a window.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    plans::Window,
    usage::{MicroUnits, Span},
};

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

pub(super) async fn announce(
    _tx: &mut PgConnection,
    _crossings: &[Crossing],
    _now: DateTime<Utc>,
) -> sqlx::Result<()> {
    Ok(())
}
