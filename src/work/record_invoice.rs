//! Record what Stripe says of one invoice; see the promise in `jobs/record_invoice.rs`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tollkeeper_jobs::{
    AttachCharges, NewJob, RecordInvoice, SyncSubscription,
    billing::{
        ledger::{InvoiceFacts, Kind, Posted, needs_lines},
        matching::{INVOICE_KEY, is_ours},
        placement::takes_charges,
    },
    stripe::Invoice,
    sync_subscription::{UNRESOLVED_FOR, delay_of_unresolved},
};
use uuid::Uuid;

use super::{Work, account};
use crate::{
    billing::{self, draft},
    context::Context,
    db::{
        accounts,
        billing::{charges, invoices, ledger},
        findings, subscriptions,
    },
    queue::{self, Failure, Fenced, Lease, Outcome},
};

/// Also an old invoice is looked at so often before it is nobody's.
pub(super) const LOOKS_MIN: i32 = 3;
/// So long a key is given to be put right.
const OTHER_ACCOUNT_DELAY: Duration = Duration::from_secs(15 * 60);
/// Its subscription is looked at meanwhile.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(5);

impl Work for RecordInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(said) = ctx.stripe.invoice(&self.invoice_ref).await? else {
            return gone(ctx, lease, &self.invoice_ref).await;
        };
        let facts = facts(ctx, &self.invoice_ref, &said).await?;
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let known = invoices::by_ref(&mut tx, &self.invoice_ref).await?;
        let owner = match &known {
            Some(known) => Some(known.account_id.clone()),
            None => owner(&mut tx, &said).await?,
        };
        let Some(account_id) = owner else {
            return unresolved(ctx, lease, tx, &said).await;
        };
        accounts::lock(&mut tx, &account_id).await?;
        let Some(row) = row(ctx, &self.invoice_ref, &said, account_id) else {
            return Ok(Outcome::Skipped("it has no customer or no status".into()));
        };
        let mut row = row;
        if known.is_none() {
            row.is_own = is_own(&mut tx, &said, &row).await?;
        }
        row.invoice_id = invoices::store(&mut tx, &row).await?;
        if let Some(known) = known.filter(|known| known.status != row.status) {
            given_up_or_paid_after_all(&mut tx, &known.status, &row, ctx.clock.now()).await?;
        }
        if let Some(facts) = &facts {
            let grace = account::past_due_grace(ctx)?;
            let now = ctx.clock.now();
            billing::post_invoice(&mut tx, &row.account_id, &said, facts, grace, now).await?;
        }
        let subscription = match &row.subscription_ref {
            Some(subscription_ref) => subscriptions::load(&mut tx, subscription_ref).await?,
            None => None,
        };
        if takes_charges(&draft(&row, subscription.as_ref()), ctx.clock.now()).is_ok() {
            let invoice_ref = self.invoice_ref.clone();
            let attach = NewJob::of(&AttachCharges { invoice_ref });
            queue::enqueue_all(&mut tx, &[attach.of_account(Some(row.account_id))]).await?;
        }
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

/// Usage on an invoice that nobody pays any more is not owed again, and nothing is given back of it. What a person decided
/// there may have been meant otherwise: of a void one, perhaps another invoice was to be written; and of one that is paid
/// after it was written off, what was taken back meanwhile is theirs.
async fn given_up_or_paid_after_all(
    tx: &mut Fenced,
    before: &str,
    invoice: &invoices::Invoice,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let (finding, minor) = match (before, invoice.status.as_str()) {
        (_, status @ ("void" | "uncollectible")) => {
            charges::waive_unpaid(tx, invoice.invoice_id, now).await?;
            let charges = charges::of_invoice(tx, invoice.invoice_id).await?;
            let usage_minor = charges.iter().map(|charge| charge.amount_minor).sum();
            match status {
                "void" => ("usage_voided", usage_minor),
                _ => return Ok(()),
            }
        }
        ("uncollectible", "paid") => {
            let taken_back = charges::taken_back_unpaid(tx, invoice.invoice_id).await?;
            ("paid_after_write_off", taken_back)
        }
        _ => return Ok(()),
    };
    if minor == 0 {
        return Ok(());
    }
    let subject = invoice.stripe_ref.as_deref().unwrap_or_default();
    let detail = json!({ "amount_minor": minor, "currency": invoice.currency });
    findings::open(tx, finding, subject, &invoice.account_id, &detail).await?;
    Ok(())
}

