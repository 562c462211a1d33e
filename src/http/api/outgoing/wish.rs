//! A wish at the door, and what becomes of it while its caller waits.

use std::time::Duration;

use poem::http::StatusCode;
use serde_json::{Map, Value};
use tollkeeper_jobs::{
    telephony::{
        e164::E164,
        outbound::{Channel, NOT_SENT, OUTCOME_UNKNOWN, Refused, TEXT_MAX, refused},
    },
    usage::MicroUnits,
};
use uuid::Uuid;

use super::super::{Shared, usage::input};
use crate::{
    db::{
        self,
        outbound::{self as wishes, Standing},
    },
    http::{
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
    outbound::{self, Denied, Wish},
};

/// As apps are told.
const NOT_SENT_WORD: &str = "NOT_SENT";

/// What an app says of a call or a message, before it is understood.
pub struct Said {
    pub channel: Channel,
    pub user_id: Option<String>,
    pub from: Option<String>,
    pub to: String,
    pub body: String,
    pub is_recorded: bool,
    pub metadata: Option<Map<String, Value>>,
    pub header_key: Option<String>,
    pub body_key: Option<String>,
}

/// A wish that was granted.
pub struct Granted {
    pub standing: Standing,
    /// What the plan has left; none where it sets no limit.
    pub plan_left: Option<MicroUnits>,
}

impl Granted {
    /// The provider's id, or ours while it has not answered: a client that finds none would ask again.
    pub fn sid(&self) -> String {
        let wish = &self.standing.wish;
        wish.ext_ref.clone().unwrap_or_else(|| wish.id.to_string())
    }

    /// In the provider's words; ours while it has not answered, and where nobody knows whether it will.
    pub fn status(&self) -> String {
        let is_unknown = self.standing.wish.error_code.as_deref() == Some(OUTCOME_UNKNOWN);
        let ours = if is_unknown { "unknown" } else { "queued" };
        self.standing.status.as_deref().unwrap_or(ours).to_owned()
    }

    pub fn is_sent(&self) -> bool {
        self.standing.wish.ext_ref.is_some()
    }
}

/// A text that must be there.
pub fn required(text: Option<String>, missing: &str) -> Result<String, Problem> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| Problem::bad_request("MISSING_PARAMETERS", missing))
}

impl Shared {
    /// Write the wish down with its job, and wait a while for the provider's word.
    pub async fn dispatch(&self, caller: &Caller, said: Said) -> Result<Granted, Problem> {
        let account = caller.account(Scope::TelephonyWrite, said.user_id.as_deref(), || {
            Problem::bad_request("MISSING_PARAMETER", "userId is required")
        })?;
        let wish = wish(caller, &account, said)?;
        let mut tx = db::begin(&self.pool).await?;
        let asked = outbound::ask(&mut tx, &self.policy, &wish).await?;
        let asked = asked.map_err(|why| denied(&why, self.clock.now()))?;
        if !asked.is_copy {
            tx.commit().await?;
            self.wake.ring();
            if asked.row.is_fallback {
                metrics::counter!("tollkeeper_master_fallback_total").increment(1);
            }
        } else {
            drop(tx);
        }
        let standing = self.decided(&account, asked.row.id).await?;
        match (&*standing.wish.state, &standing.wish.error_code) {
            ("failed", Some(code)) if asked.is_copy && code == NOT_SENT => Err(not_sent_before()),
            ("failed", code) => Err(failed(code.as_deref().unwrap_or_default())),
            _ => Ok(Granted {
                standing,
                plan_left: asked.plan_left,
            }),
        }
    }
}

impl Shared {
    /// The wish once it is decided, or as it stands when its caller waits no longer.
    async fn decided(&self, account: &AccountId, id: Uuid) -> Result<Standing, Problem> {
        let mut patience = self.patience();
        loop {
            let standing = {
                let mut tx = self.begin(account).await?;
                wishes::standing(&mut tx, account.as_str(), id).await?
            };
            let standing = standing.ok_or_else(Problem::internal)?;
            if standing.wish.state != "asked" || !patience.lasts().await {
                return Ok(standing);
            }
        }
    }
}

