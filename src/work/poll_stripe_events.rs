//! Fetch the Stripe events that were not delivered, and take them in as if they had been.

use tollkeeper_jobs::{
    HandleStripeEvent, PollStripeEvents,
    poll_stripe_events::{KINDS, LOOK_BACK},
};

use super::Work;
use crate::{
    context::Context,
    db::stored_events,
    queue::{self, Failure, Lease, Outcome},
};

impl Work for PollStripeEvents {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let since = ctx.clock.now() - LOOK_BACK;
        let events = ctx.stripe.undelivered_events(&KINDS, since).await?;
        let mut new = 0;
        // The oldest first, and each in a transaction of its own: what is taken in stays.
        for event in events.iter().rev() {
            let mut tx = ctx.pools.work.begin().await?;
            lease.hold(&mut tx).await?;
            let body = event.body.get().as_bytes();
            let stored = stored_events::store_polled(&mut tx, &event.id, &event.kind, body).await?;
            if let Some(webhook_id) = stored {
                queue::enqueue(&mut tx, &HandleStripeEvent { webhook_id }).await?;
                new += 1;
            }
            tx.commit().await?;
        }
        if new == 0 {
            return Ok(Outcome::Skipped("every event is stored already".into()));
        }
        ctx.wake.ring();
        tracing::warn!(
            events = new,
            "stripe events were fetched that nobody delivered"
        );
        Ok(Outcome::Done)
    }
}
