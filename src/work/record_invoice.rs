//! Record what Stripe says of one invoice; see the promise in `jobs/record_invoice.rs`.

use chrono::TimeDelta;
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
        subscriptions,
    },
    queue::{self, Failure, Fenced, Lease, Outcome},
};

/// Also an old invoice is looked at so often before it is nobody's.
const LOOKS_MIN: i32 = 3;
/// Its subscription is looked at meanwhile.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(5);

impl Work for RecordInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let said = ctx.stripe.invoice(&self.invoice_ref).await?;
        let facts = match &said {
            Some(said) => facts(ctx, &self.invoice_ref, said).await?,
            None => None,
        };
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let known = invoices::by_ref(&mut tx, &self.invoice_ref).await?;
        let Some(said) = said else {
            return deleted(ctx, tx, known).await;
        };
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

/// Whose invoice it is: its subscription's, else its customer's.
async fn owner(tx: &mut Fenced, said: &Invoice) -> sqlx::Result<Option<String>> {
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

/// Whether it is one that we planned: Stripe may tell of it before it answers who asked for it. One that says so and was
/// not planned here, or was made twice, is none of ours: `reconcile_account` tells of what stands on it.
async fn is_own(tx: &mut Fenced, said: &Invoice, row: &invoices::Invoice) -> sqlx::Result<bool> {
    let says_it_is = said
        .metadata
        .get(INVOICE_KEY)
        .filter(|_| is_ours(&said.metadata));
    let planned = says_it_is.and_then(|id| Uuid::parse_str(id).ok());
    let (Some(invoice_id), Some(invoice_ref)) = (planned, &row.stripe_ref) else {
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
    let delay = match lease.attempt {
        1 => FIRST_DELAY,
        _ => delay_of_unresolved(age),
    };
    Ok(Outcome::Later(now + delay, why.into()))
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

/// Only a draft can be deleted: what was to stand on it is owed again.
async fn deleted(
    ctx: &Context,
    mut tx: Fenced,
    known: Option<invoices::Invoice>,
) -> Result<Outcome, Failure> {
    let Some(known) = known else {
        return Ok(Outcome::Skipped("Stripe knows no such invoice".into()));
    };
    accounts::lock(&mut tx, &known.account_id).await?;
    invoices::deleted(&mut tx, known.invoice_id, ctx.clock.now()).await?;
    let lines = charges::lines_of(&mut tx, known.invoice_id).await?;
    let ids: Vec<Uuid> = lines.iter().map(|line| line.charge_id).collect();
    charges::take_off(&mut tx, &ids, known.invoice_id).await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}