fn wish(caller: &Caller, account: &AccountId, said: Said) -> Result<Wish, Problem> {
    if said.body.chars().count() > TEXT_MAX {
        let why = format!("A message has at most {TEXT_MAX} characters");
        return Err(Problem::bad_request("MESSAGE_TOO_LONG", why));
    }
    if said.body.contains('\0') {
        let why = "A message holds no NUL character";
        return Err(Problem::bad_request("INVALID_MESSAGE", why));
    }
    let from = said.from.filter(|from| !from.trim().is_empty());
    let key = input::idempotency_key(said.header_key, said.body_key)?;
    Ok(Wish {
        account_id: account.as_str().to_owned(),
        channel: said.channel,
        from: from.map(|from| number("from", &from)).transpose()?,
        to: number("to", &said.to)?,
        body: said.body,
        is_recorded: said.is_recorded,
        metadata: input::metadata(said.metadata)?,
        key: key.map(|key| input::namespaced(caller, &key)),
        asked_by: caller.principal().to_string(),
    })
}

fn number(name: &str, text: &str) -> Result<E164, Problem> {
    E164::as_written(text.trim())
        .map_err(|error| Problem::bad_request("INVALID_PHONE_NUMBER", format!("{name} is {error}")))
}

fn denied(why: &Denied, now: chrono::DateTime<chrono::Utc>) -> Problem {
    let text = sentence(&why.to_string());
    match why {
        Denied::KeyReused => input::key_reused(),
        Denied::NoNumber => Problem::forbidden("NO_PHONE_NUMBER", text),
        Denied::NotYours => Problem::forbidden("NUMBER_NOT_YOURS", text),
        Denied::Suspended => Problem::forbidden("TELEPHONY_SUSPENDED", text),
        Denied::CallsNotOffered => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "CALLS_NOT_OFFERED", text)
        }
        Denied::TooLong => Problem::bad_request("MESSAGE_TOO_LONG", text),
        Denied::Country => Problem::forbidden("COUNTRY_NOT_ALLOWED", text),
        Denied::OptedOut => Problem::forbidden("RECIPIENT_OPTED_OUT", text),
        Denied::NotInPlan(code) => Problem {
            details: Some(serde_json::json!({ "code": code })),
            ..Problem::forbidden("NOT_IN_PLAN", text)
        },
        Denied::PlanUsedUp => Problem::new(StatusCode::TOO_MANY_REQUESTS, "QUOTA_EXCEEDED", text),
        Denied::DayUsedUp(until) => Problem {
            retry_after: Some((*until - now).to_std().unwrap_or(Duration::ZERO)),
            ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "SPEND_CAP_REACHED", text)
        },
    }
}

/// Why nothing was sent, by the provider's code or our own word.
fn failed(code: &str) -> Problem {
    let unprocessable = |word, text: &str| {
        let text = format!("{text} (code {code}); nothing was sent");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, word, text)
    };
    match refused(code) {
        Refused::OptedOut => denied(&Denied::OptedOut, Default::default()),
        Refused::Suspended => denied(&Denied::Suspended, Default::default()),
        Refused::Recipient => {
            unprocessable("RECIPIENT_REFUSED", "The provider cannot reach that number")
        }
        Refused::NotYet | Refused::Other if code != NOT_SENT => {
            unprocessable("PROVIDER_REFUSED", "The provider refused it")
        }
        Refused::NotYet | Refused::Other => Problem {
            retry_after: Some(Duration::from_secs(5)),
            ..Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                NOT_SENT_WORD,
                "The provider could not be asked in time, and nothing was sent: ask again",
            )
        },
    }
}

/// Its key stands for what was given up: nothing is sent under it any more.
fn not_sent_before() -> Problem {
    let why = "Nothing was sent, and its time is over: ask again with another Idempotency-Key";
    Problem::new(StatusCode::CONFLICT, NOT_SENT_WORD, why)
}

/// As a person reads it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}
