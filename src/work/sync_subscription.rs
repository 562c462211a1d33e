//! Bring one subscription in line with what Stripe says now, and telephony with the subscription.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, OpenPeriod, ProvisionSubaccount, ReactivateTelephony, SuspendTelephony,
    SyncSubscription,
    stripe::{self, Status},
    sync_subscription::{self, Plan, Stored, UNRESOLVED_FOR, delay_of_unresolved},
    telephony::desired::{self, Action},
};

use super::{Work, account};
use crate::{
    billing::{self, UNKNOWN_PRICE},
    context::Context,
    db::{accounts, findings, subscriptions, telephony},
    queue::{self, Failure, Lease, Outcome},
};

const MISSING: &str = "subscription_missing";
const UNRESOLVED: &str = "unresolved_customer";

impl Work for SyncSubscription {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(said) = ctx.stripe.subscription(&self.subscription_ref).await? else {
            return missing(ctx, lease, &self.subscription_ref).await;
        };
        let Some(owner) = owner(ctx, &said).await? else {
            return unresolved(ctx, lease, &said).await;
        };

        let mut tx = lease.begin(&ctx.pools.work).await?;
        accounts::ensure(&mut tx, &owner.account_id, owner.email.as_deref()).await?;
        accounts::lock(&mut tx, &owner.account_id).await?;
        let before = subscriptions::load(&mut tx, &said.id).await?;
        let now = ctx.clock.now();
        let stored = before.as_ref().map(stored);
        let plan = sync_subscription::decide(&said, stored.as_ref(), &ctx.catalogue, now);
        let Plan::Store {
            tier,
            price_ref,
            past_due_since,
            pause,
            unknown_price,
        } = plan
        else {
            return Ok(Outcome::Skipped("it ended for good".into()));
        };
        accounts::map_customer(&mut tx, &said.customer.0, &owner.account_id).await?;
        let period = said.period();
        let row = subscriptions::Subscription {
            subscription_ref: said.id.clone(),
            account_id: owner.account_id.clone(),
            customer_ref: said.customer.0.clone(),
            status: said.status.to_string(),
            tier,
            price_ref,
            period_starts_at: period.map(|(starts_at, _)| starts_at),
            period_ends_at: period.map(|(_, ends_at)| ends_at),
            anchor_at: said.billing_cycle_anchor,
            trial_starts_at: said.trial_start,
            trial_ends_at: said.trial_end,
            cancel_at_period_end: said.ends_with_period(),
            canceled_at: said.canceled_at,
            ended_at: said.ended_at,
            past_due_since,
            paused_since: pause
                .filter(|pause| pause.until.is_none())
                .map(|pause| pause.since),
            pause_began_at: pause
                .filter(|pause| pause.until.is_some())
                .map(|pause| pause.since),
            pause_ended_at: pause.and_then(|pause| pause.until),
            pause_behavior: said.pause_behavior().map(str::to_owned),
            payment_method_ref: said
                .default_payment_method
                .as_ref()
                .map(|one| one.0.clone()),
            created_at: said.created.unwrap_or(now),
            synced_at: now,
        };
        subscriptions::store(&mut tx, &row).await?;
        let catalogue = &ctx.catalogue;
        billing::tell_of_subscription(&mut tx, catalogue, &said, before.as_ref(), &row, now)
            .await?;
        report(&mut tx, &row, unknown_price.as_deref()).await?;
        ask_for_telephony(ctx, &mut tx, &owner.account_id).await?;
        let account_id = owner.account_id;
        queue::enqueue(&mut tx, &OpenPeriod { account_id }).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}

fn stored(row: &subscriptions::Subscription) -> Stored {
    Stored {
        account_id: row.account_id.clone(),
        status: Status::from(row.status.as_str()),
        tier: row.tier.clone(),
        past_due_since: row.past_due_since,
        pause: billing::pause(row),
    }
}

struct Owner {
    account_id: String,
    email: Option<String>,
}

