//! Find what is owed and on no invoice; see the promise in `jobs/sweep_charges.rs`.

use serde_json::{Value, json};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    AttachCharges, NewJob, RaiseUsageInvoice, SweepCharges,
    poll_invoice_drafts::made_since,
    sweep_charges::{owed_for_long_since, unpaid_for_long_since},
};

use super::Work;
use crate::{
    context::Context,
    db::{
        billing::{charges, invoices},
        findings,
    },
    queue::{self, Failure, Lease, Outcome},
};

const BATCH_MAX: i64 = 500;
const OWED_FOR_LONG: &str = "owed_for_long";
const UNPAID_FOR_LONG: &str = "own_invoice_unpaid";
const KEPT_AS_DRAFT: &str = "usage_on_kept_draft";

impl Work for SweepCharges {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut after = String::new();
        let mut asked = attach_what_was_begun(ctx, lease).await?;
        loop {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            let accounts = charges::accounts_unfinished(&mut tx, &after, BATCH_MAX).await?;
            let Some(last) = accounts.last() else {
                break;
            };
            after.clone_from(last);
            asked += accounts.len();
            let jobs = accounts
                .into_iter()
                .map(|account_id| NewJob::of(&RaiseUsageInvoice { account_id }));
            queue::enqueue_all(&mut tx, &jobs.collect::<Vec<_>>()).await?;
            tx.commit().await?;
            ctx.wake.ring();
        }
        tell_of_what_is_owed_for_long(ctx, lease).await?;
        tell_of_what_is_unpaid_for_long(ctx, lease).await?;
        tell_of_what_stays_a_draft(ctx, lease).await?;
        Ok(match asked {
            0 => Outcome::Skipped("everything is on an invoice".into()),
            _ => Outcome::Done,
        })
    }
}

/// Charges that were put on a renewal's invoice and were not seen to stand there.
async fn attach_what_was_begun(ctx: &Context, lease: &Lease) -> Result<usize, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let unmatched = invoices::unmatched(&mut tx, BATCH_MAX).await?;
    let jobs: Vec<NewJob> = unmatched
        .into_iter()
        .map(|(invoice_ref, account_id)| {
            NewJob::of(&AttachCharges { invoice_ref }).of_account(Some(account_id))
        })
        .collect();
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(jobs.len())
}

/// A trifle or a credit that no invoice came by for: nobody is billed silently nothing.
async fn tell_of_what_is_owed_for_long(ctx: &Context, lease: &Lease) -> Result<(), Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let since = owed_for_long_since(ctx.clock.now());
    let owed = charges::owed_for_long(&mut tx, since).await?;
    let left = owed
        .into_iter()
        .map(|(account_id, amount_minor, currency)| Left {
            subject: account_id.clone(),
            account_id,
            detail: json!({ "amount_minor": amount_minor, "currency": currency }),
        });
    tell(&mut tx, OWED_FOR_LONG, left, "it is on an invoice now").await?;
    tx.commit().await?;
    Ok(())
}

/// An invoice of our own that nobody paid.
async fn tell_of_what_is_unpaid_for_long(ctx: &Context, lease: &Lease) -> Result<(), Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let before = unpaid_for_long_since(ctx.clock.now());
    let unpaid = invoices::own_unpaid(&mut tx, before).await?;
    let left = unpaid.into_iter().map(|one| Left {
        subject: one.stripe_ref,
        account_id: one.account_id,
        detail: json!({ "due_minor": one.due_minor, "currency": one.currency }),
    });
    let why = "it is paid, void or written off";
    tell(&mut tx, UNPAID_FOR_LONG, left, why).await?;
    tx.commit().await?;
    Ok(())
}

/// A renewal's invoice with usage on it that should be final by now: Stripe could not finalize it, or keeps it as a draft.
async fn tell_of_what_stays_a_draft(ctx: &Context, lease: &Lease) -> Result<(), Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let before = made_since(ctx.clock.now());
    let kept = invoices::kept_drafts(&mut tx, before).await?;
    let left = kept.into_iter().map(|one| Left {
        subject: one.stripe_ref,
        account_id: one.account_id,
        detail: json!({ "usage_minor": one.due_minor, "currency": one.currency }),
    });
    tell(&mut tx, KEPT_AS_DRAFT, left, "it is no draft any more").await?;
    tx.commit().await?;
    Ok(())
}

/// What a person is told of.
struct Left {
    subject: String,
    account_id: String,
    detail: Value,
}

/// All that is left of a kind, and nothing that was and is not any more.
async fn tell(
    tx: &mut PgConnection,
    kind: &str,
    left: impl Iterator<Item = Left>,
    why_not_any_more: &str,
) -> sqlx::Result<()> {
    let left: Vec<Left> = left.collect();
    for one in &left {
        findings::keep(tx, kind, &one.subject, &one.account_id, &one.detail).await?;
    }
    let subjects: Vec<&str> = left.iter().map(|one| one.subject.as_str()).collect();
    let kinds = vec![kind; subjects.len()];
    findings::close_all_but(tx, &[kind], &kinds, &subjects, why_not_any_more).await?;
    Ok(())
}
