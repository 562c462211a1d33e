//! `POST /api/subscription/reserve`, `renew`, `settle` and `release`.

use std::time::Duration;

use poem::http::StatusCode;
use poem_openapi::{Object, types::Any};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    super::user_id::UserId,
    Answer, Shared, WRITE, Who,
    access::{Access, Told, replayed, wish},
    input::{self, RawQuantity},
};
use crate::{
    db,
    http::{
        auth::Caller,
        problem::{Problem, timestamp},
    },
    usage::{self, HoldEnded, How, SettleError},
};

/// How long a reservation lasts where nothing is said.
const LASTS: u64 = 300;
/// In seconds.
const LASTS_MAX: u64 = 86_400;

pub type ReserveAnswer = Access;

/// What may be used, before it is known.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Reserve {
    /// Or `email`. Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    email: Option<String>,
    feature: Option<String>,
    /// Of the feature's unit; one when left out.
    quantity: Option<RawQuantity>,
    /// How long it is held, up to a day; 300 when left out.
    ttl_seconds: Option<u64>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
    app_name: Option<String>,
    metadata: Option<Any<Map<String, Value>>>,
}

/// A reservation that is needed for longer.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Renew {
    user_id: Option<UserId>,
    email: Option<String>,
    reservation_id: Option<String>,
    /// From now on, up to a day; 300 when left out.
    ttl_seconds: Option<u64>,
}

/// A use whose quantity is known now.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Settle {
    user_id: Option<UserId>,
    email: Option<String>,
    reservation_id: Option<String>,
    /// What was used; may be zero, and more than was held.
    quantity: Option<RawQuantity>,
}

/// A use that did not happen.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Release {
    user_id: Option<UserId>,
    email: Option<String>,
    reservation_id: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct RenewedHold {
    reservation_id: String,
    expires_at: String,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SettledHold {
    reservation_id: String,
    /// Of what was counted; absent where nothing was used.
    id: Option<String>,
    feature: Option<String>,
    quantity: Any<Value>,
    /// What was held for it.
    reserved: Any<Value>,
    /// Whether it had expired before: its place may have been given away.
    expired: bool,
    /// From four fifths of the limit on.
    warning: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct EndedHold {
    reservation_id: String,
    /// Always true.
    released: bool,
}

pub async fn reserve(
    shared: &Shared,
    caller: &Caller,
    idempotency_key: Option<String>,
    body: Reserve,
) -> Answer<ReserveAnswer> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, WRITE, &who).await?;
    let feature = shared.feature(body.feature.as_deref())?;
    let quantity = input::quantity(feature, body.quantity.as_ref())?;
    let lasts = lasts(body.ttl_seconds)?;
    let told = Told {
        header_key: idempotency_key,
        body_key: body.idempotency_key,
        app_name: body.app_name,
        metadata: body.metadata,
    };
    let request = told.wish(caller, &account, feature, quantity, How::Reserve(lasts))?;
    wish(shared, request).await
}

pub async fn renew(shared: &Shared, caller: &Caller, body: Renew) -> Answer<RenewedHold> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, WRITE, &who).await?;
    let hold_id = hold_id(body.reservation_id)?;
    let lasts = lasts(body.ttl_seconds)?;
    let mut tx = db::begin(&shared.pool).await?;
    let expires_at = usage::renew(
        &mut tx,
        &shared.rules,
        account.as_str(),
        hold_id,
        input::source(caller),
        lasts,
    )
    .await?
    .map_err(problem)?;
    tx.commit().await?;
    let renewed = RenewedHold {
        reservation_id: hold_id.to_string(),
        expires_at: timestamp(expires_at),
    };
    shared.answer(renewed, "Reservation renewed")
}

pub async fn settle(shared: &Shared, caller: &Caller, body: Settle) -> Answer<SettledHold> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, WRITE, &who).await?;
    let hold_id = hold_id(body.reservation_id)?;
    let told = body
        .quantity
        .ok_or_else(|| Problem::bad_request("MISSING_PARAMETER", "quantity is required"))?;
    let quantity = |feature: &str| {
        let feature = shared
            .feature(Some(feature))
            .map_err(|problem| problem.message)?;
        input::quantity_or_zero(feature, &told).map_err(|problem| problem.message)
    };
    let mut tx = db::begin(&shared.pool).await?;
    let settled = usage::settle(
        &mut tx,
        &shared.rules,
        account.as_str(),
        hold_id,
        input::source(caller),
        quantity,
    )
    .await?
    .map_err(|why| match why {
        SettleError::Ended(ended) => problem(ended),
        SettleError::Quantity(why) => Problem::bad_request("INVALID_QUANTITY", why),
    })?;
    tx.commit().await?;
    let receipt = settled.receipt;
    let quantity = receipt
        .as_ref()
        .map(|receipt| receipt.quantity)
        .unwrap_or_default();
    let answer = SettledHold {
        reservation_id: hold_id.to_string(),
        quantity: Any(quantity.to_json()),
        reserved: Any(settled.held.to_json()),
        expired: !settled.was_live,
        id: receipt.as_ref().map(|receipt| receipt.event_id.to_string()),
        warning: receipt.as_ref().and_then(|receipt| receipt.warning.clone()),
        feature: receipt.map(|receipt| receipt.feature),
    };
    let answer = shared.answer(answer, "Reservation settled")?;
    Ok(replayed(answer, settled.is_replay))
}

pub async fn release(shared: &Shared, caller: &Caller, body: Release) -> Answer<EndedHold> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, WRITE, &who).await?;
    let hold_id = hold_id(body.reservation_id)?;
    let mut tx = db::begin(&shared.pool).await?;
    usage::release(
        &mut tx,
        &shared.rules,
        account.as_str(),
        hold_id,
        input::source(caller),
    )
    .await?
    .map_err(problem)?;
    tx.commit().await?;
    let ended = EndedHold {
        reservation_id: hold_id.to_string(),
        released: true,
    };
    shared.answer(ended, "Reservation released")
}

fn lasts(told: Option<u64>) -> Result<Duration, Problem> {
    match told.unwrap_or(LASTS) {
        seconds @ 1..=LASTS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(Problem::bad_request(
            "INVALID_TTL",
            format!("ttlSeconds is 1 to {LASTS_MAX}"),
        )),
    }
}

fn hold_id(told: Option<String>) -> Result<Uuid, Problem> {
    let told =
        told.ok_or_else(|| Problem::bad_request("MISSING_PARAMETER", "reservationId is required"))?;
    told.parse().map_err(|_| problem(HoldEnded::Unknown))
}

fn problem(why: HoldEnded) -> Problem {
    let (status, code) = match why {
        HoldEnded::Unknown => (StatusCode::NOT_FOUND, "RESERVATION_NOT_FOUND"),
        HoldEnded::Settled(_) => (StatusCode::CONFLICT, "RESERVATION_SETTLED"),
        HoldEnded::Released => (StatusCode::CONFLICT, "RESERVATION_RELEASED"),
        HoldEnded::Expired(_) => (StatusCode::CONFLICT, "RESERVATION_EXPIRED"),
    };
    Problem::new(status, code, why.to_string())
}
