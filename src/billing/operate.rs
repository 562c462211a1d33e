//! What a person does about an account's bills: each is one transaction with a row in `operator_actions`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tollkeeper_jobs::RaiseUsageInvoice;
use uuid::Uuid;

use crate::{
    db::{
        accounts,
        billing::{charges, parks, reconcile},
        findings,
    },
    queue::{
        self,
        operate::{By, record},
    },
};

/// What accounts are parked for: a person who lets one be billed again has looked at these.
const ABOUT_PARKS: [&str; 7] = [
    reconcile::FINDING,
    "invoice_differs",
    "invoice_refused",
    "CHARGE_ABOVE_CAP",
    "CHARGE_ABOVE_MEAN",
    "AMOUNT_TOO_LARGE",
    "NO_DENOMINATOR",
];

/// Whether a finding of this kind, of an account that is parked, is accepted by [`unpark`] alone.
pub fn is_about_parks(kind: &str) -> bool {
    ABOUT_PARKS.contains(&kind)
}

#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("there is no account {0}")]
    NotFound(String),
    #[error("say why: --why \"…\"; it is kept with the action")]
    NoReason,
    #[error("{account_id} is parked already: {why}")]
    Parked { account_id: String, why: String },
    #[error("{0} is not parked: `tollkeeper billing parked` shows who is")]
    NotParked(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Bill nothing more for an account until somebody lets it be billed again.
pub async fn park(
    conn: &mut PgConnection,
    account_id: &str,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    begin(&mut tx, account_id, by).await?;
    if !parks::park(&mut tx, account_id, by.why, by.who, now).await? {
        let park = parks::of(&mut tx, account_id).await?;
        return Err(OperateError::Parked {
            account_id: account_id.to_owned(),
            why: park.map(|park| park.why).unwrap_or_default(),
        });
    }
    let target = json!({ "account_id": account_id });
    record(&mut tx, "billing_park", by, None, target, 1).await?;
    tx.commit().await?;
    Ok(())
}

/// What letting an account be billed again did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unparked {
    pub account_id: String,
    /// How many findings were accepted as they are.
    pub accepted: u64,
    /// Periods whose amounts are billed although they are above a cap.
    pub approved: Vec<Uuid>,
}

/// Bill an account again: what was found about it is accepted as it is, and what it owes is asked for. With `approves` its
/// periods that are on no invoice are billed whatever they come to.
pub async fn unpark(
    conn: &mut PgConnection,
    account_id: &str,
    approves: Approves,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<Unparked, OperateError> {
    let mut tx = conn.begin().await?;
    begin(&mut tx, account_id, by).await?;
    if !parks::unpark(&mut tx, account_id).await? {
        return Err(OperateError::NotParked(account_id.to_owned()));
    }
    let mut approved = Vec::new();
    if approves == Approves::WhatIsOwed {
        let owed = charges::unplaced(&mut tx, account_id).await?;
        approved = owed.into_iter().map(|charge| charge.period_id).collect();
        approved.sort();
        approved.dedup();
        for period_id in &approved {
            parks::approve(&mut tx, *period_id, account_id, by.who, now).await?;
        }
    }
    let accepted = findings::accept(&mut tx, account_id, &ABOUT_PARKS, by.who, by.why).await?;
    let raise = RaiseUsageInvoice {
        account_id: account_id.to_owned(),
    };
    queue::enqueue(&mut tx, &raise).await?;
    let target = json!({ "account_id": account_id, "approved": approved, "accepted": accepted });
    record(&mut tx, "billing_unpark", by, None, target, 1).await?;
    tx.commit().await?;
    Ok(Unparked {
        account_id: account_id.to_owned(),
        accepted,
        approved,
    })
}

/// Whether amounts above caps are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approves {
    Nothing,
    WhatIsOwed,
}

async fn begin(tx: &mut PgConnection, account_id: &str, by: By<'_>) -> Result<(), OperateError> {
    if by.why.trim().is_empty() {
        return Err(OperateError::NoReason);
    }
    if !accounts::lock(tx, account_id).await? {
        return Err(OperateError::NotFound(account_id.to_owned()));
    }
    Ok(())
}
