//! Fetch the Stripe events that were not delivered, and take them in as if they had been.

use serde_json::json;
use tollkeeper_jobs::{
    HandleStripeEvent, NewJob, PollStripeEvents, poll_stripe_events::LOOK_BACK, stripe_events,
};
use uuid::Uuid;

use super::{Work, account};
use crate::{
    context::Context,
    db::webhooks::{self, NewWebhook, Provider, State},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for PollStripeEvents {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let kinds: Vec<_> = stripe_events::handled_types().collect();
        let events = ctx
            .stripe
            .undelivered_events(&kinds, now - LOOK_BACK)
            .await?;
        let mut new = 0;
        // The oldest first, and each in a transaction of its own: what is taken in stays.
        for event in events.iter().rev() {
            let mut tx = lease.begin(&ctx.pools.work).await?;
            let webhook = NewWebhook {
                id: Uuid::now_v7(),
                provider: Provider::Stripe,
                event_key: event.id.clone(),
                kind: event.kind.clone(),
                endpoint: "poll".to_owned(),
                headers: json!({}),
                body: event.body.get().as_bytes().to_vec(),
                state: State::Stored,
            };
            for webhook_id in webhooks::insert_all(&mut tx, &[&webhook], now).await? {
                let account_id = account::of_event(&mut tx, &webhook.body).await?;
                let job = NewJob::of(&HandleStripeEvent { webhook_id }).of_account(account_id);
                queue::enqueue_all(&mut tx, &[job]).await?;
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
