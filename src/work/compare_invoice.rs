//! Compare an invoice with what should stand on it; see the promise in `jobs/compare_invoice.rs`.

use tollkeeper_jobs::{
    CompareInvoice, FinalizeInvoice, NewJob,
    billing::matching::{Difference, Line, Wanted, compare},
    compare_invoice::{Plan, decide},
};
use uuid::Uuid;

use super::{Work, reconciliation::line};
use crate::{
    context::Context,
    db::{
        accounts,
        billing::{
            charges::{self, InvoiceLine},
            invoices::{self, Invoice},
            parks,
        },
        findings,
    },
    journal::{self, stripe::DeleteItem},
    queue::{self, Failure, Fenced, Lease, Outcome},
};

const FINDING: &str = "invoice_differs";

impl Work for CompareInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let Some(invoice) = invoices::load(&mut conn, self.invoice_id).await? else {
            return Ok(Outcome::Skipped("there is no such invoice".into()));
        };
        drop(conn);
        let Some(invoice_ref) = invoice.stripe_ref.clone() else {
            return Ok(Outcome::Skipped("it was not made yet".into()));
        };
        // Once more after something was deleted.
        for _ in 0..2 {
            let before = lines_of(ctx, self.invoice_id).await?;
            let said = ctx.stripe.invoice(&invoice_ref).await?;
            let is_draft = said.is_some_and(|said| said.status.as_deref() == Some("draft"));
            let items = ctx.stripe.items_of(&invoice_ref).await?;
            let lines: Vec<Line> = items.iter().filter_map(line).collect();
            let mut tx = lease.begin(&ctx.pools.work).await?;
            accounts::lock(&mut tx, &invoice.account_id).await?;
            let now = charges::lines_of(&mut tx, self.invoice_id).await?;
            let wanted: Option<Vec<Wanted>> = now.iter().map(wanted).collect();
            // Whoever puts more on it has it compared again afterwards.
            let Some(wanted) = wanted.filter(|_| now == before) else {
                return Ok(Outcome::Skipped("more is being put on it".into()));
            };
            match decide(compare(&wanted, &lines), is_draft) {
                Plan::Matched => {
                    matched(ctx, &mut tx, &invoice, is_draft).await?;
                    tx.commit().await?;
                    ctx.wake.ring();
                    return Ok(Outcome::Done);
                }
                Plan::Park(differences) => {
                    let why = park(ctx, &mut tx, &invoice, &differences, is_draft).await?;
                    tx.commit().await?;
                    return Ok(Outcome::Skipped(why.into()));
                }
                Plan::Delete(surplus) => {
                    tx.commit().await?;
                    delete(ctx, lease, &invoice, &surplus).await?;
                }
            }
        }
        let why = "what is surplus on it does not go away";
        Err(Failure::Retry(why.into()))
    }
}

async fn lines_of(ctx: &Context, invoice_id: Uuid) -> Result<Vec<InvoiceLine>, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    Ok(charges::lines_of(&mut conn, invoice_id).await?)
}

/// It is as it should be; one of ours is finalized next.
async fn matched(
    ctx: &Context,
    tx: &mut Fenced,
    invoice: &Invoice,
    is_draft: bool,
) -> Result<(), Failure> {
    let invoice_id = invoice.invoice_id;
    invoices::matched(tx, invoice_id, Some(ctx.clock.now())).await?;
    findings::close(tx, FINDING, &invoice_id.to_string(), "it is right").await?;
    if invoice.is_own && is_draft {
        let finalize = NewJob::of(&FinalizeInvoice { invoice_id });
        let finalize = finalize.of_account(Some(invoice.account_id.clone()));
        queue::enqueue_all(tx, &[finalize]).await?;
    }
    Ok(())
}

/// None: it does not stand there yet.
fn wanted(line: &InvoiceLine) -> Option<Wanted> {
    Some(Wanted {
        charge_id: line.charge_id.to_string(),
        item_ref: line.item_ref.clone()?,
        amount_minor: line.amount_minor,
        currency: line.currency.clone(),
    })
}

async fn delete(
    ctx: &Context,
    lease: &Lease,
    invoice: &Invoice,
    surplus: &[String],
) -> Result<(), Failure> {
    for item_ref in surplus {
        let delete = DeleteItem {
            account_id: &invoice.account_id,
            item_ref,
        };
        match journal::once(ctx, lease, &delete).await {
            Ok(_) => tracing::warn!(item_ref, "a surplus line was deleted from a draft"),
            Err(unfinished) => {
                unfinished.into_verdict("a surplus line")?;
            }
        }
    }
    Ok(())
}

/// Nothing more is billed for the account until a person has looked. What one has accepted of an invoice that is final
/// stays as it is. Answers what becomes of it.
async fn park(
    ctx: &Context,
    tx: &mut Fenced,
    invoice: &Invoice,
    differences: &[Difference],
    is_draft: bool,
) -> Result<&'static str, Failure> {
    let why = format!(
        "{} lines of an invoice are not as they should be",
        differences.len()
    );
    let detail = serde_json::json!({
        "invoice": invoice.stripe_ref,
        "differences": differences.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>(),
    });
    let subject = invoice.invoice_id.to_string();
    let now = ctx.clock.now();
    let account_id = &invoice.account_id;
    if is_draft {
        findings::open(tx, FINDING, &subject, account_id, &detail).await?;
    } else if !findings::keep(tx, FINDING, &subject, account_id, &detail).await? {
        let why = "a person accepted it as it is";
        findings::close(tx, FINDING, &subject, why).await?;
        invoices::matched(tx, invoice.invoice_id, Some(now)).await?;
        return Ok(why);
    }
    invoices::matched(tx, invoice.invoice_id, None).await?;
    parks::park(tx, &invoice.account_id, &why, "compare_invoice", now).await?;
    Ok("a person must look at it")
}
