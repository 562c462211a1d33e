//! A wish is taken in, or denied with the reason.

use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, PlaceCall, SendMessage,
    telephony::{
        countries::is_allowed_country,
        desired::Standing,
        outbound::{
            self as rules, Carrier, Channel, Gate, NoRoom, NotTaken, Room, SAME_WISH_WITHIN,
        },
    },
    usage::MicroUnits,
};
use uuid::Uuid;

use super::{Policy, SOURCE, Wish};
use crate::{
    db::{
        accounts, messages,
        outbound::{self, Outbound},
        outbound_spend::{self, Today},
        overview, subaccounts, telephony,
    },
    queue,
    usage::{self, Account, Effect, How, Outcome, Question, Request, Verdict},
};

/// A wish that is written down.
#[derive(Debug, Clone)]
pub struct Asked {
    pub row: Outbound,
    /// It was asked for before: nothing is done for it a second time.
    pub is_copy: bool,
    /// What the plan has left, this wish taken off; none where it sets no limit.
    pub plan_left: Option<MicroUnits>,
}

/// Why a wish is not granted. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this idempotency key stands for another request: use a new one")]
    KeyReused,
    #[error("there is no number to call or write from: order one first")]
    NoNumber,
    #[error("the number to call or write from is not one of this user's")]
    NotYours,
    #[error("this user's telephony is suspended")]
    Suspended,
    #[error("calls are not offered from that number: use another one")]
    CallsNotOffered,
    #[error("the message is too long for that number: it takes 160 bytes of UTF-8")]
    TooLong,
    #[error("numbers of that country may not be called or written to")]
    Country,
    #[error("the recipient does not want messages from this number")]
    OptedOut,
    #[error("the plan does not include this")]
    NotInPlan(String),
    #[error("the plan's limit is reached")]
    PlanUsedUp,
    /// Until then.
    #[error("what may be spent in a day is spent")]
    DayUsedUp(DateTime<Utc>),
}

/// Take a wish in: the row, what is set aside for it, and its job. All of it, or a denial and a transaction that is to
/// be dropped.
pub async fn ask(
    tx: &mut PgConnection,
    policy: &Policy,
    wish: &Wish,
) -> sqlx::Result<Result<Asked, Denied>> {
    let now = policy.rules.clock.now();
    // Whatever is asked at once for one account is decided one after the other.
    if !accounts::lock(tx, &wish.account_id).await? {
        return Ok(Err(Denied::NoNumber));
    }
    let request_sha256 = sha256(wish);
    match earlier(tx, wish, &request_sha256, now).await? {
        Some(row) if row.request_sha256 != request_sha256 => return Ok(Err(Denied::KeyReused)),
        Some(row) => {
            let (_, verdict) = gate(tx, policy, wish).await?;
            return Ok(Ok(Asked {
                row,
                is_copy: true,
                plan_left: verdict.and_then(|verdict| verdict.remaining),
            }));
        }
        None => {}
    }
    let sender = match sender(tx, policy, wish).await? {
        Ok(sender) => sender,
        Err(denied) => return Ok(Err(denied)),
    };
    match sender.carrier.takes(wish.channel, &wish.body) {
        Ok(()) => {}
        Err(NotTaken::Calls) => return Ok(Err(Denied::CallsNotOffered)),
        Err(NotTaken::TooLong) => return Ok(Err(Denied::TooLong)),
    }
    if !is_allowed_country(&wish.to, &policy.allowed_countries) {
        return Ok(Err(Denied::Country));
    }
    let is_message = wish.channel == Channel::Message;
    if is_message && messages::is_opted_out(tx, &sender.number, wish.to.as_str()).await? {
        return Ok(Err(Denied::OptedOut));
    }
    let share = match set_aside(tx, policy, wish, sender.carrier, now).await? {
        Ok(share) => share,
        Err(denied) => return Ok(Err(denied)),
    };

    let row = Outbound {
        id: Uuid::now_v7(),
        account_id: wish.account_id.clone(),
        channel: wish.channel.as_str().to_owned(),
        asked_by: wish.asked_by.clone(),
        idempotency_key: wish.key.clone(),
        request_sha256,
        provider: sender.carrier.as_str().to_owned(),
        provider_ref: sender.provider_ref,
        is_fallback: sender.is_fallback,
        from_number: sender.number,
        to_number: wish.to.as_str().to_owned(),
        body: wish.body.clone(),
        is_recorded: wish.is_recorded,
        metadata: wish.metadata.clone(),
        hold_id: share.hold_id,
        units: share.units.try_into().unwrap_or(i32::MAX),
        cost_micros: share.cost_micros,
        state: "asked".to_owned(),
        ext_ref: None,
        error_code: None,
        asked_at: now,
        expires_at: now + wish.channel.lasts(),
    };
    outbound::insert(tx, &row).await?;
    outbound_spend::spend(tx, &row.account_id, row.day(), row.cost_micros).await?;
    queue::enqueue_all(tx, &[job(&row)]).await?;
    Ok(Ok(Asked {
        row,
        is_copy: false,
        plan_left: share.plan_left,
    }))
}

