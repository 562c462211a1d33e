//! Fetch the Stripe events that were not delivered, and take them in as if they had been.

use chrono::{DateTime, Utc};
use serde_json::json;
use tollkeeper_jobs::{
    HandleStripeEvent, NewJob, PollStripeEvents,
    poll_stripe_events::{GIVEBACKS_LOOK_BACK, LOOK_BACK, looks_for_givebacks},
    stripe_events,
};
use uuid::Uuid;

use super::{Work, account, handle_stripe_event::UNREADABLE};
use crate::{
    clients::stripe::ListedEvent,
    context::Context,
    db::webhooks::{self, NewWebhook, Provider, State},
    queue::{self, Failure, Lease, Outcome},
};

/// So many held events are taken up at once; the next poll takes the rest.
const HELD_MAX: i64 = 500;

impl Work for PollStripeEvents {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let now = ctx.clock.now();
        let kinds: Vec<_> = stripe_events::handled_types().collect();
        let since = now - LOOK_BACK;
        let undelivered = ctx.stripe.undelivered_events(&kinds, since).await?;
        let mut new = take_in(ctx, lease, &undelivered).await?;
        if looks_for_givebacks(self.tick_at) {
            let missing = missing_givebacks(ctx, now).await?;
            new += take_in(ctx, lease, &missing).await?;
        }
        new += take_up_held(ctx, lease).await?;
        if new == 0 {
            return Ok(Outcome::Skipped("every event is stored already".into()));
        }
        ctx.wake.ring();
        tracing::warn!(
            events = new,
            "stripe events were fetched that were not here, or taken up that were held"
        );
        Ok(Outcome::Done)
    }
}

/// The oldest first, and each in a transaction of its own: what is taken in stays. Answers how many were not stored yet.
async fn take_in(
    ctx: &Context,
    lease: &Lease,
    newest_first: &[ListedEvent],
) -> Result<usize, Failure> {
    let mut new = 0;
    for event in newest_first.iter().rev() {
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
        let now = ctx.clock.now();
        for webhook_id in webhooks::insert_all(&mut tx, &[&webhook], now).await? {
            let account_id = account::of_event(&mut tx, &webhook.body).await?;
            let job = NewJob::of(&HandleStripeEvent { webhook_id }).of_account(account_id);
            queue::enqueue_all(&mut tx, &[job]).await?;
            new += 1;
        }
        tx.commit().await?;
    }
    Ok(new)
}

/// What was told of money given back, and is not stored.
async fn missing_givebacks(ctx: &Context, now: DateTime<Utc>) -> Result<Vec<ListedEvent>, Failure> {
    let kinds: Vec<_> = stripe_events::types_of_givebacks().collect();
    let since = now - GIVEBACKS_LOOK_BACK;
    let mut events = ctx.stripe.events(&kinds, since).await?;
    let keys: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let mut conn = ctx.pools.work.acquire().await?;
    let stored = webhooks::stored(&mut conn, Provider::Stripe, &keys).await?;
    events.retain(|event| !stored.contains(&event.id));
    Ok(events)
}

/// Events that were kept for later are looked at again. Those that cannot be read wait for a person: once the finding
/// about one is closed, it is looked at too.
async fn take_up_held(ctx: &Context, lease: &Lease) -> Result<usize, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let held = webhooks::held(&mut tx, UNREADABLE, HELD_MAX).await?;
    let mut jobs = Vec::new();
    for webhook in &held {
        let webhook_id = webhook.id;
        let account_id = account::of_event(&mut tx, &webhook.body).await?;
        jobs.push(NewJob::of(&HandleStripeEvent { webhook_id }).of_account(account_id));
    }
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    Ok(jobs.len())
}
