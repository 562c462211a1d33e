//! Bring a subaccount's status at Twilio to what the account's present turn wants.

use tollkeeper_jobs::outside::{self, State};

use crate::{
    context::Context,
    db::provider_calls,
    journal::{self, Effect, Unfinished, twilio::SetSubaccountStatus},
    queue::{Failure, Lease},
};

/// Ask for the status, once per turn, after everything that could cross it is settled.
pub async fn set(
    ctx: &Context,
    lease: &Lease,
    wanted: &SetSubaccountStatus<'_>,
) -> Result<(), Unfinished> {
    settle_others(ctx, wanted).await?;
    journal::once(ctx, lease, wanted).await.map(|_| ())
}

/// Whether the last change that was ever asked for on this subaccount may have left it otherwise, or was not carried out.
pub async fn may_differ(ctx: &Context, account_id: &str, status: &str) -> Result<bool, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let calls = provider_calls::of_account(
        &mut conn,
        SetSubaccountStatus::PROVIDER,
        SetSubaccountStatus::KIND,
        account_id,
    )
    .await?;
    let last = calls
        .iter()
        .filter(|call| call.row().last_sent_at.is_some())
        .filter_map(|call| SetSubaccountStatus::parse(&call.subject).map(|turn| (turn, call)))
        .max_by_key(|((turn, _), _)| *turn);
    Ok(last.is_some_and(|((_, last_status), call)| {
        last_status != status || call.row().state != State::Done
    }))
}

/// One request of an earlier turn whose answer was lost: when its status is there, it was carried
/// out, and nobody has to wait for it. With more than one request on the way the status says nothing.
async fn settle_others(ctx: &Context, wanted: &SetSubaccountStatus<'_>) -> Result<(), Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let calls = provider_calls::of_account(
        &mut conn,
        SetSubaccountStatus::PROVIDER,
        SetSubaccountStatus::KIND,
        wanted.account_id,
    )
    .await?;
    drop(conn);
    let now = ctx.clock.now();
    let open: Vec<_> = calls
        .iter()
        .filter(|call| call.subject != wanted.subject())
        .filter(|call| {
            let row = call.row();
            let is_open =
                outside::open_until(&row, ctx.quiet_time()).is_some_and(|until| now < until);
            is_open && row.state == State::Sent && row.first_sent_at == row.last_sent_at
        })
        .collect();
    let [call] = open.as_slice() else {
        return Ok(());
    };
    let Some((_, status)) = SetSubaccountStatus::parse(&call.subject) else {
        return Ok(());
    };
    let there = ctx.twilio.account(wanted.subaccount_ref).await?;
    if there.is_some_and(|account| account.status == status) {
        let mut conn = ctx.pools.work.acquire().await?;
        let answer = serde_json::json!({});
        provider_calls::succeed(&mut conn, call.id, wanted.subaccount_ref, &answer).await?;
    }
    Ok(())
}
