//! Taking back what was reported wrongly: a reversal that names its original, with who asked for it and why.
//!
//! The original stays. It is taken back once: the same wish again is answered like the first.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::usage::MicroUnits;
use uuid::Uuid;

use super::{Answered, Outcome, Receipt, Rules};
use crate::{
    db::usage::{
        events::{self, NewEvent},
        keys::{self, NewKey},
    },
    queue::operate::{self, By},
};

const SOURCE: &str = "correction";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCorrected {
    #[error("this user has no such event")]
    Unknown,
    #[error("a reversal is not taken back: report the use again")]
    IsReversal,
    #[error("this event was taken back before, for another reason")]
    Before,
}

/// Take one use of this account back, in the windows it was counted in.
pub async fn correct(
    tx: &mut PgConnection,
    rules: &Rules,
    account_id: &str,
    event_id: Uuid,
    by: By<'_>,
) -> sqlx::Result<Result<Answered, NotCorrected>> {
    let now = rules.clock.now();
    let Some(original) = events::load(tx, account_id, event_id).await? else {
        return Ok(Err(NotCorrected::Unknown));
    };
    if original.reversal_of.is_some() {
        return Ok(Err(NotCorrected::IsReversal));
    }
    let reversal = NewEvent {
        event_id: Uuid::now_v7(),
        account_id: account_id.to_owned(),
        source: SOURCE.to_owned(),
        source_id: event_id.to_string(),
        quantity: -original.quantity,
        reversal_of: Some(event_id),
        ..original
    };
    let key = NewKey {
        account_id: account_id.to_owned(),
        source: SOURCE,
        source_id: event_id.to_string(),
        feature: String::new(),
        event_id: reversal.event_id,
        request_sha256: super::request::sha256(by.why),
    };
    if keys::claim(tx, std::slice::from_ref(&key), now)
        .await?
        .is_empty()
    {
        return before(tx, &key).await;
    }
    events::store(tx, &[&reversal], now).await?;
    let outcome = Outcome::Recorded(Receipt {
        event_id: reversal.event_id,
        feature: reversal.feature,
        quantity: MicroUnits(reversal.quantity),
        tier: reversal.tier,
        at: now,
        warning: None,
    });
    let kept = serde_json::to_value(&outcome).map_err(|error| sqlx::Error::Encode(error.into()))?;
    keys::keep_outcomes(tx, &[(&key, Some(kept))]).await?;
    let target = json!({ "account_id": account_id, "event_id": event_id });
    operate::record(tx, "usage_correction", by, None, target, 1).await?;
    Ok(Ok(Answered {
        outcome,
        is_replay: false,
    }))
}

async fn before(
    tx: &mut PgConnection,
    key: &NewKey,
) -> sqlx::Result<Result<Answered, NotCorrected>> {
    let first = keys::claimed(tx, &[key]).await?.pop();
    let outcome = first
        .filter(|first| first.request_sha256 == key.request_sha256)
        .and_then(|first| serde_json::from_value(first.outcome?).ok());
    Ok(match outcome {
        Some(outcome) => Ok(Answered {
            outcome,
            is_replay: true,
        }),
        None => Err(NotCorrected::Before),
    })
}