/// Of all that makes it this wish and no other.
fn sha256(wish: &Wish) -> Vec<u8> {
    let asked = json!({
        "channel": wish.channel.as_str(),
        "from": wish.from.as_ref().map(|from| from.as_str()),
        "to": wish.to.as_str(),
        "body": wish.body,
        "is_recorded": wish.is_recorded,
    });
    Sha256::digest(asked.to_string()).to_vec()
}

async fn earlier(
    tx: &mut PgConnection,
    wish: &Wish,
    request_sha256: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Outbound>> {
    match &wish.key {
        Some(key) => outbound::of_key(tx, &wish.account_id, key).await,
        None => {
            let since = now - SAME_WISH_WITHIN;
            outbound::same_since(tx, &wish.account_id, request_sha256, since).await
        }
    }
}

/// Whose number it leaves from.
struct Sender {
    carrier: Carrier,
    provider_ref: String,
    number: String,
    is_fallback: bool,
}

/// A number of the account's own that works; where it has none in use, the main account's, if that is switched on. Never
/// that one for who is suspended: it would undo the suspension.
async fn sender(
    tx: &mut PgConnection,
    policy: &Policy,
    wish: &Wish,
) -> sqlx::Result<Result<Sender, Denied>> {
    let telephony = telephony::load(tx, &wish.account_id).await?;
    let standing = telephony.and_then(|telephony| Standing::parse(&telephony.status));
    if matches!(standing, Some(Standing::Suspended | Standing::Released)) {
        return Ok(Err(Denied::Suspended));
    }
    let numbers = overview::active_numbers(tx, &wish.account_id).await?;
    if let Some(number) = own(&numbers, wish) {
        let (carrier, number) = (Carrier::of(&number.provider), number.phone_number.clone());
        let provider_ref = match carrier {
            Carrier::Twilio => {
                let subaccount = subaccounts::load(tx, &wish.account_id).await?;
                let active = subaccount.filter(|subaccount| subaccount.status == "active");
                active.and_then(|subaccount| subaccount.subaccount_ref)
            }
            // There is one account, whose name is no customer's matter.
            Carrier::Voipms => policy.has_voipms.then(|| carrier.as_str().to_owned()),
        };
        if let Some(provider_ref) = provider_ref {
            return Ok(Ok(Sender {
                carrier,
                provider_ref,
                number,
                is_fallback: false,
            }));
        }
    }
    let from = wish.from.as_ref().map(|from| from.as_str());
    let shared = policy.settings.fallback_number.as_ref();
    let shared = shared.filter(|shared| from.is_none_or(|from| from == shared.as_str()));
    Ok(match shared {
        Some(shared) if numbers.is_empty() => Ok(Sender {
            carrier: Carrier::Twilio,
            provider_ref: policy.master_ref.clone(),
            number: shared.as_str().to_owned(),
            is_fallback: true,
        }),
        _ if numbers.is_empty() => Err(Denied::NoNumber),
        _ => Err(Denied::NotYours),
    })
}

/// The number that is named, or the first that takes such a thing; if none does, the first.
fn own<'a>(numbers: &'a [overview::PhoneNumber], wish: &Wish) -> Option<&'a overview::PhoneNumber> {
    if let Some(from) = &wish.from {
        return numbers
            .iter()
            .find(|number| number.phone_number == from.as_str());
    }
    let takes = |number: &&overview::PhoneNumber| {
        let carrier = Carrier::of(&number.provider);
        carrier.takes(wish.channel, &wish.body).is_ok()
    };
    numbers.iter().find(takes).or(numbers.first())
}

/// What is set aside for a wish.
struct Share {
    units: u32,
    cost_micros: i64,
    hold_id: Option<Uuid>,
    /// Without it.
    plan_left: Option<MicroUnits>,
}

