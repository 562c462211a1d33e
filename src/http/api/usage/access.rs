//! `POST /api/subscription/validate-access`.

use poem_openapi::{Object, payload::Response, types::Any};
use serde_json::{Map, Value, json};
use tollkeeper_jobs::{
    plans::Feature,
    usage::{Allowance, Code, MicroUnits, allowance::warning},
};

use super::{
    super::user_id::UserId,
    Answer, READ, Shared, WRITE, Who,
    input::{self, RawQuantity},
};
use crate::{
    http::{
        auth::{AccountId, Caller},
        problem::{Problem, timestamp},
    },
    usage::{Answered, Effect, How, Key, Outcome, Question, Request, Verdict},
};

/// Most features in one question.
const FEATURES_MAX: usize = 50;

/// May a user use a feature?
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ValidateAccess {
    /// Or `email`. Required from an app; a user's own when left out.
    user_id: Option<UserId>,
    email: Option<String>,
    /// Required, or `features`.
    feature: Option<String>,
    /// Several at once, up to 50: each has its answer in `results`.
    features: Option<Vec<String>>,
    /// Of the feature's unit; one when left out.
    requested_quantity: Option<RawQuantity>,
    /// Count it, if it is allowed, in the same step. With one feature.
    consume: Option<bool>,
    /// As the `Idempotency-Key` header.
    idempotency_key: Option<String>,
    /// Kept with what is consumed.
    app_name: Option<String>,
    /// Kept with what is consumed: an object of up to 4096 bytes.
    metadata: Option<Any<Map<String, Value>>>,
}

/// The answer for one feature; of several, whether all of them are allowed, and each in `results`.
#[derive(Debug, Default, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct Access {
    allowed: bool,
    /// Why: `within_limit`, `over_limit_billable`, `limit_reached`, `not_in_plan`, `unknown_feature`, or what took
    /// the plan's rights away: `subscription_past_due`, `subscription_canceled`, `subscription_paused`,
    /// `subscription_unpaid`, `subscription_incomplete`.
    code: Option<String>,
    /// The plan that is in effect.
    tier: Option<String>,
    feature: Option<String>,
    /// Units per window, or `"unlimited"`.
    limit: Option<Any<Value>>,
    current_usage: Option<Any<Value>>,
    /// Held by reservations.
    held: Option<Any<Value>>,
    /// What was left before this request, or `"unlimited"`.
    remaining: Option<Any<Value>>,
    requested_quantity: Option<Any<Value>>,
    /// By how much the request goes beyond the limit.
    overage: Option<Any<Value>>,
    /// Whether what goes beyond the limit is allowed, and billed.
    overage_allowed: Option<bool>,
    /// What a unit beyond the limit costs, in dollars.
    overage_unit_price: Option<f64>,
    /// `day`, `month` or `cycle`.
    window: Option<String>,
    /// When the window ends.
    resets_at: Option<String>,
    /// For a person.
    message: Option<String>,
    /// From four fifths of the limit on.
    warning: Option<String>,
    /// Whether it was counted.
    consumed: Option<bool>,
    /// Of what was counted.
    event_id: Option<String>,
    /// Of what is held.
    reservation_id: Option<String>,
    /// When what is held is free again.
    expires_at: Option<String>,
    results: Option<Vec<Access>>,
}

impl Access {
    pub fn of(shared: &Shared, verdict: &Verdict, effect: Option<Effect>) -> Access {
        let unlimited = || Some(Any(json!("unlimited")));
        let number = |quantity: MicroUnits| Some(Any(quantity.to_json()));
        let is_limited = verdict.limit.is_some_and(|limit| limit > MicroUnits::ZERO);
        let rate = verdict.rate_micros;
        let mut access = Access {
            allowed: verdict.is_allowed,
            code: Some(verdict.code.clone()),
            tier: Some(verdict.tier.clone()),
            feature: Some(verdict.feature.clone()),
            limit: verdict.limit.map_or_else(unlimited, number),
            // Where there is nothing to count against, older clients are told nothing is used.
            current_usage: number(if is_limited {
                verdict.counted
            } else {
                MicroUnits::ZERO
            }),
            remaining: verdict.remaining.map_or_else(unlimited, number),
            overage_allowed: Some(rate.is_some()),
            overage_unit_price: rate.map(|rate| rate as f64 / 1e6),
            window: Some(verdict.window.clone()),
            resets_at: Some(timestamp(verdict.resets_at)),
            message: denial(verdict),
            warning: shared.warning(verdict),
            ..Access::default()
        };
        if is_limited {
            access.requested_quantity = number(verdict.requested);
            access.held = (verdict.held > MicroUnits::ZERO).then(|| Any(verdict.held.to_json()));
            access.overage =
                (verdict.overage > MicroUnits::ZERO).then(|| Any(verdict.overage.to_json()));
        }
        match effect {
            Some(Effect::Consumed { event_id }) => {
                access.event_id = Some(event_id.to_string());
            }
            Some(Effect::Reserved {
                hold_id,
                expires_at,
            }) => {
                access.reservation_id = Some(hold_id.to_string());
                access.expires_at = Some(timestamp(expires_at));
            }
            None => {}
        }
        access
    }

    fn of_unknown(feature: &str) -> Access {
        Access {
            code: Some(Code::UnknownFeature.as_str().to_owned()),
            feature: Some(feature.chars().take(64).collect()),
            ..Access::default()
        }
    }

    fn of_several(results: Vec<Access>) -> Access {
        Access {
            allowed: results.iter().all(|one| one.allowed),
            tier: results.iter().find_map(|one| one.tier.clone()),
            results: Some(results),
            ..Access::default()
        }
    }
}

