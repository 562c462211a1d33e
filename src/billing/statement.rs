//! What the running period of an account comes to so far. It only reads, so that anybody may look.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        Statement, Terms, Used,
        lines::{Line, line_text},
        periods::{Last, Period, plan},
        rating, revise, upcoming,
        waivers::Waiver,
    },
    money::MoneyError,
    plans::Catalogue,
    usage::MicroUnits,
};

use super::periods::{subscribed, waived_by};
use crate::db::{
    billing::{periods, usage},
    subscriptions::{self, Subscription},
};

/// The period of an account that contains now.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningPeriod {
    /// As it is stored, or would be by now. Its waiver is what would waive it if it ended now.
    pub period: Period,
    /// By the function that bills. Of a period that nobody pays for, or that is waived, nothing costs.
    pub statement: Statement,
    /// What would stand on its invoice. What costs nothing is not there.
    pub lines: Vec<upcoming::Line>,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Amount(#[from] MoneyError),
}

/// The running period of an account and its statement. Takes any connection that sees the account's rows, locks nothing
/// and stores nothing: a period that is not stored yet is what it will be stored as.
pub async fn statement(
    conn: &mut PgConnection,
    catalogue: &Catalogue,
    account_id: &str,
    now: DateTime<Utc>,
) -> Result<RunningPeriod, StatementError> {
    let subscriptions = subscriptions::of_account(conn, account_id).await?;
    let mut period = running(conn, catalogue, account_id, &subscriptions, now).await?;
    period.waiver = waiver(&period, &subscriptions);
    let terms = payable(&period);
    let (used, numbers) = used(conn, account_id, &period).await?;
    let statement = Statement::of(&terms, &used)?;
    let lines = rating::rate(&terms, &used)?
        .iter()
        .filter_map(|rated| revise(None, rated))
        .map(|revision| upcoming::Line {
            description: line_text(&Line {
                revision: &revision,
                terms: &terms,
                number: numbers.get(&revision.subject).map(String::as_str),
                late_for: None,
            }),
            amount_minor: revision.amount_minor,
        })
        .collect();
    Ok(RunningPeriod {
        period,
        statement,
        lines,
    })
}

/// The period that contains now, as it is stored or would be.
pub(super) async fn running(
    conn: &mut PgConnection,
    catalogue: &Catalogue,
    account_id: &str,
    subscriptions: &[Subscription],
    now: DateTime<Utc>,
) -> sqlx::Result<Period> {
    let stored = periods::last(conn, &[account_id]).await?.pop();
    let last = stored.map(|stored| Last {
        period: stored.period(),
        is_closed: stored.closed_at.is_some(),
    });
    let subscribed: Vec<_> = subscriptions.iter().filter_map(subscribed).collect();
    let plan = plan(catalogue, last.as_ref(), &subscribed, now);
    let newest = plan.following.into_iter().next_back().or(plan.last);
    Ok(newest
        .or(last.map(|last| last.period))
        .expect("a plan without a last period has one to follow"))
}

/// What would waive the period if it were closed as things stand.
pub(super) fn waiver(period: &Period, subscriptions: &[Subscription]) -> Option<Waiver> {
    let payer = period.payer.as_ref()?;
    let subscription = subscriptions
        .iter()
        .find(|one| one.subscription_ref == payer.subscription_ref)?;
    let now = waived_by(period.span, subscription);
    period.waiver.or(now)
}

/// What the period is billed by, if anybody pays for it.
pub(super) fn payable(period: &Period) -> Terms {
    match (&period.payer, period.waiver) {
        (Some(_), None) => period.terms.clone(),
        _ => unpaid(&period.terms),
    }
}

/// The same allowances, and nothing beyond them costs.
fn unpaid(terms: &Terms) -> Terms {
    let mut terms = terms.clone();
    terms.number_fee_minor = 0;
    for meter in terms.meters.values_mut() {
        meter.rates.clear();
    }
    terms
}

/// What was used in the period, and its numbers by the ids they have there.
async fn used(
    conn: &mut PgConnection,
    account_id: &str,
    period: &Period,
) -> sqlx::Result<(Used, BTreeMap<String, String>)> {
    let meters: Vec<&str> = period.terms.meters.keys().map(String::as_str).collect();
    let meters = usage::between(conn, account_id, period.span, &meters).await?;
    let meters = meters
        .into_iter()
        .map(|(meter, quantity)| (meter, MicroUnits(quantity)));
    let numbers: BTreeMap<String, String> = usage::numbers_between(conn, account_id, period.span)
        .await?
        .into_iter()
        .map(|(id, number)| (id.to_string(), number))
        .collect();
    let used = Used {
        meters: meters.collect(),
        numbers: numbers.keys().cloned().collect(),
    };
    Ok((used, numbers))
}
