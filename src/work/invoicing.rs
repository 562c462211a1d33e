//! What the jobs that put charges on invoices have in common.

use serde_json::json;
use tollkeeper_jobs::{NewJob, RaiseUsageInvoice, RecordInvoice};
use uuid::Uuid;

use crate::{
    context::Context,
    db::{
        accounts,
        billing::{
            charges,
            invoices::{self, Invoice},
            parks,
        },
        findings,
    },
    journal::{self, Unfinished, stripe::AddItem},
    queue::{self, Failure, Lease, Outcome},
};

/// Stripe's word for an invoice that is no draft any more.
const NOT_EDITABLE: &str = "invoice_not_editable";
const REFUSED: &str = "invoice_refused";

/// See that every charge of an invoice stands on it at Stripe. Some: it does not, and the run ends with this.
pub async fn add_lines(
    ctx: &Context,
    lease: &Lease,
    invoice: &Invoice,
    invoice_ref: &str,
) -> Result<Option<Outcome>, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let charges = charges::of_invoice(&mut conn, invoice.invoice_id).await?;
    drop(conn);
    for charge in &charges {
        let add = AddItem {
            charge,
            invoice_id: invoice.invoice_id,
            invoice_ref,
            customer_ref: &invoice.customer_ref,
        };
        match journal::once(ctx, lease, &add).await {
            Ok(_) => {}
            Err(Unfinished::Refused(refusal)) if refusal.code == NOT_EDITABLE => {
                return take_off(ctx, lease, invoice, invoice_ref).await.map(Some);
            }
            Err(unfinished) => return refused(ctx, lease, invoice, unfinished).await.map(Some),
        }
    }
    Ok(None)
}

/// The invoice ended before everything stood on it: what does not stand there is owed again. Which that is, Stripe
/// says: a line may be there although its answer was lost.
async fn take_off(
    ctx: &Context,
    lease: &Lease,
    invoice: &Invoice,
    invoice_ref: &str,
) -> Result<Outcome, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let charges = charges::of_invoice(&mut conn, invoice.invoice_id).await?;
    drop(conn);
    let mut absent: Vec<Uuid> = Vec::new();
    for charge in &charges {
        let add = AddItem {
            charge,
            invoice_id: invoice.invoice_id,
            invoice_ref,
            customer_ref: &invoice.customer_ref,
        };
        match journal::once(ctx, lease, &add).await {
            Ok(_) => {}
            // A definite no with nothing of it open: it will never stand there.
            Err(Unfinished::Refused(_)) => absent.push(charge.charge_id),
            Err(unfinished) => return unfinished.into_verdict("a line of an invoice"),
        }
    }
    let account_id = invoice.account_id.clone();
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, &account_id).await?;
    charges::take_off(&mut tx, &absent, invoice.invoice_id).await?;
    invoices::is_no_draft(&mut tx, invoice.invoice_id).await?;
    let invoice_ref = invoice_ref.to_owned();
    let jobs = [
        NewJob::of(&RaiseUsageInvoice {
            account_id: account_id.clone(),
        }),
        NewJob::of(&RecordInvoice { invoice_ref }).of_account(Some(account_id)),
    ];
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(Outcome::Skipped("it was finalized meanwhile".into()))
}

/// Stripe wants none of it: a person must look before anything more is billed for the account.
pub async fn refused(
    ctx: &Context,
    lease: &Lease,
    invoice: &Invoice,
    unfinished: Unfinished,
) -> Result<Outcome, Failure> {
    let Unfinished::Refused(refusal) = unfinished else {
        return unfinished.into_verdict("an invoice");
    };
    let account_id = &invoice.account_id;
    let detail =
        json!({ "status": refusal.status, "code": refusal.code, "message": refusal.message });
    let why = format!("Stripe refused an invoice of it: {}", refusal.code);
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, account_id).await?;
    let subject = invoice.invoice_id.to_string();
    // What a person accepted keeps the account's other invoices no longer. It stays owed: `sweep_charges` tells of that.
    if findings::keep(&mut tx, REFUSED, &subject, account_id, &detail).await? {
        let now = ctx.clock.now();
        parks::park(&mut tx, account_id, &why, "raise_usage_invoice", now).await?;
    }
    tx.commit().await?;
    Ok(Outcome::Skipped(why))
}