fn denial(verdict: &Verdict) -> Option<String> {
    let limit = verdict.limit.filter(|_| !verdict.is_allowed)?;
    if limit == MicroUnits::ZERO {
        return Some(format!(
            "{} not available in {} tier",
            verdict.feature, verdict.tier
        ));
    }
    let per = match verdict.window.as_str() {
        "day" => "daily",
        _ => "monthly",
    };
    Some(format!(
        "Would exceed {per} limit. Current: {}, Limit: {limit}",
        verdict.counted
    ))
}

impl Shared {
    fn warning(&self, verdict: &Verdict) -> Option<String> {
        let allowance = Allowance::UpTo(verdict.limit?);
        warning(&verdict.feature, allowance, verdict.counted)
    }
}

pub async fn validate(
    shared: &Shared,
    caller: &Caller,
    idempotency_key: Option<String>,
    body: ValidateAccess,
) -> Answer<Access> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    let is_consumed = body.consume.unwrap_or_default();
    let scope = if is_consumed { WRITE } else { READ };
    let account = shared.account(caller, scope, &who).await?;
    let account_id = account.as_str().to_owned();
    if let Some(features) = body.features.filter(|_| body.feature.is_none()) {
        if is_consumed {
            return Err(Problem::bad_request(
                "INVALID_PARAMETER",
                "consume goes with one feature: send one request for each",
            )
            .into());
        }
        let access = several(
            shared,
            &account_id,
            &features,
            body.requested_quantity.as_ref(),
        );
        return shared.answer(access.await?, "Access validated");
    }
    let feature = shared.feature(body.feature.as_deref())?;
    let requested = input::quantity(feature, body.requested_quantity.as_ref())?;
    if !is_consumed {
        let question = Question {
            account_id,
            feature: feature.id.clone(),
            requested,
        };
        let verdict = shared.desk.judge(vec![question]).await?.swap_remove(0);
        return shared.answer(Access::of(shared, &verdict, None), "Access validated");
    }
    let told = Told {
        header_key: idempotency_key,
        body_key: body.idempotency_key,
        app_name: body.app_name,
        metadata: body.metadata,
    };
    let request = told.wish(caller, &account, feature, requested, How::Consume)?;
    wish(shared, request).await
}

/// What comes with a wish, as it is told.
pub struct Told {
    pub header_key: Option<String>,
    pub body_key: Option<String>,
    pub app_name: Option<String>,
    pub metadata: Option<Any<Map<String, Value>>>,
}

impl Told {
    /// The wish, with a key that stands for all of it.
    pub fn wish(
        self,
        caller: &Caller,
        account: &AccountId,
        feature: &Feature,
        quantity: MicroUnits,
        how: How,
    ) -> Result<Request, Problem> {
        let app_name = input::app_name(self.app_name)?;
        let metadata = input::metadata(self.metadata.map(|Any(told)| told))?;
        let key = input::idempotency_key(self.header_key, self.body_key)?;
        let lasts = match how {
            How::Reserve(lasts) => Some(lasts.as_secs()),
            How::Track | How::Consume => None,
        };
        let asked = json!({
            "wish": feature.id, "quantity": quantity, "reserved_for": lasts, "app": app_name,
            "metadata": metadata,
        });
        Ok(Request {
            account_id: account.as_str().to_owned(),
            feature: feature.id.clone(),
            quantity,
            how,
            source: input::source(caller),
            key: key.map(|key| Key::of_request(input::namespaced(caller, &key), &asked)),
            occurred_at: None,
            window: None,
            app_name,
            metadata,
        })
    }
}

/// Ask for something that is granted or not.
pub async fn wish(shared: &Shared, request: Request) -> Answer<Access> {
    let how = request.how;
    let Answered { outcome, is_replay } = shared
        .desk
        .carry_out(vec![request])
        .await?
        .swap_remove(0)
        .map_err(|_| input::key_reused())?;
    let Outcome::Judged(verdict, effect) = outcome else {
        // The key stood for a report before.
        return Err(input::key_reused().into());
    };
    let mut access = Access::of(shared, &verdict, effect);
    let message = match (how, effect) {
        (How::Reserve(_), Some(_)) => "Usage reserved",
        (How::Reserve(_), None) => "Nothing is reserved",
        (How::Consume | How::Track, _) => {
            access.consumed = Some(effect.is_some());
            "Access validated"
        }
    };
    shared
        .answer(access, message)
        .map(|answer| replayed(answer, is_replay))
}

/// Says of an answer that it was given before.
pub fn replayed<T>(answer: Response<T>, is_replay: bool) -> Response<T> {
    match is_replay {
        true => answer.header("Idempotency-Replayed", "true"),
        false => answer,
    }
}

async fn several(
    shared: &Shared,
    account_id: &str,
    features: &[String],
    requested: Option<&RawQuantity>,
) -> Result<Access, Problem> {
    if features.is_empty() || features.len() > FEATURES_MAX {
        return Err(Problem::bad_request(
            "INVALID_PARAMETER",
            format!("features names 1 to {FEATURES_MAX} features"),
        ));
    }
    let mut questions = Vec::new();
    for named in features {
        if let Some(feature) = shared.catalogue.feature(named) {
            questions.push(Question {
                account_id: account_id.to_owned(),
                feature: feature.id.clone(),
                requested: input::quantity(feature, requested)?,
            });
        }
    }
    let mut verdicts = shared.desk.judge(questions).await?.into_iter();
    let answer = |named: &String| match shared.catalogue.feature(named) {
        None => Access::of_unknown(named),
        Some(_) => verdicts.next().map_or_else(
            || Access::of_unknown(named),
            |verdict| Access::of(shared, &verdict, None),
        ),
    };
    Ok(Access::of_several(features.iter().map(answer).collect()))
}