/// Whose subscription it is: as stored, as its metadata says, as its customer is known, as the
/// customer's metadata says. Never by e-mail: addresses change, and are shared.
async fn owner(ctx: &Context, said: &stripe::Subscription) -> Result<Option<Owner>, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let stored = subscriptions::load(&mut conn, &said.id).await?;
    let known = match stored {
        Some(stored) => Some(stored.account_id),
        None => match stripe::account_in(&said.metadata) {
            Some(account_id) => Some(account_id),
            None => accounts::of_customer(&mut conn, &said.customer.0).await?,
        },
    };
    drop(conn);
    if let Some(account_id) = known {
        return Ok(Some(Owner {
            account_id,
            email: None,
        }));
    }
    let Some(customer) = ctx.stripe.customer(&said.customer.0).await? else {
        return Ok(None);
    };
    Ok(
        stripe::account_in(&customer.metadata).map(|account_id| Owner {
            account_id,
            email: customer.email,
        }),
    )
}

/// Ask for the step from where the account's telephony stands to what is wanted.
async fn ask_for_telephony(
    ctx: &Context,
    tx: &mut PgConnection,
    account_id: &str,
) -> Result<(), Failure> {
    let account = account::lock(ctx, tx, account_id).await?;
    let account_id = account_id.to_owned();
    let job = match desired::action(account.standing, account.wanted) {
        Action::Nothing => return Ok(()),
        Action::Order => {
            telephony::order(tx, &account_id).await?;
            NewJob::of(&ProvisionSubaccount { account_id })
        }
        Action::GoOn => NewJob::of(&ProvisionSubaccount { account_id }),
        Action::Reactivate => NewJob::of(&ReactivateTelephony { account_id }),
        Action::Suspend => NewJob::of(&SuspendTelephony { account_id }),
        Action::SuspendAt(at) => NewJob::of(&SuspendTelephony { account_id }).at(at),
    };
    queue::enqueue_all(tx, &[job]).await?;
    Ok(())
}

/// Open the finding of an unknown price, or close it.
async fn report(
    tx: &mut PgConnection,
    row: &subscriptions::Subscription,
    unknown_price: Option<&str>,
) -> sqlx::Result<()> {
    let subject = &row.subscription_ref;
    findings::close(tx, UNRESOLVED, subject, "its account is known now").await?;
    findings::close(tx, MISSING, subject, "Stripe answers it again").await?;
    match unknown_price {
        Some(price_ref) => {
            let detail = json!({ "price": price_ref, "tier_kept": row.tier });
            findings::keep(tx, UNKNOWN_PRICE, subject, &row.account_id, &detail).await?;
        }
        None => {
            findings::close(tx, UNKNOWN_PRICE, subject, "its price is known now").await?;
        }
    }
    Ok(())
}

/// Nobody we know pays for it yet: the checkout may be on its way. Tried for ever, ever more slowly.
async fn unresolved(
    ctx: &Context,
    lease: &Lease,
    said: &stripe::Subscription,
) -> Result<Outcome, Failure> {
    let now = ctx.clock.now();
    let age = now - said.created.unwrap_or(now);
    if said.status.is_terminal() && age >= UNRESOLVED_FOR {
        return Ok(Outcome::Skipped(
            "it ended, and nobody we know paid for it".into(),
        ));
    }
    if age >= UNRESOLVED_FOR && !said.status.is_terminal() {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let detail = json!({ "customer": said.customer.0, "status": said.status.as_str() });
        findings::keep(&mut tx, UNRESOLVED, &said.id, "", &detail).await?;
        tx.commit().await?;
    }
    let why = format!("no account is known for the customer {}", said.customer.0);
    Ok(Outcome::Later(now + delay_of_unresolved(age), why))
}

async fn missing(ctx: &Context, lease: &Lease, subject: &str) -> Result<Outcome, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let stored = subscriptions::load(&mut tx, subject).await?;
    if let Some(stored) = stored {
        let detail = json!({ "status_kept": stored.status });
        findings::keep(&mut tx, MISSING, subject, &stored.account_id, &detail).await?;
    }
    tx.commit().await?;
    Ok(Outcome::Skipped("Stripe knows no such subscription".into()))
}
