//! The bodies behind a good signature: whatever a provider writes in them, they are read or refused.

use proptest::{prelude::*, sample::Index};
use tollkeeper_jobs::{
    handle_stripe_event::decide,
    stripe::{Event, Object, Subscription, Whose, account_in},
    telephony::callback::{self, Address},
};

use super::{
    change::{changed, changes},
    tried,
};
use crate::support::web::golden_files;

const JSON_WORDS: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\\u00",
    "-",
    "1e999",
    "-1",
    "0.5",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "253402300800",
    "8210266876800",
    "1e18",
    "\u{fffd}",
    "\u{feff}",
    "\0",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\"object\":\"customer\",",
    "\"id\":null,",
    "\"customer\":{\"id\":7},",
    "\"metadata\":{\"user_id\":\"\"},",
    "\"items\":null,",
    "v1.",
];
const FORM_WORDS: &[&str] = &[
    "&",
    "=",
    "%00",
    "%",
    "+",
    "CallSid=CA00000000000000000000000000000003",
    "&RecordingSid=RE",
    "&MessageSid=SM00000000000000000000000000000001",
    "&CallStatus=",
    "SequenceNumber=٣",
    "é",
    "&DialCallStatus=a€",
    "&MessageStatus=a€",
    "&ErrorCode=a€",
    "&IdempotencyToken=a€&UsageTriggerSid=UT00000000000000000000000000000001",
];

pub fn tried_all(cases: usize, seed: u64) -> usize {
    stripe_events(cases * 3 / 4, seed) + callbacks(cases - cases * 3 / 4, seed)
}

fn stripe_events(cases: usize, seed: u64) -> usize {
    let events: Vec<Vec<u8>> = ["new", "old", "thin"]
        .into_iter()
        .flat_map(|shape| golden_files(&format!("webhooks/stripe/{shape}"), ".json"))
        .map(|(_, body)| body)
        .collect();
    let case = (any::<Index>(), changes(JSON_WORDS));
    tried(cases, seed, &case, |(which, changes)| {
        let body = changed(&events[which.index(events.len())], &changes);
        let whose = Whose::read(&body);
        // Both are looked up in a transaction that holds other deliveries too.
        for text in [&whose.customer_ref, &whose.account_id]
            .into_iter()
            .flatten()
        {
            prop_assert!(!text.is_empty() && !text.contains('\0'), "{:?}", text);
        }
        if let Ok(event) = Event::parse(&body) {
            prop_assert_eq!(decide(&event), decide(&event));
            look_into(&event.object);
        }
        Ok(())
    })
}

/// Everything that is asked of an object.
fn look_into(object: &Object) {
    match object {
        Object::Subscription(subscription) => look_into_subscription(subscription),
        Object::Invoice(invoice) => {
            let _ = (invoice.subscription_ref(), invoice.is_paid());
            let _ = invoice.subscription_metadata().and_then(account_in);
        }
        Object::CheckoutSession(session) => {
            let _ = (session.account_id(), session.email().map(str::len));
        }
        Object::Customer(customer) => {
            let _ = account_in(&customer.metadata);
        }
        Object::Charge(_)
        | Object::Refund(_)
        | Object::Dispute(_)
        | Object::Related { .. }
        | Object::Other => {}
    }
}

fn look_into_subscription(subscription: &Subscription) {
    let _ = account_in(&subscription.metadata);
    let _ = (subscription.period(), subscription.price_refs().count());
    let _ = subscription.status.is_terminal();
}

fn callbacks(cases: usize, seed: u64) -> usize {
    let forms = golden_files("webhooks/twilio", ".form");
    let addresses = [
        Address::Call,
        Address::CallFallback,
        Address::Message,
        Address::QuietMessage,
        Address::Action,
        Address::Report,
    ];
    let case = (
        any::<Index>(),
        prop::sample::select(addresses.to_vec()),
        changes(FORM_WORDS),
    );
    tried(cases, seed, &case, |(which, address, changes)| {
        let form = changed(&which.get(&forms).1, &changes);
        let params: Vec<_> = form_urlencoded::parse(&form).into_owned().collect();
        let callback = callback::read(address, &params);
        // It is stored as it is, in an indexed column.
        let is_plain = |key: &str| key.len() <= 400 && key.bytes().all(|b| b.is_ascii_graphic());
        prop_assert!(
            callback.key.as_deref().is_none_or(is_plain),
            "{:?}",
            callback
        );
        Ok(())
    })
}
