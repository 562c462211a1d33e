//! `POST /api/subscription/track-usage`.

use poem_openapi::{
    Object,
    types::{Any, ToJSON},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::user_id::UserId,
    Answer, Shared, WRITE, Who,
    access::replayed,
    input::{self, RawQuantity},
};
use crate::{
    http::{
        auth::Caller,
        problem::{Problem, timestamp},
    },
    usage::{Answered, How, Key, KeyReused, Outcome, Receipt, Request},
};

/// Most uses in one call.
const EVENTS_MAX: usize = 1000;

/// Something was used.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TrackUsage {
    /// Or `email`. Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    email: Option<String>,
    /// Required, or `events`.
    feature: Option<String>,
    /// Of the feature's unit; one when left out.
    quantity: Option<RawQuantity>,
    app_name: Option<String>,
    /// Kept as it is: an object of up to 4096 bytes.
    metadata: Option<Any<Map<String, Value>>>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
    /// When it was used, up to 80 days ago; now when left out.
    occurred_at: Option<String>,
    /// Up to 1,000 uses of this user, each with a result of its own.
    events: Option<Vec<Use>>,
}

/// One use of several.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Use {
    feature: Option<String>,
    quantity: Option<RawQuantity>,
    app_name: Option<String>,
    metadata: Option<Any<Map<String, Value>>>,
    /// When left out, and the request has one: that one, the place in the list, and all that the list holds.
    idempotency_key: Option<String>,
    occurred_at: Option<String>,
}

/// What was counted; of several, how many, and each in `results`.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct Tracked {
    id: Option<String>,
    feature: Option<String>,
    quantity: Option<Any<Value>>,
    /// The plan that was in effect.
    tier: Option<String>,
    timestamp: Option<String>,
    /// From four fifths of the limit on.
    warning: Option<String>,
    /// Of several: how many were counted by this request.
    recorded: Option<u32>,
    /// How many are copies of what was counted before.
    replayed: Option<u32>,
    /// How many cannot be counted; their results say why.
    refused: Option<u32>,
    results: Option<Vec<UseResult>>,
}

/// What became of one use of several.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UseResult {
    /// `recorded`, `replayed` or `refused`.
    status: String,
    id: Option<String>,
    feature: Option<String>,
    quantity: Option<Any<Value>>,
    tier: Option<String>,
    timestamp: Option<String>,
    warning: Option<String>,
    /// Why it is refused, for a program.
    code: Option<String>,
    /// Why it is refused, for a person.
    message: Option<String>,
}

pub async fn track(
    shared: &Shared,
    caller: &Caller,
    idempotency_key: Option<String>,
    body: TrackUsage,
) -> Answer<Tracked> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let account = shared.account(caller, WRITE, &who).await?;
    let key = input::idempotency_key(idempotency_key, body.idempotency_key)?;
    if let Some(uses) = body.events {
        if body.feature.is_some() || uses.is_empty() || uses.len() > EVENTS_MAX {
            return Err(Problem::bad_request(
                "INVALID_EVENTS",
                format!("events holds 1 to {EVENTS_MAX} uses, and stands for feature and quantity"),
            )
            .into());
        }
        let tracked = several(shared, caller, account.as_str(), key, uses).await?;
        return shared.answer(tracked, "Usage tracked successfully");
    }
    let one = Use {
        feature: body.feature,
        quantity: body.quantity,
        app_name: body.app_name,
        metadata: body.metadata,
        idempotency_key: key,
        occurred_at: body.occurred_at,
    };
    let request = shared.request(caller, account.as_str(), one, None)?;
    let answered = shared.desk.carry_out(vec![request]).await?.swap_remove(0);
    let (receipt, is_replay) = receipt(answered)?;
    let tracked = Tracked {
        id: Some(receipt.event_id.to_string()),
        feature: Some(receipt.feature),
        quantity: Some(Any(receipt.quantity.to_json())),
        tier: Some(receipt.tier),
        timestamp: Some(timestamp(receipt.at)),
        warning: receipt.warning,
        ..Tracked::default()
    };
    let answer = shared.answer(tracked, "Usage tracked successfully")?;
    Ok(replayed(answer, is_replay))
}

