//! Comparing an account's invoices with Stripe's: ask, then settle under the account's lock. The job
//! `reconcile_account` and operators do it alike; what is decided is in `jobs/reconcile_account.rs`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    CompareInvoice, NewJob, RecordInvoice,
    billing::matching::{CHARGE_KEY, INVOICE_KEY, Line, Wanted, is_ours},
    reconcile_account::{Drifted, Facts, OurInvoice, TheirInvoice, decide, is_settled},
    reconcile_invoices,
    stripe::{Invoice, InvoiceItem},
};

use crate::{
    clients::{ClientError, stripe::Stripe},
    db::{
        accounts,
        billing::{
            parks,
            reconcile::{self, FINDING, Known, Standing},
        },
        findings,
    },
    queue,
};

/// Our clock and Stripe's may differ by so much when its list is asked for what was made since.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// What our books said before Stripe was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Books {
    pub customers: Vec<String>,
    since: DateTime<Utc>,
    known: Vec<Known>,
    standing: Vec<Standing>,
}

/// What Stripe said.
#[derive(Debug, Clone, Default)]
pub struct Said {
    theirs: Vec<TheirInvoice>,
    pending: Vec<Line>,
}

/// What was found about an account.
#[derive(Debug, Clone, Default)]
pub struct Reconciled {
    pub drifted: Vec<Drifted>,
    /// How many invoices our books are behind with, and how many drafts are to be repaired.
    pub asked: usize,
    /// How many findings hold no longer.
    pub closed: u64,
}

