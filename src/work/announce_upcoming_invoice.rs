//! Tell of the next invoice; see the promise in `jobs/announce_upcoming_invoice.rs`.

use sqlx::PgConnection;
use tollkeeper_jobs::{
    AnnounceUpcomingInvoice, NewNotification,
    announce_upcoming_invoice::{Plan, decide},
    billing_notices::invoice_upcoming,
    stripe::Subscription,
    sync_subscription::{UNRESOLVED_FOR, delay_of_unresolved},
};

use super::Work;
use crate::{
    billing::{self, StatementError},
    context::Context,
    db::subscriptions,
    notify,
    queue::{Failure, Lease, Outcome},
};

impl Work for AnnounceUpcomingInvoice {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(said) = ctx.stripe.subscription(&self.subscription_ref).await? else {
            return Ok(Outcome::Skipped("Stripe knows no such subscription".into()));
        };
        if let Plan::Nothing(why) = decide(&said) {
            return Ok(Outcome::Skipped(why.into()));
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let Some(stored) = subscriptions::load(&mut tx, &said.id).await? else {
            return Ok(unknown(ctx, &said));
        };
        let Some(notice) = notice(ctx, &mut tx, &stored).await? else {
            return Ok(Outcome::Skipped(
                "another subscription is billed for this time".into(),
            ));
        };
        let announced = notify::announce(&mut tx, &[notice]).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(match announced.is_empty() {
            true => Outcome::Skipped("it was told before".into()),
            false => Outcome::Done,
        })
    }
}

/// What the period that runs comes to so far. None: somebody else pays for it.
async fn notice(
    ctx: &Context,
    tx: &mut PgConnection,
    stored: &subscriptions::Subscription,
) -> Result<Option<NewNotification>, Failure> {
    let (account_id, id) = (&stored.account_id, &stored.subscription_ref);
    let now = ctx.clock.now();
    let running = billing::statement(tx, &ctx.catalogue, account_id, now).await;
    let running = running.map_err(|error| match error {
        StatementError::Database(error) => error.into(),
        StatementError::Amount(error) => Failure::Stop(format!("the period of {id}: {error}")),
    })?;
    let payer = running.period.payer.as_ref();
    if payer.is_none_or(|payer| payer.subscription_ref != *id) {
        return Ok(None);
    }
    let lines = running.lines.into_iter();
    let lines: Vec<(String, i64)> = lines
        .map(|line| (line.description, line.amount_minor))
        .collect();
    let span = running.period.span;
    let statement = &running.statement;
    let (total, currency) = (statement.total_minor, &statement.currency);
    Ok(Some(invoice_upcoming(
        account_id,
        id,
        span,
        span.ends_at,
        total,
        currency,
        &lines,
    )))
}

/// Its account is found by `sync_subscription`, which was asked for with this.
fn unknown(ctx: &Context, said: &Subscription) -> Outcome {
    let now = ctx.clock.now();
    let age = now - said.created.unwrap_or(now);
    let why = "nobody we know is its customer";
    match age >= UNRESOLVED_FOR {
        true => Outcome::Skipped(why.into()),
        false => Outcome::Later(now + delay_of_unresolved(age), why.into()),
    }
}
