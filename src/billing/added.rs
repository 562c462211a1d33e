//! What a span of time adds to the bills of an account.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{Statement, Terms, Used},
    plans::Catalogue,
    usage::{MicroUnits, Span},
};

use super::statement::{StatementError, payable, running, waiver};
use crate::db::{
    billing::{periods, usage},
    subscriptions,
};

/// By meter, in minor units: what its period costs up to the end of the span, less what it costs up to its beginning. So
/// days that follow each other add up to the bill, and what was included costs nothing. It only reads; the fees for
/// numbers are no part of it.
pub async fn added(
    conn: &mut PgConnection,
    catalogue: &Catalogue,
    account_id: &str,
    span: Span,
    meters: &[&str],
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, i64>, StatementError> {
    let subscriptions = subscriptions::of_account(conn, account_id).await?;
    let running = running(conn, catalogue, account_id, &subscriptions, now).await?;
    let stored = periods::between(conn, account_id, span).await?;
    let earlier = stored
        .iter()
        .map(|stored| (stored.period(), stored.closed_at.is_some()))
        .filter(|(period, _)| period.span.starts_at < running.span.starts_at);
    let mut added = BTreeMap::new();
    for (mut period, is_closed) in earlier.chain([(running.clone(), false)]) {
        // What a closed one was waived by stays.
        if !is_closed {
            period.waiver = waiver(&period, &subscriptions);
        }
        let terms = payable(&period);
        let until = |at: DateTime<Utc>| Span {
            starts_at: period.span.starts_at,
            ends_at: at.clamp(period.span.starts_at, period.span.ends_at),
        };
        let before = cost(conn, account_id, &terms, until(span.starts_at), meters).await?;
        let after = cost(conn, account_id, &terms, until(span.ends_at), meters).await?;
        for (meter, minor) in after {
            let already = before.get(&meter).copied().unwrap_or_default();
            *added.entry(meter).or_default() += minor - already;
        }
    }
    Ok(added)
}

/// What these meters cost if the period had ended here.
async fn cost(
    conn: &mut PgConnection,
    account_id: &str,
    terms: &Terms,
    span: Span,
    meters: &[&str],
) -> Result<BTreeMap<String, i64>, StatementError> {
    if span.starts_at == span.ends_at {
        return Ok(BTreeMap::new());
    }
    let used = usage::between(conn, account_id, span, meters).await?;
    let used = Used {
        meters: used
            .into_iter()
            .map(|(meter, quantity)| (meter, MicroUnits(quantity)))
            .collect(),
        numbers: Vec::new(),
    };
    let statement = Statement::of(terms, &used)?;
    let of_meter = |meter: &&str| ((*meter).to_owned(), statement.meter(meter).cost_minor);
    Ok(meters.iter().map(of_meter).collect())
}
