//! `POST /api/subscription/usage-corrections`.

use poem::http::StatusCode;
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use uuid::Uuid;

use super::{super::user_id::UserId, Answer, Shared, Who, access::replayed};
use crate::{
    db,
    http::{
        auth::{Caller, Scope},
        problem::{Problem, timestamp},
    },
    queue::operate::By,
    usage::{self, NotCorrected, Outcome},
};

const REASON_LENGTH_MAX: usize = 500;

/// A use that was reported wrongly.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Correct {
    /// Or `email`. Whose use it is.
    user_id: Option<UserId>,
    email: Option<String>,
    /// The `id` that track-usage answered.
    event_id: Option<String>,
    /// For whoever asks later; kept.
    reason: Option<String>,
}

/// The reversal.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Corrected {
    id: String,
    /// The use that is taken back.
    reversal_of: String,
    feature: String,
    /// Less than zero.
    quantity: Any<Value>,
    tier: String,
    timestamp: String,
}

pub async fn correct(shared: &Shared, caller: &Caller, body: Correct) -> Answer<Corrected> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, Scope::UsageAdmin, &who).await?;
    let required =
        |name: &str| Problem::bad_request("MISSING_PARAMETER", format!("{name} is required"));
    let event_id = body.event_id.ok_or_else(|| required("eventId"))?;
    let event_id: Uuid = event_id.parse().map_err(|_| unknown_event())?;
    let reason = body.reason.unwrap_or_default();
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(required("reason").into());
    }
    if reason.chars().count() > REASON_LENGTH_MAX || reason.contains('\0') {
        return Err(
            Problem::bad_request("INVALID_REASON", "reason has at most 500 characters").into(),
        );
    }

    let who = caller.principal().to_string();
    let by = By {
        who: &who,
        why: reason,
    };
    let mut tx = db::begin(&shared.pool).await?;
    let answered = usage::correct(&mut tx, &shared.rules, account.as_str(), event_id, by).await?;
    let answered = answered.map_err(problem)?;
    tx.commit().await?;
    let Outcome::Recorded(receipt) = answered.outcome else {
        return Err(Problem::internal().into());
    };
    let corrected = Corrected {
        id: receipt.event_id.to_string(),
        reversal_of: event_id.to_string(),
        feature: receipt.feature,
        quantity: Any(receipt.quantity.to_json()),
        tier: receipt.tier,
        timestamp: timestamp(receipt.at),
    };
    let answer = shared.answer(corrected, "Usage corrected")?;
    Ok(replayed(answer, answered.is_replay))
}

fn unknown_event() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "EVENT_NOT_FOUND",
        NotCorrected::Unknown.to_string(),
    )
}

fn problem(why: NotCorrected) -> Problem {
    match why {
        NotCorrected::Unknown => unknown_event(),
        NotCorrected::IsReversal => {
            Problem::new(StatusCode::CONFLICT, "EVENT_IS_REVERSAL", why.to_string())
        }
        NotCorrected::Before => Problem::new(
            StatusCode::CONFLICT,
            "EVENT_ALREADY_CORRECTED",
            why.to_string(),
        ),
    }
}
