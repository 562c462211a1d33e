//! What the load sends: one whole request of each kind.

use clap::ValueEnum;
use tollkeeper::{
    clock::Clock,
    signature::{stripe, twilio},
};
use uuid::Uuid;

pub const SECRET: &str = "whsec_made_up_for_the_bench";
/// An event as Stripe sends it, 5 KB.
pub const EVENT: &str = include_str!(
    "../tests/it/golden/webhooks/stripe/new/customer.subscription.updated.activated.json"
);
/// The number that is called.
pub const CALLED: &str = "+14155550100";
/// Uses in one request of a batch.
pub const BATCH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A signed Stripe event of its own.
    Webhook,
    /// A signed call of its own to one number, which wants an answer.
    Ring,
    /// May they? For one user after the other.
    Validate,
    /// One use was done.
    Track,
    /// A hundred uses were done.
    Batch,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Webhook => "webhook",
            Kind::Ring => "ring",
            Kind::Validate => "validate",
            Kind::Track => "track",
            Kind::Batch => "batch",
        }
    }

    /// One request; of usage for the `number`th of so many users, each time around in another order.
    pub fn request(self, key: &str, number: usize, users: usize) -> Vec<u8> {
        // Users do not come in the order of their ids.
        let user = number.wrapping_mul(7_919) % users.max(1);
        match self {
            Kind::Webhook => delivery(),
            Kind::Ring => ring(),
            Kind::Validate => post(
                "validate-access",
                key,
                &format!(r#"{{"userId":"user-{user}","feature":"ai_queries"}}"#),
            ),
            Kind::Track => post(
                "track-usage",
                key,
                &format!(r#"{{"userId":"user-{user}","feature":"ai_queries","quantity":1}}"#),
            ),
            Kind::Batch => {
                let uses = vec![r#"{"feature":"ai_queries"}"#; BATCH].join(",");
                let body = format!(r#"{{"userId":"user-{user}","events":[{uses}]}}"#);
                post("track-usage", key, &body)
            }
        }
    }
}

fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /api/subscription/{path} HTTP/1.1\r\nhost: bench.test\r\ncontent-type: application/json\r\n\
         authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One call, signed by the account that the number is under.
fn ring() -> Vec<u8> {
    const PATH: &str = "/api/twilio/voice";
    const TOKEN: &str = "00000000000000000000000000000002";
    let call = format!("CA{}", Uuid::new_v4().simple());
    let params = [
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("CallSid", &call),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+14155550199"),
        ("To", CALLED),
    ];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let signature = twilio::sign(TOKEN, &format!("https://bench.test{PATH}"), &params);
    let form: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace('+', "%2B")))
        .collect();
    let body = form.join("&");
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: bench.test\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         x-twilio-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One delivery, signed now.
fn delivery() -> Vec<u8> {
    let body = EVENT.replacen(
        "evt_1SFixture",
        &format!("evt_{}", Uuid::new_v4().simple()),
        1,
    );
    let signature = stripe::sign(SECRET, body.as_bytes(), Clock::default().now().timestamp());
    format!(
        "POST /stripe/webhook HTTP/1.1\r\nhost: bench.test\r\ncontent-type: application/json\r\n\
         stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