/// What our books say now.
pub async fn books(
    conn: &mut PgConnection,
    account_id: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Books> {
    let since = reconcile::since(conn, account_id, reconcile_invoices::since(now)).await?;
    let known = reconcile::known(conn, account_id, since).await?;
    let ids: Vec<_> = known.iter().map(|one| one.invoice_id).collect();
    Ok(Books {
        customers: reconcile::customers(conn, account_id).await?,
        standing: reconcile::standing(conn, &ids).await?,
        since,
        known,
    })
}

/// Ask Stripe for every invoice and line of the account's customers. No connection is held meanwhile.
pub async fn ask(stripe: &Stripe, books: &Books) -> Result<Said, ClientError> {
    let since = books.since - CLOCKS_DIFFER;
    let mut said = Said::default();
    let mut items: BTreeMap<String, Vec<InvoiceItem>> = BTreeMap::new();
    for customer in &books.customers {
        for item in stripe.items_of_customer(customer, since).await? {
            match &item.invoice {
                Some(invoice) => items.entry(invoice.0.clone()).or_default().push(item),
                None => said.pending.extend(line(&item)),
            }
        }
        let invoices = stripe.invoices_of(customer, since).await?;
        said.theirs.extend(invoices.iter().filter_map(their));
    }
    // Not among those made since then is no proof of anything: it may be older, or somebody else's meanwhile.
    let listed: BTreeSet<String> = refs(&said.theirs).collect();
    let known = books.known.iter().filter(|one| one.status != "deleted");
    let ours = items
        .iter()
        .filter(|(_, items)| items.iter().any(|item| line(item).is_some()));
    let wanted: BTreeSet<String> = known
        .map(|one| one.stripe_ref.clone())
        .chain(ours.map(|(invoice_ref, _)| invoice_ref.clone()))
        .collect();
    for invoice_ref in wanted.difference(&listed) {
        if let Some(invoice) = stripe.invoice(invoice_ref).await? {
            items.insert(invoice_ref.clone(), stripe.items_of(invoice_ref).await?);
            said.theirs.extend(their(&invoice));
        }
    }
    for invoice in &mut said.theirs {
        let items = items.remove(&invoice.invoice_ref).unwrap_or_default();
        // On an invoice of ours nobody else has anything to put.
        let lines = items.iter().filter_map(|item| match invoice.says_it_is {
            Some(_) => Some(any_line(item)),
            None => line(item),
        });
        invoice.lines = lines.collect();
    }
    Ok(said)
}

/// Settle what was found: findings, a park, and jobs. None: our books have changed since Stripe was asked, look again.
pub async fn settle(
    tx: &mut PgConnection,
    account_id: &str,
    before: &Books,
    said: Said,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Reconciled>> {
    accounts::lock(tx, account_id).await?;
    if books(tx, account_id, now).await?.differs(before) {
        return Ok(None);
    }
    let facts = facts(tx, account_id, before, said, now).await?;
    let plan = decide(&facts);
    let mut found = Reconciled {
        asked: plan.compare.len() + plan.record.len(),
        ..Reconciled::default()
    };
    for drifted in plan.drifted {
        let detail = serde_json::to_value(&drifted).unwrap_or_default();
        if findings::keep(tx, FINDING, &drifted.subject, account_id, &detail).await? {
            found.drifted.push(drifted);
        }
    }
    if let Some(first) = found.drifted.first() {
        let why = format!(
            "{} of its invoices are not at Stripe as they are here, {} among them",
            found.drifted.len(),
            first.subject
        );
        parks::park(tx, account_id, &why, "reconcile_account", now).await?;
    }
    let drifted: BTreeSet<&str> = found
        .drifted
        .iter()
        .map(|one| one.subject.as_str())
        .collect();
    let mut right: Vec<&str> = plan.looked_at.iter().map(String::as_str).collect();
    // A line that was pending and is told of no more is gone, or stands on an invoice that is looked at.
    let open = findings::open_subjects(tx, FINDING, account_id).await?;
    right.extend(
        open.iter()
            .map(String::as_str)
            .filter(|one| !one.starts_with("in_")),
    );
    right.retain(|subject| !drifted.contains(subject));
    found.closed = findings::close_about(tx, FINDING, account_id, &right, "it is right").await?;
    let compare = plan
        .compare
        .into_iter()
        .map(|invoice_id| NewJob::of(&CompareInvoice { invoice_id }));
    let record = plan
        .record
        .into_iter()
        .map(|invoice_ref| NewJob::of(&RecordInvoice { invoice_ref }));
    let jobs = compare
        .chain(record)
        .map(|job| job.of_account(Some(account_id.to_owned())));
    queue::enqueue_all(tx, &jobs.collect::<Vec<_>>()).await?;
    Ok(Some(found))
}

impl Books {
    /// Whether they say something else of what is on invoices. When was looked is not among it.
    fn differs(&self, before: &Books) -> bool {
        (&self.known, &self.standing) != (&before.known, &before.standing)
    }
}

async fn facts(
    tx: &mut PgConnection,
    account_id: &str,
    books: &Books,
    said: Said,
    now: DateTime<Utc>,
) -> sqlx::Result<Facts> {
    let mut known = books.known.clone();
    let refs: Vec<String> = refs(&said.theirs).collect();
    let (mine, others): (Vec<Known>, Vec<Known>) = reconcile::known_as(tx, &refs)
        .await?
        .into_iter()
        .partition(|one| one.account_id == account_id);
    let is_new = |one: &Known| {
        !books
            .known
            .iter()
            .any(|known| known.invoice_id == one.invoice_id)
    };
    let older: Vec<Known> = mine.into_iter().filter(is_new).collect();
    let ids: Vec<_> = older.iter().map(|one| one.invoice_id).collect();
    let mut standing = books.standing.clone();
    standing.extend(reconcile::standing(tx, &ids).await?);
    known.extend(older);
    let planned = reconcile::planned(tx, account_id).await?;
    Ok(Facts {
        ours: known.iter().map(|one| ours(one, &standing, now)).collect(),
        theirs: said.theirs,
        pending: said.pending,
        of_others: others.into_iter().map(|one| one.stripe_ref).collect(),
        planned: planned.iter().map(ToString::to_string).collect(),
        is_parked: parks::of(tx, account_id).await?.is_some(),
    })
}

fn refs(invoices: &[TheirInvoice]) -> impl Iterator<Item = String> {
    invoices.iter().map(|one| one.invoice_ref.clone())
}

fn ours(known: &Known, standing: &[Standing], now: DateTime<Utc>) -> OurInvoice {
    let wanted = standing
        .iter()
        .filter(|one| one.invoice_id == known.invoice_id);
    let changed_at = known.finalized_at.unwrap_or(known.created_at);
    OurInvoice {
        invoice_id: known.invoice_id,
        invoice_ref: known.stripe_ref.clone(),
        customer_ref: known.customer_ref.clone(),
        currency: known.currency.clone(),
        status: known.status.clone(),
        is_settled: is_settled(
            known.has_open_call,
            known.matched_at.is_some(),
            changed_at,
            now,
        ),
        wanted: wanted
            .map(|one| Wanted {
                charge_id: one.charge_id.to_string(),
                item_ref: one.item_ref.clone().unwrap_or_default(),
                amount_minor: one.amount_minor,
                currency: one.currency.clone(),
            })
            .collect(),
    }
}

fn their(invoice: &Invoice) -> Option<TheirInvoice> {
    let is_ours = is_ours(&invoice.metadata);
    let says_it_is = invoice
        .metadata
        .get(INVOICE_KEY)
        .cloned()
        .unwrap_or_default();
    Some(TheirInvoice {
        invoice_ref: invoice.id.clone()?,
        customer_ref: invoice.customer.as_ref()?.0.clone(),
        currency: invoice.currency.clone()?,
        status: invoice.status.clone()?,
        says_it_is: is_ours.then_some(says_it_is),
        lines: Vec::new(),
    })
}

/// A line that says it is ours.
pub fn line(item: &InvoiceItem) -> Option<Line> {
    is_ours(&item.metadata).then(|| any_line(item))
}

fn any_line(item: &InvoiceItem) -> Line {
    Line {
        item_ref: item.id.clone(),
        charge_id: item.metadata.get(CHARGE_KEY).cloned().unwrap_or_default(),
        amount_minor: item.amount,
        currency: item.currency.clone(),
    }
}