/// Set aside what it may take of the plan and of the day's money.
async fn set_aside(
    tx: &mut PgConnection,
    policy: &Policy,
    wish: &Wish,
    carrier: Carrier,
    now: DateTime<Utc>,
) -> sqlx::Result<Result<Share, Denied>> {
    let prices = policy.prices();
    let (gate, verdict) = gate(tx, policy, wish).await?;
    let plan_left = match (gate, &verdict) {
        (Gate::Closed, _) => return Ok(Err(Denied::NotInPlan("not_in_plan".to_owned()))),
        (_, Some(verdict)) if !verdict.is_allowed => return Ok(Err(denied(verdict))),
        (Gate::Hold(_), Some(verdict)) if verdict.rate_micros.is_none() => verdict.remaining,
        _ => None,
    };
    let today = Today {
        now,
        minute_micros: rules::cost(prices, Carrier::Twilio, Channel::Call, 1),
    };
    let day = today.day();
    let spent = outbound_spend::spent(tx, &wish.account_id, today).await?;
    let room = Room {
        minutes_max: policy.settings.call_minutes_max,
        money_left: policy.settings.spend_per_day_micros.map(|cap| cap - spent),
        plan_left: plan_left.map(MicroUnits::whole),
    };
    let units = match rules::units(carrier, wish.channel, &wish.body, room, prices) {
        Ok(units) => units,
        Err(NoRoom::Plan) => return Ok(Err(Denied::PlanUsedUp)),
        Err(NoRoom::Money) => {
            let midnight = day.succ_opt().and_then(|day| day.and_hms_opt(0, 0, 0));
            let until = midnight.map_or(now, |midnight| midnight.and_utc());
            return Ok(Err(Denied::DayUsedUp(until)));
        }
    };
    let hold_id = match gate {
        Gate::Hold(feature) => match hold(tx, policy, wish, feature, units).await? {
            Ok(hold_id) => Some(hold_id),
            Err(denied) => return Ok(Err(denied)),
        },
        Gate::Ask(_) | Gate::Open | Gate::Closed => None,
    };
    Ok(Ok(Share {
        units,
        cost_micros: rules::cost(prices, carrier, wish.channel, units),
        hold_id,
        plan_left: verdict
            .and_then(|verdict| verdict.remaining)
            .map(|left| (left - MicroUnits::of_units(units.into())).at_least_zero()),
    }))
}

/// What of the plan it takes, and whether one unit of that is left.
async fn gate(
    tx: &mut PgConnection,
    policy: &Policy,
    wish: &Wish,
) -> sqlx::Result<(Gate, Option<Verdict>)> {
    let mut accounts = Account::load(tx, [wish.account_id.as_str()]).await?;
    let account = accounts.remove(&wish.account_id).unwrap_or_default();
    let entitlement = policy.rules.entitlement(&account);
    let gate = rules::gate(entitlement.tier, wish.channel);
    let (Gate::Hold(feature) | Gate::Ask(feature)) = gate else {
        return Ok((gate, None));
    };
    let question = Question {
        account_id: wish.account_id.clone(),
        feature: feature.to_owned(),
        requested: MicroUnits::of_units(1),
    };
    let verdict = usage::judge(tx, &policy.rules, &[question]).await?.pop();
    Ok((gate, verdict))
}

/// Hold so much of the plan. What was left a moment ago may be held by others now: then it is denied.
async fn hold(
    tx: &mut PgConnection,
    policy: &Policy,
    wish: &Wish,
    feature: &str,
    units: u32,
) -> sqlx::Result<Result<Uuid, Denied>> {
    let request = Request {
        account_id: wish.account_id.clone(),
        feature: feature.to_owned(),
        quantity: MicroUnits::of_units(units.into()),
        how: How::Reserve(wish.channel.held_for().to_std().unwrap_or_default()),
        source: SOURCE,
        key: None,
        occurred_at: None,
        window: None,
        app_name: None,
        metadata: None,
    };
    let answered = usage::carry_out(tx, &policy.rules, &[&request])
        .await?
        .pop();
    Ok(match answered {
        Some(Ok(usage::Answered {
            outcome: Outcome::Judged(_, Some(Effect::Reserved { hold_id, .. })),
            ..
        })) => Ok(hold_id),
        Some(Ok(usage::Answered {
            outcome: Outcome::Judged(verdict, None),
            ..
        })) => Err(denied(&verdict)),
        _ => Err(Denied::PlanUsedUp),
    })
}

fn denied(verdict: &Verdict) -> Denied {
    match verdict.code.as_str() {
        "limit_reached" => Denied::PlanUsedUp,
        code => Denied::NotInPlan(code.to_owned()),
    }
}

/// The job that carries it out.
pub fn job(row: &Outbound) -> NewJob {
    let (outbound_id, account_id) = (row.id, row.account_id.clone());
    match row.channel() {
        Channel::Call => NewJob::of(&PlaceCall {
            outbound_id,
            account_id,
        }),
        Channel::Message => NewJob::of(&SendMessage {
            outbound_id,
            account_id,
        }),
    }
}
