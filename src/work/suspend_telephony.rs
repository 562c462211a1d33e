//! Suspend an account's telephony: its number is kept for the grace time, and answers nobody.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, ReleaseNumber, SuspendTelephony,
    provision_subaccount::SubaccountStatus,
    suspend_telephony::{self, Plan},
};

use super::{Work, account, subaccount_status};
use crate::{
    context::Context,
    db::{phone_numbers, subaccounts, telephony},
    journal::{Unfinished, twilio::SetSubaccountStatus},
    queue::{self, Failure, Lease, Outcome},
};

impl Work for SuspendTelephony {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let account_id = self.account_id.as_str();
        if account::has_news(ctx, lease, account_id).await? {
            let at = ctx.clock.now() + account::NEWS_TAKEN_IN;
            return Ok(Outcome::Later(
                at,
                "stripe says something new; that comes first".into(),
            ));
        }
        let now = ctx.clock.now();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let account = account::lock(ctx, &mut tx, account_id).await?;
        match suspend_telephony::decide(account.standing, account.wanted, now) {
            Plan::Nothing(why) => return Ok(Outcome::Skipped(why.into())),
            Plan::Wait(until) => {
                return Ok(Outcome::Later(until, "the grace time is not over".into()));
            }
            Plan::Suspend => write_down(ctx, &mut tx, account_id, now).await?,
            Plan::CarryOut => {}
        }
        let subaccount = subaccounts::load(&mut tx, account_id).await?;
        let turn = telephony::load(&mut tx, account_id)
            .await?
            .map_or(0, |telephony| telephony.turn);
        tx.commit().await?;

        let Some(subaccount_ref) = subaccount
            .filter(|subaccount| subaccount.status != SubaccountStatus::Closed.as_str())
            .and_then(|subaccount| subaccount.subaccount_ref)
        else {
            // Should one still be created, its own job asks for this one again.
            return Ok(Outcome::Done);
        };
        match carry_out(ctx, lease, account_id, &subaccount_ref, turn).await {
            Ok(()) => Ok(Outcome::Done),
            Err(unfinished) => unfinished.into_verdict("twilio"),
        }
    }
}

/// From here on nothing more is bought, and the end of the release grace is set.
async fn write_down(
    ctx: &Context,
    tx: &mut PgConnection,
    account_id: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let grace = TimeDelta::from_std(ctx.config.telephony.release_grace)
        .map_err(|error| Failure::Stop(format!("the release grace time: {error}")))?;
    let release_at = now + grace;
    telephony::suspend(tx, account_id, now, release_at).await?;
    phone_numbers::suspend_all(tx, account_id).await?;
    let releases: Vec<NewJob> = phone_numbers::kept(tx, account_id)
        .await?
        .into_iter()
        .map(|number| {
            NewJob::of(&ReleaseNumber {
                account_id: account_id.to_owned(),
                number_id: number.id,
            })
            .at(release_at)
        })
        .collect();
    if releases.is_empty() {
        telephony::release(tx, account_id).await?;
    }
    queue::enqueue_all(tx, &releases).await?;
    Ok(())
}

async fn carry_out(
    ctx: &Context,
    lease: &Lease,
    account_id: &str,
    subaccount_ref: &str,
    turn: i32,
) -> Result<(), Unfinished> {
    let wanted = SetSubaccountStatus {
        account_id,
        subaccount_ref,
        turn,
        status: "suspended",
    };
    subaccount_status::set(ctx, lease, &wanted).await?;
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    if account
        .telephony
        .is_some_and(|telephony| telephony.turn == turn)
    {
        subaccounts::set_status(&mut tx, account_id, wanted.status).await?;
    }
    tx.commit().await?;
    Ok(())
}
