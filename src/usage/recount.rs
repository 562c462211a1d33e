//! Setting counters right that are not what their events add up to, and reporting it: that never happens by
//! itself.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::db::{
    findings,
    usage::recount::{self, Counter, Difference},
};

/// A counter was not what its events add up to.
const FINDING: &str = "usage_counter_wrong";

/// Count these windows again and keep what is counted; with `closed_at` they are closed. Answers what was wrong.
pub async fn correct_counters(
    tx: &mut PgConnection,
    counters: &[Counter],
    closed_at: Option<DateTime<Utc>>,
) -> sqlx::Result<Vec<Difference>> {
    recount::make_missing(tx, counters).await?;
    let differed = recount::correct(tx, counters, closed_at).await?;
    for one in &differed {
        let subject = format!(
            "{}/{}/{}/{}",
            one.account_id, one.feature, one.per, one.starts_at
        );
        let detail = json!({ "by_the_counter": one.kept, "by_the_events": one.counted });
        findings::open(tx, FINDING, &subject, &one.account_id, &detail).await?;
    }
    Ok(differed)
}