/// What the ledger takes from it. None: it is in no ledger yet. What is entered of it already tells whether its lines
/// are asked for, and its credit notes; only this job enters anything about it.
async fn facts(
    ctx: &Context,
    invoice_ref: &str,
    said: &Invoice,
) -> Result<Option<InvoiceFacts>, Failure> {
    let now = ctx.clock.now();
    let mut conn = ctx.pools.work.acquire().await?;
    let posted = match invoices::by_ref(&mut conn, invoice_ref).await? {
        Some(known) => ledger::posted(&mut conn, &known.account_id, invoice_ref).await?,
        None => Posted::default(),
    };
    drop(conn);
    let Some(facts) = InvoiceFacts::of(said, 0, &[], now) else {
        return Ok(None);
    };
    if facts.finalized_at.is_none() {
        return Ok(None);
    }
    let usage_minor = match needs_lines(&facts, &posted) {
        true => usage_on(ctx, invoice_ref).await?,
        false => 0,
    };
    let is_credited = said.pre_payment_credit_notes_amount != 0
        || said.post_payment_credit_notes_amount != 0
        || posted.has_any(Kind::Credited);
    let credits = match is_credited {
        true => ctx.stripe.credit_notes_of(invoice_ref).await?,
        false => Vec::new(),
    };
    Ok(InvoiceFacts::of(said, usage_minor, &credits, now))
}

/// How much of an invoice are lines of ours, as Stripe says: what we meant to put there may have come too late.
async fn usage_on(ctx: &Context, invoice_ref: &str) -> Result<i64, Failure> {
    let items = ctx.stripe.items_of(invoice_ref).await?;
    let ours = items.iter().filter(|item| is_ours(&item.metadata));
    let sum: i128 = ours.map(|item| i128::from(item.amount)).sum();
    i64::try_from(sum).map_err(|_| {
        Failure::Stop(format!(
            "the lines of {invoice_ref} come to more than an amount can be"
        ))
    })
}

/// Whose invoice it is: of one that we planned whose periods stand on it, else its subscription's, else its customer's.
async fn owner(tx: &mut Fenced, said: &Invoice) -> sqlx::Result<Option<String>> {
    if let Some(invoice_id) = planned(said)
        && let Some(own) = invoices::load(tx, invoice_id).await?
        && own.is_own
        && said.customer.as_ref().map(|one| &one.0) == Some(&own.customer_ref)
    {
        return Ok(Some(own.account_id));
    }
    if let Some(subscription_ref) = said.subscription_ref()
        && let Some(subscription) = subscriptions::load(tx, subscription_ref).await?
    {
        return Ok(Some(subscription.account_id));
    }
    match &said.customer {
        Some(customer) => accounts::of_customer(tx, &customer.0).await,
        None => Ok(None),
    }
}

/// Which invoice of ours it says it is.
fn planned(said: &Invoice) -> Option<Uuid> {
    let says_it_is = said
        .metadata
        .get(INVOICE_KEY)
        .filter(|_| is_ours(&said.metadata));
    says_it_is.and_then(|id| Uuid::parse_str(id).ok())
}

/// Whether it is one that we planned: Stripe may tell of it before it answers who asked for it. One that says so and was
/// not planned here, or was made twice, is none of ours: `reconcile_account` tells of what stands on it.
async fn is_own(tx: &mut Fenced, said: &Invoice, row: &invoices::Invoice) -> sqlx::Result<bool> {
    let (Some(invoice_id), Some(invoice_ref)) = (planned(said), &row.stripe_ref) else {
        return Ok(false);
    };
    let made = invoices::made(tx, &row.account_id, invoice_id, invoice_ref).await?;
    Ok(made.as_ref() == Some(invoice_ref))
}