impl Shared {
    /// `batch` is the key of the whole request, what that holds, and the place in it.
    fn request(
        &self,
        caller: &Caller,
        account_id: &str,
        told: Use,
        batch: Option<(&str, &str, usize)>,
    ) -> Result<Request, Problem> {
        let feature = self.feature(told.feature.as_deref())?;
        let quantity = input::quantity(feature, told.quantity.as_ref())?;
        let app_name = input::app_name(told.app_name)?;
        let metadata = input::metadata(told.metadata.map(|Any(told)| told))?;
        let occurred_at = self.occurred_at(told.occurred_at.as_deref())?;
        let own = input::idempotency_key(None, told.idempotency_key)?;
        let (key, whole) = match (own, batch) {
            // Behind a sign that no key of an app's own has.
            (None, Some((key, whole, place))) => (Some(format!("{key}\u{1f}{place}")), Some(whole)),
            (own, _) => (own, None),
        };
        let asked = json!({
            "track": feature.id, "quantity": quantity, "at": occurred_at, "app": app_name,
            "metadata": metadata, "batch": whole,
        });
        let key = key.map(|key| Key::of_request(input::namespaced(caller, &key), &asked));
        Ok(Request {
            account_id: account_id.to_owned(),
            feature: feature.id.clone(),
            quantity,
            how: How::Track,
            source: input::source(caller),
            key,
            occurred_at,
            window: None,
            app_name,
            metadata,
        })
    }
}

/// What was counted, and whether that was before.
fn receipt(answered: Result<Answered, KeyReused>) -> Result<(Receipt, bool), Problem> {
    match answered {
        Ok(Answered {
            outcome: Outcome::Recorded(receipt),
            is_replay,
        }) => Ok((receipt, is_replay)),
        // The key stood for something else before.
        Ok(_) | Err(KeyReused) => Err(input::key_reused()),
    }
}

async fn several(
    shared: &Shared,
    caller: &Caller,
    account_id: &str,
    key: Option<String>,
    uses: Vec<Use>,
) -> Result<Tracked, Problem> {
    let mut requests = Vec::with_capacity(uses.len());
    let mut read = Vec::with_capacity(uses.len());
    // The key stands for this list: in another one under the same key nothing is taken for a copy.
    let whole = hex::encode(Sha256::digest(Value::from(uses.to_json()).to_string()));
    for (place, one) in uses.into_iter().enumerate() {
        let batch = key.as_deref().map(|key| (key, whole.as_str(), place));
        read.push(
            shared
                .request(caller, account_id, one, batch)
                .map(|request| requests.push(request)),
        );
    }
    let mut answers = match requests.is_empty() {
        true => Vec::new(),
        false => shared.desk.carry_out(requests).await?,
    }
    .into_iter();
    let results: Vec<UseResult> = read
        .into_iter()
        .map(
            |read| match read.map(|()| answers.next().map_or(Err(input::key_reused()), receipt)) {
                Ok(Ok((receipt, is_replay))) => UseResult::counted(receipt, is_replay),
                Ok(Err(problem)) | Err(problem) => UseResult::refused(problem),
            },
        )
        .collect();
    let count =
        |status: &str| Some(results.iter().filter(|one| one.status == status).count() as u32);
    Ok(Tracked {
        recorded: count(RECORDED),
        replayed: count(REPLAYED),
        refused: count(REFUSED),
        results: Some(results),
        ..Tracked::default()
    })
}

const RECORDED: &str = "recorded";
const REPLAYED: &str = "replayed";
const REFUSED: &str = "refused";

impl UseResult {
    fn counted(receipt: Receipt, is_replay: bool) -> UseResult {
        UseResult {
            status: if is_replay { REPLAYED } else { RECORDED }.to_owned(),
            id: Some(receipt.event_id.to_string()),
            feature: Some(receipt.feature),
            quantity: Some(Any(receipt.quantity.to_json())),
            tier: Some(receipt.tier),
            timestamp: Some(timestamp(receipt.at)),
            warning: receipt.warning,
            ..UseResult::default()
        }
    }

    fn refused(problem: Problem) -> UseResult {
        UseResult {
            status: REFUSED.to_owned(),
            code: Some(problem.code.to_owned()),
            message: Some(problem.message),
            ..UseResult::default()
        }
    }
}
