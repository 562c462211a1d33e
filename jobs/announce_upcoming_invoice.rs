//! Tell a customer that their next invoice is coming, and what they used beyond their plan so far.
//!
//! Enqueued by `handle_stripe_event` for `invoice.upcoming`. Safe to run twice: it is told once for a period. What it
//! tells is rated by the function that bills; it bills nothing, and puts nothing on any invoice.

use serde::{Deserialize, Serialize};

use crate::{
    Job,
    stripe::{Status, Subscription},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceUpcomingInvoice {
    pub subscription_ref: String,
}

impl Job for AnnounceUpcomingInvoice {
    const KIND: &'static str = "announce_upcoming_invoice";

    fn key(&self) -> String {
        self.subscription_ref.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Announce,
    Nothing(&'static str),
}

/// Whether an invoice is coming, as the subscription stands now.
pub fn decide(said: &Subscription) -> Plan {
    let goes_on = matches!(
        said.status,
        Status::Active | Status::PastDue | Status::Trialing
    );
    if !goes_on || said.ends_with_period() {
        return Plan::Nothing("it is not renewed");
    }
    match said.pause_behavior() {
        Some(_) => Plan::Nothing("collecting its invoices is paused"),
        None => Plan::Announce,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_a_subscription_that_is_renewed_and_collected_has_an_invoice_coming() {
        let check = |fields: Value, is_coming: bool| {
            let mut said = json!({"id": "sub_1", "customer": "cus_1", "status": "active"});
            let more = fields.as_object().unwrap().clone();
            said.as_object_mut().unwrap().extend(more);
            let plan = decide(&serde_json::from_value(said).unwrap());
            assert_eq!(plan == Plan::Announce, is_coming, "{fields}");
        };
        check(json!({}), true);
        check(json!({"status": "trialing"}), true);
        check(json!({"status": "past_due"}), true);
        check(json!({"status": "canceled"}), false);
        check(json!({"status": "unpaid"}), false);
        check(json!({"cancel_at_period_end": true}), false);
        let period =
            json!({"current_period_start": 1_798_761_600, "current_period_end": 1_801_440_000});
        let until = |cancel_at: i64| {
            let mut said = period.clone();
            said["cancel_at"] = cancel_at.into();
            said
        };
        check(until(1_801_440_000), false);
        check(until(1_801_440_001), true);
        check(json!({"pause_collection": {"behavior": "void"}}), false);
    }
}
