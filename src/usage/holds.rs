//! What becomes of a hold: it is renewed while it lives, and settled with what was used or released.
//!
//! An end that is repeated is answered like the first. A use that happened is counted, also when its hold had
//! expired: the hold kept a place, it is not the place that is counted. `by` is who ends it, app or user: a user
//! ends what they hold themselves, and nothing an app holds for them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    plans::Window,
    usage::{MicroUnits, Span},
};
use uuid::Uuid;

use super::{Answered, How, Key, KeyReused, Outcome, Receipt, Request, Rules, carry_out};
use crate::db::usage::holds::{self, Hold};

/// The source of what a hold is settled with.
const SOURCE: &str = "hold";

/// Why nothing becomes of a hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldEnded {
    #[error("there is no such reservation")]
    Unknown,
    #[error("the reservation was settled with {0}")]
    Settled(MicroUnits),
    #[error("the reservation was released")]
    Released,
    #[error("the reservation expired at {0}")]
    Expired(DateTime<Utc>),
}

/// A hold that is settled.
#[derive(Debug, Clone)]
pub struct Settled {
    /// None: nothing was used.
    pub receipt: Option<Receipt>,
    pub held: MicroUnits,
    /// Whether it held its place until it was settled.
    pub was_live: bool,
    pub is_replay: bool,
}

/// The hold now lives for so long at least.
pub async fn renew(
    tx: &mut PgConnection,
    rules: &Rules,
    account_id: &str,
    hold_id: Uuid,
    by: &str,
    lasts: Duration,
) -> sqlx::Result<Result<DateTime<Utc>, HoldEnded>> {
    let Some(hold) = holds::lock(tx, account_id, hold_id, by).await? else {
        return Ok(Err(HoldEnded::Unknown));
    };
    if let Some(ended) = ended(&hold) {
        return Ok(Err(ended));
    }
    let lasts = TimeDelta::from_std(lasts).unwrap_or(TimeDelta::MAX);
    let renewed = holds::renew(tx, &hold, lasts, rules.clock.offset()).await?;
    Ok(renewed.ok_or(HoldEnded::Expired(hold.expires_at)))
}

/// Nothing was used: what was held is free again.
pub async fn release(
    tx: &mut PgConnection,
    rules: &Rules,
    account_id: &str,
    hold_id: Uuid,
    by: &str,
) -> sqlx::Result<Result<Hold, HoldEnded>> {
    let Some(hold) = holds::lock(tx, account_id, hold_id, by).await? else {
        return Ok(Err(HoldEnded::Unknown));
    };
    match ended(&hold) {
        None => {
            holds::end(tx, hold_id, None, rules.clock.now()).await?;
            Ok(Ok(hold))
        }
        Some(HoldEnded::Released) => Ok(Ok(hold)),
        Some(ended) => Ok(Err(ended)),
    }
}

/// So much was used, whatever was held. It counts when the hold began, in the window that was held.
pub async fn settle(
    tx: &mut PgConnection,
    rules: &Rules,
    account_id: &str,
    hold_id: Uuid,
    by: &str,
    quantity: impl FnOnce(&str) -> Result<MicroUnits, String>,
) -> sqlx::Result<Result<Settled, SettleError>> {
    let now = rules.clock.now();
    let Some(hold) = holds::lock(tx, account_id, hold_id, by).await? else {
        return Ok(Err(HoldEnded::Unknown.into()));
    };
    let quantity = match quantity(&hold.feature) {
        Ok(quantity) => quantity,
        Err(why) => return Ok(Err(SettleError::Quantity(why))),
    };
    let is_replay = match ended(&hold) {
        None => false,
        Some(HoldEnded::Settled(before)) if before == quantity => true,
        Some(ended) => return Ok(Err(ended.into())),
    };
    holds::end(tx, hold_id, Some(quantity.0), now).await?;
    let mut settled = Settled {
        receipt: None,
        held: MicroUnits(hold.quantity),
        was_live: hold.expires_at > hold.ended_at.unwrap_or(now),
        is_replay,
    };
    if quantity > MicroUnits::ZERO {
        let request = use_of(&hold, quantity);
        let answered = carry_out(tx, rules, &[&request]).await?.pop();
        settled.receipt = match answered {
            Some(Ok(Answered {
                outcome: Outcome::Recorded(receipt),
                ..
            })) => Some(receipt),
            Some(Err(KeyReused)) | Some(Ok(_)) | None => return Ok(Err(HoldEnded::Unknown.into())),
        };
    }
    Ok(Ok(settled))
}

/// Why a hold is not settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Ended(#[from] HoldEnded),
    #[error("{0}")]
    Quantity(String),
}

fn ended(hold: &Hold) -> Option<HoldEnded> {
    match (hold.state.as_str(), hold.settled_quantity) {
        ("settled", Some(quantity)) => Some(HoldEnded::Settled(MicroUnits(quantity))),
        ("released", _) => Some(HoldEnded::Released),
        _ => None,
    }
}

fn use_of(hold: &Hold, quantity: MicroUnits) -> Request {
    let hold_id = hold.hold_id.to_string();
    let key = Key::of_request(hold_id, &serde_json::json!({ "settled": quantity }));
    let span = hold.window_ends_at.map(|ends_at| Span {
        starts_at: hold.window_starts_at,
        ends_at,
    });
    Request {
        account_id: hold.account_id.clone(),
        feature: hold.feature.clone(),
        quantity,
        how: How::Track,
        source: SOURCE,
        key: Some(key),
        occurred_at: Some(hold.created_at),
        window: span.map(|span| (Window::of_stored(&hold.per), span)),
        app_name: hold.app_name.clone(),
        metadata: hold.metadata.clone(),
    }
}
