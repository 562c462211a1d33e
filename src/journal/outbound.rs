//! What the effects that leave have in common, whoever carries them.

use chrono::TimeDelta;
use sqlx::PgConnection;
use tollkeeper_jobs::telephony::{desired::Standing, outbound::Channel};

use super::Permission;
use crate::{
    clients::ClientError,
    context::Context,
    db::{
        accounts, messages,
        outbound::{self, Outbound},
        overview::{self, PhoneNumber},
        telephony,
    },
    queue::Failure,
};

/// The providers' clocks and ours differ by less.
pub(super) const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(2);

/// How soon who waits for another wish looks again.
const ANOTHER_IS_FIRST: TimeDelta = TimeDelta::seconds(1);

/// What is asked for.
pub(super) fn request(wish: &Outbound) -> String {
    let Outbound {
        provider_ref,
        from_number,
        to_number,
        body,
        ..
    } = wish;
    let channel = wish.channel().as_str();
    format!("{channel} {provider_ref} {from_number} {to_number} {body}")
}

/// Not what is decided, nor once it comes too late, nor for an account that was suspended meanwhile, nor from a number that
/// it gave back, which may be another's by now; and not beside an earlier one between the same two numbers, which could
/// not be told from this one in the provider's list.
pub(super) async fn permission(
    ctx: &Context,
    tx: &mut PgConnection,
    wish: &Outbound,
    may: impl Fn(Option<Standing>) -> bool,
) -> Result<Permission, Failure> {
    accounts::lock(tx, &wish.account_id).await?;
    // It may have been settled since this run read it: then its money is somebody else's.
    if !outbound::is_asked(tx, wish.id).await? {
        return Ok(Permission::NotWanted("it is decided already"));
    }
    let now = ctx.clock.now();
    if now >= wish.expires_at {
        return Ok(Permission::NotWanted("it could not be sent in time"));
    }
    let telephony = telephony::load(tx, &wish.account_id).await?;
    if !may(telephony.and_then(|telephony| Standing::parse(&telephony.status))) {
        return Ok(Permission::NotWanted(
            "its telephony was taken away meanwhile",
        ));
    }
    let numbers = overview::active_numbers(tx, &wish.account_id).await?;
    let is_theirs = |number: &PhoneNumber| number.phone_number == wish.from_number;
    if !wish.is_fallback && !numbers.iter().any(is_theirs) {
        return Ok(Permission::NotWanted(
            "the number it was to leave from was given back meanwhile",
        ));
    }
    let is_message = wish.channel() == Channel::Message;
    if is_message && messages::is_opted_out(tx, &wish.from_number, &wish.to_number).await? {
        return Ok(Permission::NotWanted("its recipient has written STOP"));
    }
    if outbound::is_behind_another(tx, wish, now - ctx.quiet_time()).await? {
        let until = now + ANOTHER_IS_FIRST;
        return Ok(Permission::WaitUntil(
            until,
            "an earlier one is not decided",
        ));
    }
    Ok(Permission::Granted)
}

/// Those that are of no other wish.
pub(super) async fn unknown(
    ctx: &Context,
    wish: &Outbound,
    provider: &'static str,
    mut refs: Vec<String>,
) -> Result<Vec<String>, ClientError> {
    let known = async {
        let mut conn = ctx.pools.work.acquire().await?;
        outbound::known_refs(&mut conn, &wish.account_id, &refs).await
    };
    let known = known.await.map_err(|error| ClientError::Unknown {
        provider,
        status: None,
        why: format!("which of them are others cannot be read: {error}"),
    })?;
    refs.retain(|one| !known.contains(one));
    Ok(refs)
}