/// Its subscription is looked at first, which finds out whose it is. Who is still unknown after that is not ours.
async fn unresolved(
    ctx: &Context,
    lease: &Lease,
    mut tx: Fenced,
    said: &Invoice,
) -> Result<Outcome, Failure> {
    let now = ctx.clock.now();
    let age = now - said.created.unwrap_or(now);
    let why = "nobody we know is its customer";
    if age >= UNRESOLVED_FOR && lease.attempt > LOOKS_MIN {
        return Ok(Outcome::Skipped(why.into()));
    }
    if let Some(subscription_ref) = said.subscription_ref() {
        let subscription_ref = subscription_ref.to_owned();
        queue::enqueue(&mut tx, &SyncSubscription { subscription_ref }).await?;
    }
    tx.commit().await?;
    ctx.wake.ring();
    let delay = delay_of_look(lease.attempt, age);
    Ok(Outcome::Later(now + delay, why.into()))
}

/// When what is that old and nobody's so far is looked at again.
pub(super) fn delay_of_look(attempt: i32, age: TimeDelta) -> TimeDelta {
    match attempt {
        1 => FIRST_DELAY,
        _ => delay_of_unresolved(age),
    }
}

fn row(
    ctx: &Context,
    invoice_ref: &str,
    said: &Invoice,
    account_id: String,
) -> Option<invoices::Invoice> {
    let now = ctx.clock.now();
    let transitions = &said.status_transitions;
    Some(invoices::Invoice {
        invoice_id: Uuid::now_v7(),
        account_id,
        customer_ref: said.customer.as_ref()?.0.clone(),
        subscription_ref: said.subscription_ref().map(str::to_owned),
        stripe_ref: Some(invoice_ref.to_owned()),
        is_own: false,
        status: said.status.clone()?,
        billing_reason: said.billing_reason.clone(),
        number: said.number.clone(),
        url: said.hosted_invoice_url.clone(),
        currency: said.currency.clone()?,
        total_minor: said.total,
        paid_minor: said.amount_paid,
        period_starts_at: said.period_start,
        period_ends_at: said.period_end,
        finalizes_at: said.automatically_finalizes_at,
        finalized_at: transitions.finalized_at,
        paid_at: transitions.paid_at,
        attempts: said.attempt_count,
        next_attempt_at: said.next_payment_attempt,
        matched_at: None,
        payment_method_ref: None,
        created_at: said.created.unwrap_or(now),
        synced_at: now,
    })
}

/// Only a draft can be deleted: what was to stand on it is owed again. A final one that is not found is nothing to act on:
/// `reconcile_account` tells of it. Nor is a draft of which not even the customer is found: with the key of another account,
/// or of the test mode, nothing is, and what is owed again then would be charged twice once the key is right.
async fn gone(ctx: &Context, lease: &Lease, invoice_ref: &str) -> Result<Outcome, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let known = invoices::by_ref(&mut conn, invoice_ref).await?;
    drop(conn);
    let Some(known) = known else {
        return Ok(Outcome::Skipped("Stripe knows no such invoice".into()));
    };
    if !matches!(known.status.as_str(), "draft" | "deleted") {
        let why = "Stripe does not know it, and it was no draft";
        return Ok(Outcome::Skipped(why.into()));
    }
    if ctx.stripe.customer(&known.customer_ref).await?.is_none() {
        return Err(Failure::Wait {
            after: Some(OTHER_ACCOUNT_DELAY),
            why: "Stripe knows neither it nor its customer: does STRIPE_SECRET_KEY belong to the account it was made in?"
                .into(),
        });
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, &known.account_id).await?;
    if invoices::deleted(&mut tx, known.invoice_id, ctx.clock.now()).await? {
        let lines = charges::lines_of(&mut tx, known.invoice_id).await?;
        let ids: Vec<Uuid> = lines.iter().map(|line| line.charge_id).collect();
        charges::take_off(&mut tx, &ids, known.invoice_id).await?;
    }
    tx.commit().await?;
    Ok(Outcome::Done)
}
