//! Enter what was refunded of a charge; see the promise in `jobs/apply_refund.rs`.

use tollkeeper_jobs::ApplyRefund;

use super::{
    Work,
    payments::{Paid, paid_by},
};
use crate::{
    billing,
    context::Context,
    queue::{Failure, Lease, Outcome},
};

impl Work for ApplyRefund {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(charge) = ctx.stripe.charge(&self.charge_ref).await? else {
            return Ok(Outcome::Skipped("Stripe knows no such charge".into()));
        };
        let (mut tx, invoice) = match paid_by(ctx, lease, &charge).await? {
            Paid::Invoice(tx, invoice) => (tx, invoice),
            Paid::Ended(outcome) => return Ok(outcome),
        };
        let is_new = billing::post_refunds(&mut tx, &invoice, &charge, ctx.clock.now()).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(match is_new {
            true => Outcome::Done,
            false => Outcome::Skipped("all of it is entered".into()),
        })
    }
}
