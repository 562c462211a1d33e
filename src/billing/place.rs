//! Where what an account owes goes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        caps::{Caps, exceeded},
        placement::{self, Draft, Owed, Renewal},
    },
    stripe::Status,
};
use uuid::Uuid;

use crate::db::{
    billing::{
        charges::{self, Charge},
        invoices::{self, Invoice},
        parks,
    },
    findings,
    subscriptions::{self, Subscription},
};

/// What an account owes to one customer of Stripe's in one currency, and is on no invoice.
#[derive(Debug)]
pub struct Owing {
    pub customer_ref: String,
    pub currency: String,
    pub charges: Vec<Charge>,
    /// The newest renewal's invoice of the subscription that is owed for last.
    pub renewal: Option<Invoice>,
    /// Its subscription.
    subscription: Option<Subscription>,
}

impl Owing {
    /// As the rules look at it.
    pub fn owed(&self) -> Vec<Owed> {
        let owed = self.charges.iter().map(|charge| Owed {
            charge_id: charge.charge_id,
            amount_minor: charge.amount_minor,
            is_late: charge.is_late,
            period_ends_at: charge.ends_at,
        });
        owed.collect()
    }

    /// What an invoice of our own is to be paid by.
    pub fn payment_method(&self) -> Option<&str> {
        self.subscription.as_ref()?.payment_method_ref.as_deref()
    }

    pub fn renewal(&self) -> Renewal<'_> {
        let ended_at = self.charges.iter().map(|charge| charge.ends_at).max();
        let subscription = self.subscription.as_ref();
        let renews = subscription.is_some_and(|row| !status(row).is_terminal());
        match &self.renewal {
            Some(invoice) if invoice.period_ends_at >= ended_at => {
                Renewal::Told(draft(invoice, subscription))
            }
            _ if renews => Renewal::Expected,
            _ => Renewal::None,
        }
    }
}

fn status(subscription: &Subscription) -> Status {
    Status::from(subscription.status.as_str())
}

/// An invoice as placement looks at it, with its subscription as it stands.
pub fn draft<'a>(invoice: &'a Invoice, subscription: Option<&Subscription>) -> Draft<'a> {
    Draft {
        status: &invoice.status,
        billing_reason: invoice.billing_reason.as_deref().unwrap_or_default(),
        finalizes_at: invoice.finalizes_at,
        period_ends_at: invoice.period_ends_at,
        uncollected: subscription
            .and_then(|row| placement::uncollected(&status(row), row.pause_behavior.as_deref())),
    }
}

/// All that an account owes and that is on no invoice.
pub async fn owing(tx: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<Owing>> {
    let mut all: Vec<Owing> = Vec::new();
    for charge in charges::unplaced(tx, account_id).await? {
        let Some(customer_ref) = charge.customer_ref.clone() else {
            continue;
        };
        let known = all
            .iter_mut()
            .find(|one| one.customer_ref == customer_ref && one.currency == charge.currency);
        match known {
            Some(one) => one.charges.push(charge),
            None => all.push(Owing {
                customer_ref,
                currency: charge.currency.clone(),
                charges: vec![charge],
                renewal: None,
                subscription: None,
            }),
        }
    }
    for one in &mut all {
        let last = one.charges.iter().max_by_key(|charge| charge.ends_at);
        let Some(subscription_ref) = last.and_then(|charge| charge.subscription_ref.clone()) else {
            continue;
        };
        one.renewal = invoices::newest_renewal(tx, &subscription_ref).await?;
        one.subscription = subscriptions::load(tx, &subscription_ref).await?;
    }
    Ok(all)
}

/// What became of charges that were to be put on an invoice.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    On(u64),
    /// Nothing is billed for the account until a person has looked.
    Parked,
}

/// Put charges on an invoice, unless the account is parked or a period comes to more than a cap; then it is parked.
pub async fn put_on(
    tx: &mut PgConnection,
    account_id: &str,
    owed: &[Charge],
    invoice_id: Uuid,
    caps: &Caps,
    now: DateTime<Utc>,
) -> sqlx::Result<Placed> {
    if parks::of(tx, account_id).await?.is_some() {
        return Ok(Placed::Parked);
    }
    if let Some((period_id, why, code)) = above_cap(tx, account_id, owed, caps).await? {
        let detail = serde_json::json!({ "code": code, "why": why });
        findings::open(tx, code, &period_id.to_string(), account_id, &detail).await?;
        parks::park(tx, account_id, &why, "caps", now).await?;
        return Ok(Placed::Parked);
    }
    let ids: Vec<Uuid> = owed.iter().map(|charge| charge.charge_id).collect();
    charges::place(tx, &ids, invoice_id).await.map(Placed::On)
}

/// The first period whose whole amount is above a cap that nobody has approved.
async fn above_cap(
    tx: &mut PgConnection,
    account_id: &str,
    owed: &[Charge],
    caps: &Caps,
) -> sqlx::Result<Option<(Uuid, String, &'static str)>> {
    let mut periods: Vec<(Uuid, DateTime<Utc>)> = owed
        .iter()
        .map(|charge| (charge.period_id, charge.starts_at))
        .collect();
    periods.sort();
    periods.dedup();
    let ids: Vec<Uuid> = periods.iter().map(|(period_id, _)| *period_id).collect();
    let approved = parks::approved(tx, &ids).await?;
    for (period_id, starts_at) in periods {
        if approved.contains(&period_id) {
            continue;
        }
        let amount = charges::total_of(tx, period_id).await?;
        let earlier = charges::totals_before(tx, account_id, starts_at, MEAN_OF).await?;
        if let Some(exceeded) = exceeded(caps, amount, &earlier) {
            return Ok(Some((
                period_id,
                exceeded.reason(&owed[0].currency),
                exceeded.code(),
            )));
        }
    }
    Ok(None)
}

/// A mean is of so many periods at most.
const MEAN_OF: i64 = 12;
