//! Enter what a dispute came to; see the promise in `jobs/apply_dispute.rs`.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    ApplyDispute,
    stripe::{Dispute, DisputeStatus},
};

use super::{
    Work,
    payments::{Paid, paid_by},
};
use crate::{
    billing,
    context::Context,
    db::findings,
    queue::{Failure, Lease, Outcome},
};

const FINDING: &str = "payment_disputed";

impl Work for ApplyDispute {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(dispute) = ctx.stripe.dispute(&self.dispute_ref).await? else {
            return Ok(Outcome::Skipped("Stripe knows no such dispute".into()));
        };
        let Some(charge) = ctx.stripe.charge(&dispute.charge.0).await? else {
            return Ok(Outcome::Skipped("Stripe knows no such charge".into()));
        };
        let (mut tx, invoice) = match paid_by(ctx, lease, &charge).await? {
            Paid::Invoice(tx, invoice) => (tx, invoice),
            Paid::Ended(outcome) => return Ok(outcome),
        };
        let is_new = billing::post_dispute(&mut tx, &invoice, &dispute, ctx.clock.now()).await?;
        report(&mut tx, &dispute, &invoice.account_id).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(match is_new {
            true => Outcome::Done,
            false => Outcome::Skipped("nothing of it is to be entered".into()),
        })
    }
}

/// A person must answer the bank as long as it is open.
async fn report(tx: &mut PgConnection, dispute: &Dispute, account_id: &str) -> sqlx::Result<()> {
    if !dispute.status.is_open() {
        findings::close(tx, FINDING, &dispute.id, "it is decided").await?;
        return Ok(());
    }
    let detail = json!({
        "charge": dispute.charge.0,
        "amount_minor": dispute.amount,
        "currency": dispute.currency,
        "reason": dispute.reason,
        "is_inquiry": dispute.status == DisputeStatus::Inquiry,
    });
    findings::keep(tx, FINDING, &dispute.id, account_id, &detail).await?;
    Ok(())
}
