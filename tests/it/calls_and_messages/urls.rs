//! Every address that Twilio is ever given leads back here.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    house_of_ann,
    settings::{COLLEAGUE, Desk, SETTINGS},
};
use crate::support::{
    api::token,
    phone::{CALLER, Phone, sid},
};

#[tokio::test]
async fn every_url_that_the_provider_is_given_is_served_to_it_and_to_nobody_else() {
    let desk = Desk::of_ann().await;
    let sandbox = &desk.house.sandbox;
    // With its number, in what callers hear, and with what an app asks for.
    let mut given = vec![desk.ring(0).await];
    for settings in [
        json!({ "voicemail": {"enabled": true} }),
        json!({ "forwarding": {"enabled": true, "number": COLLEAGUE} }),
    ] {
        desk.put(SETTINGS, settings).await;
        given.push(desk.ring(1).await);
    }
    for number in sandbox.numbers() {
        let urls = [
            number.voice_url,
            number.voice_fallback_url,
            number.sms_url,
            number.sms_fallback_url,
            number.status_callback,
        ];
        assert!(urls.iter().all(|url| !url.is_empty()), "{urls:?}");
        given.extend(urls);
    }
    for (path, body) in [
        (
            "make-call",
            json!({ "to": CALLER, "message": "Hello", "record": true }),
        ),
        ("make-call", json!({ "to": CALLER, "message": "Hello" })),
        ("send-sms", json!({ "to": CALLER, "body": "Hello" })),
    ] {
        let path = format!("/api/twilio/{path}");
        let asked = desk.api.post(&path, &token("ann"), body).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
    }
    for asked in sandbox
        .phone_calls()
        .into_iter()
        .filter_map(|call| call.asked)
    {
        given.extend([asked.twiml, asked.status_callback]);
    }
    let messages = sandbox.phone_messages().into_iter();
    given.extend(messages.filter_map(|message| message.status_callback));

    let ours = |text: &str| -> Vec<String> {
        let urls = text
            .split(['"', '<', '>'])
            .filter(|part| part.starts_with("http"));
        urls.map(|url| url.replace("&amp;", "&")).collect()
    };
    let urls: BTreeSet<String> = given.iter().flat_map(|text| ours(text)).collect();
    assert!(urls.len() >= 8, "{urls:?}");
    for url in &urls {
        // What stands behind # is advice on repeats; it is neither sent nor signed.
        let (url, _) = url.split_once('#').unwrap_or((url, ""));
        let target = url
            .strip_prefix("https://hooks.test")
            .unwrap_or_else(|| panic!("{url}"));
        let call = sid("CA", 0);
        let ended = [
            ("CallSid", call.as_str()),
            ("CallStatus", "completed"),
            ("CallDuration", "9"),
        ];
        assert_eq!(
            desk.phone.tell(&desk.web, target, &ended).await.status(),
            200,
            "{url}"
        );
        let forged = desk.web.twilio(target, &ended, "another token").await;
        assert_eq!(forged.status(), 403, "{url}");
    }
    desk.house.settle().await;
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_token_that_was_promoted_at_twilio_is_known_after_the_next_sweep() {
    let (house, web, mut phone) = house_of_ann().await;
    phone.token = house.sandbox.promote_token(&phone.account_sid).unwrap();
    let told = async |phone: &Phone, nth| {
        let sid = sid("SM", nth);
        let params = [
            ("MessageSid", sid.as_str()),
            ("From", CALLER),
            ("To", &phone.number),
            ("Body", "hello"),
        ];
        let answer = phone.tell(&web, "/api/twilio/sms", &params).await;
        answer.status().as_u16()
    };
    assert_eq!(told(&phone, 1).await, 403);

    house.sweep().await;

    assert_eq!(told(&phone, 2).await, 200);
    assert_eq!(house.findings().await, Vec::<String>::new());
}
