//! Stripe's books and ours, account by account and to the cent.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tollkeeper_jobs::billing::matching::CHARGE_KEY;

use super::people::People;
use crate::{
    db::{
        billing::{books, parks, periods},
        findings,
    },
    queue::look::{self, Filter},
    sandbox::{Sandbox, stripe::BookedInvoice},
};

const TOLD_MAX: i64 = 100;
/// A month that ended so long ago has been rated.
const OVERDUE_AFTER: TimeDelta = TimeDelta::days(2);

#[derive(Debug, Default, Serialize)]
pub struct Judged {
    /// What Stripe's invoices hold: of our charges, and in all, in US cents.
    pub usage_minor: i64,
    pub invoices: usize,
    pub paid_minor: i64,
    /// Charged, and to be put on an invoice with the next one.
    pub owed_minor: i64,
    /// Who is not billed until a person has looked.
    pub parked: usize,
    /// Where the books differ, a line each.
    pub differences: Vec<String>,
    /// Jobs that gave up, and months that are over and were not rated.
    pub undone: Vec<String>,
    /// Findings that are open: somebody did not pay, or owes a trifle.
    pub left: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct AtStripe {
    usage_minor: i64,
    cash_minor: i64,
    invoices: usize,
}

pub async fn judge(
    conn: &mut PgConnection,
    sandbox: &Sandbox,
    people: &People,
) -> anyhow::Result<Judged> {
    let mut customers: HashMap<String, AtStripe> = HashMap::new();
    for invoice in sandbox.books() {
        customers
            .entry(invoice.customer.clone())
            .or_default()
            .add(&invoice);
    }
    let ours = books::totals(conn).await?;
    let ours: HashMap<&str, _> = ours
        .iter()
        .map(|row| (row.account_id.as_str(), row))
        .collect();
    let accounts = people.all.iter().map(|person| person.account_id.clone());
    let accounts: Vec<String> = accounts.collect();
    let mut judged = Judged {
        parked: parks::all(conn).await?.len(),
        undone: undone(conn, sandbox.now()).await?,
        left: findings::open_lines(conn, &accounts).await?,
        ..Judged::default()
    };
    for person in &people.all {
        let Some((signed_up, _)) = &person.signed_up else {
            continue;
        };
        let account = person.account_id.as_str();
        let theirs = customers
            .get(&signed_up.customer_id)
            .copied()
            .unwrap_or_default();
        let Some(ours) = ours.get(account) else {
            judged
                .differences
                .push(format!("{account} signed up, and we do not know it"));
            continue;
        };
        for (what, theirs, ours) in [
            ("usage on invoices", theirs.usage_minor, ours.billed_minor),
            ("cash", theirs.cash_minor, ours.cash_minor),
        ] {
            if theirs != ours {
                let line = format!("{account}: {what} is {theirs} at Stripe and {ours} here");
                judged.differences.push(line);
            }
        }
        judged.usage_minor += theirs.usage_minor;
        judged.paid_minor += theirs.cash_minor;
        judged.invoices += theirs.invoices;
        judged.owed_minor += ours.owed_minor;
    }
    Ok(judged)
}

impl AtStripe {
    fn add(&mut self, invoice: &BookedInvoice) {
        if invoice.is_deleted {
            return;
        }
        let lines = invoice.lines.iter().filter(|line| !line.is_deleted);
        let ours = lines.filter(|line| line.metadata.contains_key(CHARGE_KEY));
        self.usage_minor += ours.map(|line| line.amount).sum::<i64>();
        self.cash_minor += invoice.paid - invoice.refunded;
        self.invoices += 1;
    }
}

/// A year that looks right because nothing was done in it is not right.
async fn undone(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    let dead = Filter {
        state: Some("dead".to_owned()),
        ..Filter::default()
    };
    let dead = look::list(conn, &dead, None, TOLD_MAX).await?;
    let gave_up = dead.iter().map(|job| {
        let why = job.note.as_deref().unwrap_or_default();
        format!("the job {} {} gave up: {why}", job.kind, job.key)
    });
    let overdue = periods::ended(conn, now - OVERDUE_AFTER, None, TOLD_MAX).await?;
    let not_rated = overdue.iter().map(|(ends_at, _, account_id)| {
        format!("the month of {account_id} that ended at {ends_at} was not rated")
    });
    Ok(gave_up.chain(not_rated).collect())
}
