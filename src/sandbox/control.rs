//! `/sandbox/…`: what the sandbox's owner may do over HTTP when it runs alone. No credentials: it
//! listens on loopback.
//!
//! `GET state`, `GET calls`, `GET deliveries`, `GET events`; `GET|POST|DELETE faults` and
//! `mischief` (one rule or a list); `POST clock {"advance_seconds"}`; `POST webhooks {"url", "secret"}`;
//! `POST prices {"id", "unit_amount"}`; `POST checkout/{session}/complete`; `POST events/{id}/resend`;
//! `POST subscriptions/{id}/status {"status"}`; `POST customers/{id}/payments {"succeed"}`. The books
//! and what belongs to them: `books`.

use chrono::TimeDelta;
use poem::{
    Body, Response,
    http::{Method, StatusCode, header},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Sandbox, books, deliveries::MischiefRule, faults::Rule, stripe::Status};

/// Ten years.
const ADVANCE_MAX: i64 = 3650 * 24 * 60 * 60;

#[derive(Deserialize)]
struct ClockMove {
    advance_seconds: i64,
}

#[derive(Deserialize)]
struct Webhook {
    url: String,
    secret: String,
}

#[derive(Deserialize)]
struct NewPrice {
    id: String,
    unit_amount: i64,
}

#[derive(Deserialize)]
struct NewStatus {
    status: Status,
}

#[derive(Deserialize)]
struct Payments {
    succeed: bool,
}

/// One or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

impl<T> From<OneOrMore<T>> for Vec<T> {
    fn from(rules: OneOrMore<T>) -> Vec<T> {
        match rules {
            OneOrMore::More(rules) => rules,
            OneOrMore::One(rule) => vec![rule],
        }
    }
}

/// A refusal: its status and what to do about it.
pub(super) struct Refusal(StatusCode, String);

pub(super) fn answer(sandbox: &Sandbox, method: &Method, path: &str, body: &[u8]) -> Response {
    let outcome = match *method {
        Method::GET => look(sandbox, path),
        _ => change(sandbox, method, path, body),
    };
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err(Refusal(status, error)) => (status, json!({"error": error})),
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(value.to_string()))
}

fn look(sandbox: &Sandbox, path: &str) -> Result<Value, Refusal> {
    match path {
        "state" => Ok(sandbox.state()),
        "books" => Ok(json!(sandbox.books())),
        "calls" => Ok(json!(sandbox.calls())),
        "deliveries" => Ok(json!(sandbox.deliveries())),
        "events" => Ok(json!(sandbox.events())),
        "faults" => Ok(json!(sandbox.rules())),
        "mischief" => Ok(json!(sandbox.mischief())),
        _ => Err(unknown(&Method::GET, path)),
    }
}

fn change(sandbox: &Sandbox, method: &Method, path: &str, body: &[u8]) -> Result<Value, Refusal> {
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["faults"]) => {
            sandbox.add_rules(read::<OneOrMore<Rule>>(body)?.into());
            Ok(json!(sandbox.rules()))
        }
        ("DELETE", ["faults"]) => {
            sandbox.clear_rules();
            Ok(json!([]))
        }
        ("POST", ["mischief"]) => {
            sandbox.add_mischief(read::<OneOrMore<MischiefRule>>(body)?.into());
            Ok(json!(sandbox.mischief()))
        }
        ("DELETE", ["mischief"]) => {
            sandbox.clear_mischief();
            Ok(json!([]))
        }
        ("POST", ["clock"]) => {
            let ClockMove { advance_seconds } = read(body)?;
            if !(0..=ADVANCE_MAX).contains(&advance_seconds) {
                return Err(refusal(
                    "advance_seconds is between 0 and ten years: the clock only moves on",
                ));
            }
            sandbox.advance(TimeDelta::seconds(advance_seconds));
            Ok(sandbox.state())
        }
        ("POST", ["webhooks"]) => {
            let Webhook { url, secret } = read(body)?;
            Ok(json!({"id": sandbox.add_webhook(&url, &secret)}))
        }
        ("POST", ["prices"]) => {
            let NewPrice { id, unit_amount } = read(body)?;
            sandbox.add_price(&id, unit_amount);
            Ok(json!({"id": id}))
        }
        ("POST", ["checkout", id, "complete"]) => {
            let subscription = sandbox.complete_checkout(id);
            let subscription = subscription.ok_or_else(|| missing("open checkout session", id))?;
            Ok(json!({"subscription": subscription}))
        }
        ("POST", ["subscriptions", id, "status"]) => {
            let NewStatus { status } = read(body)?;
            found(sandbox.set_status(id, status), "subscription", id)
        }
        ("POST", ["customers", id, "payments"]) => {
            let is_found = match read(body)? {
                Payments { succeed: true } => sandbox.let_payments_succeed(id),
                Payments { succeed: false } => sandbox.let_payments_fail(id),
            };
            found(is_found, "customer", id)
        }
        ("POST", ["events", id, "resend"]) => found(sandbox.resend(id), "event", id),
        _ => books::change(sandbox, method, path, body),
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| refusal(&format!("the body is not what is expected here: {error}")))
}

pub(super) fn unknown(method: &Method, path: &str) -> Refusal {
    Refusal(
        StatusCode::NOT_FOUND,
        format!("the sandbox has no {method} /sandbox/{path}"),
    )
}

fn refusal(why: &str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.to_owned())
}

pub(super) fn missing(what: &str, id: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no {what} {id:?}"))
}

pub(super) fn found(is_found: bool, what: &str, id: &str) -> Result<Value, Refusal> {
    if is_found {
        Ok(json!({"id": id}))
    } else {
        Err(missing(what, id))
    }
}
