//! The Stripe events of many customers: the recorded ones, each time of another customer.

use std::sync::LazyLock;

use serde_json::Value;
use tollkeeper_jobs::stripe_events;

use super::web::golden_files;

/// The customer of every recording.
const CUSTOMER: &str = "cus_TFixture000001";

/// An event as Stripe would send it.
pub struct Event {
    pub id: String,
    pub body: Vec<u8>,
}

/// A recording: its own event id, and its text.
static RECORDED: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let files = ["new", "old"]
        .into_iter()
        .flat_map(|shape| golden_files(&format!("webhooks/stripe/{shape}"), ".json"));
    files
        .map(|(_, body)| String::from_utf8(body).unwrap())
        .filter_map(|body| {
            let event: Value = serde_json::from_str(&body).unwrap();
            stripe_events::route(event["type"].as_str().unwrap())?;
            // A dispute names its charge only.
            body.contains(CUSTOMER).then_some(())?;
            Some((event["id"].as_str().unwrap().to_owned(), body))
        })
        .collect()
});

/// The event of this number, always the same: it leads to one job, about that customer and, where it
/// names one, about the account `user-<customer>`.
pub fn event(number: usize, customer: &str) -> Event {
    let (recorded_id, body) = &RECORDED[number % RECORDED.len()];
    let id = format!("evt_crowd_{number}");
    let body = body
        .replace(recorded_id.as_str(), &id)
        .replace(CUSTOMER, &format!("cus_{customer}"))
        .replace("sub_1SFixture0000000001", &format!("sub_{customer}"))
        .replace("\"42\"", &format!("\"user-{customer}\""));
    Event {
        id,
        body: body.into_bytes(),
    }
}
