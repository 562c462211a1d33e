//! Twilio's callbacks: believed by their signature only, stored once, and always answered.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use secrecy::SecretString;
use serde_json::Value;
use tollkeeper::{config::Config, sealed::Place, signature::twilio};

use crate::support::web::{Web, golden_files};

const MASTER: &str = "AC00000000000000000000000000000001";
const MASTER_TOKEN: &str = "a-made-up-token";
const SUBACCOUNT: &str = "AC00000000000000000000000000000009";
const CALL: &str = "CA00000000000000000000000000000003";
const MESSAGE: &str = "SM00000000000000000000000000000001";

/// Every URL that a number, a call or a message of the replaced services carries, or of ours.
const HANDED_OUT: [&str; 28] = [
    "/api/twilio/voice",
    "/api/twilio/sms",
    "/api/twilio/status",
    "/api/twilio/recording",
    "/api/twilio/recording-status",
    "/api/twilio/dial-done",
    "/api/twilio/call-status",
    "/api/twilio/sms-status",
    "/api/twilio/status-callback",
    "/api/twilio/voice-webhook",
    "/api/twilio/sms-webhook",
    "/api/twilio/voice/user-1",
    "/api/twilio/sms/user-1",
    "/api/twilio/status/user-1",
    "/api/twilio/voice/fallback/user-1",
    "/api/twilio/sms/fallback/user-1",
    "/twilio/voice",
    "/twilio/sms",
    "/twilio/status",
    "/twilio/recording",
    "/twilio/recording-status",
    "/api/phone/webhooks/twilio/voice",
    "/api/phone/webhooks/twilio/sms",
    "/voice/inbound",
    "/sms/inbound",
    "/phone/status/user-1",
    "/voice/user-1",
    "/sms/user-1",
];

fn as_recorded(config: &mut Config) {
    config.public_base_url = "https://hooks.example.com".into();
    config.twilio.account_sid = "AC00000000000000000000000000000002".into();
    config.twilio.auth_tokens = vec!["fedcba9876543210fedcba9876543210".into()];
}

fn new_call(account_sid: &str) -> Vec<(&str, &str)> {
    vec![
        ("AccountSid", account_sid),
        ("CallSid", CALL),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+15005550006"),
        ("To", "+18454090692"),
    ]
}

fn new_message(account_sid: &str) -> Vec<(&str, &str)> {
    vec![
        ("AccountSid", account_sid),
        ("MessageSid", MESSAGE),
        ("SmsStatus", "received"),
        ("Body", "hello"),
    ]
}

fn ended_call(account_sid: &str) -> Vec<(&str, &str)> {
    vec![
        ("AccountSid", account_sid),
        ("CallSid", CALL),
        ("CallStatus", "completed"),
        ("CallDuration", "61"),
    ]
}

async fn stored(web: &Web) -> i64 {
    web.service.value("select count(*) from webhooks").await
}

/// A subaccount of the account `user-1`, its token sealed where it belongs.
async fn with_subaccount(web: &Web, token: &str) {
    let place = Place::subaccount_token("user-1");
    let sealed = web
        .service
        .ctx
        .keyring
        .seal(&SecretString::from(token), place);
    web.service
        .execute("insert into accounts (account_id) values ('user-1')")
        .await;
    sqlx::query(
        "insert into twilio_subaccounts (account_id, subaccount_ref, friendly_name, status, auth_token_sealed)
         values ('user-1', $1, 'user-1', 'active', $2)",
    )
    .bind(SUBACCOUNT)
    .bind(sealed)
    .execute(&web.service.db)
    .await
    .unwrap();
}

#[tokio::test]
async fn every_recorded_callback_is_accepted_at_its_url_and_stored_once() {
    let web = Web::with(as_recorded).await;
    let mut keys = BTreeMap::new();
    for (name, file) in golden_files("webhooks/twilio", ".json") {
        let recorded: Value = serde_json::from_slice(&file).unwrap();
        let Some(url) = recorded["url"].as_str() else {
            continue;
        };
        let target = url.strip_prefix("https://hooks.example.com").unwrap();
        let send = || {
            let headers = recorded["headers"].as_object().unwrap();
            let body = recorded["body"].as_str().unwrap().to_owned();
            let request = headers
                .iter()
                .fold(web.post(target).body(body), |request, (name, value)| {
                    request.header(name, value.as_str().unwrap())
                });
            async { request.send().await.unwrap() }
        };

        let answers = join_all([send(), send(), send()]).await;

        let mut said = Vec::new();
        for answer in answers {
            assert_eq!(answer.status(), 200, "{name}");
            let kind = answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            said.push((kind, answer.text().await.unwrap()));
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{name}: a copy is answered the same way");
        // The recorded story has one call and one message in many versions, so each goes alone.
        let (kind, key, body): (String, String, Vec<u8>) = sqlx::query_as(
            "delete from webhooks where state in ('held', 'stored') returning kind, event_key, body",
        )
        .fetch_one(&web.service.db)
        .await
        .unwrap();
        assert_eq!(
            stored(&web).await,
            0,
            "{name}: three copies are stored once"
        );
        assert_eq!(
            body,
            recorded["body"].as_str().unwrap().as_bytes(),
            "{name}"
        );
        check_answer(&name, &kind, &said[0]);
        keys.insert(name, key);
    }
    assert!(keys.len() > 35, "only {} recorded callbacks", keys.len());
    for copied in ["call_status_3_completed", "sms_incoming"] {
        assert_eq!(
            keys[&format!("{copied}.json")],
            keys[&format!("{copied}_duplicate.json")]
        );
    }
    assert_ne!(
        keys["call_status_completed_0s.json"],
        keys["call_status_completed_60s.json"]
    );
}

/// What each recorded callback is, and what it hears.
fn check_answer(name: &str, kind: &str, (content_type, said): &(String, String)) {
    let expected = match name.trim_end_matches(".json") {
        "voice_fallback" => ("voice_fallback", "<Hangup/>"),
        name if name.starts_with("voice_incoming") => ("incoming_call", "<Record "),
        name if name.starts_with("record_action") => ("record_action", "Goodbye!"),
        name if name.starts_with("dial_action") => ("dial_action", "<Hangup/>"),
        name if name.starts_with("recording_status") => ("recording_status", "OK"),
        "sms_incoming_stop" => ("incoming_message", "<Response>"),
        name if name.starts_with("sms_") || name.starts_with("mms_") => {
            ("incoming_message", "<Message>Thank you.</Message>")
        }
        name if name.starts_with("message_status") => ("message_status", "OK"),
        "usage_trigger" => ("usage_trigger", "OK"),
        "event_streams_error_logged" => ("other", "OK"),
        _ => ("call_status", "OK"),
    };
    assert_eq!(kind, expected.0, "{name}");
    if expected.1 == "OK" {
        assert_eq!(
            (content_type.as_str(), said.as_str()),
            ("text/plain", "OK"),
            "{name}"
        );
    } else {
        assert_eq!(content_type, "text/xml", "{name}");
        assert!(said.contains(expected.1), "{name}: {said}");
    }
}

#[tokio::test]
async fn every_url_we_hand_out_is_served_and_believes_nothing_unsigned() {
    let web = Web::start().await;

    for path in HANDED_OUT {
        let unsigned = web.post(path).form(&new_call(MASTER)).send().await.unwrap();
        assert_eq!(unsigned.status(), 403, "{path}");
        assert_eq!(unsigned.text().await.unwrap(), "Forbidden");
        let forged = web.twilio(path, &new_call(MASTER), "another token").await;
        assert_eq!(forged.status(), 403, "{path}");
    }
    assert_eq!(stored(&web).await, 0);
    for path in HANDED_OUT {
        let signed = web.twilio(path, &new_call(MASTER), MASTER_TOKEN).await;
        assert_eq!(signed.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn the_urls_in_our_own_answers_are_served() {
    let web = Web::start().await;
    let answer = web
        .twilio("/api/twilio/voice", &new_call(MASTER), MASTER_TOKEN)
        .await;
    let twiml = answer.text().await.unwrap();

    let urls: Vec<&str> = twiml
        .split('"')
        .filter_map(|part| part.strip_prefix("https://hooks.test"))
        .collect();

    assert_eq!(urls.len(), 2, "{twiml}");
    for url in urls {
        // Twilio takes the fragment as advice on repeats; it is neither sent nor signed.
        let path = url.split('#').next().unwrap();
        let answer = web.twilio(path, &ended_call(MASTER), MASTER_TOKEN).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn the_signed_url_is_the_configured_one_whatever_host_is_claimed() {
    let web = Web::start().await;
    let params: Vec<(String, String)> = ended_call(MASTER)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let send = async |signed_url: &str| {
        let request = web
            .post("/api/twilio/status?b=%20x&a=1")
            .header("host", "evil.test")
            .header("x-forwarded-host", "evil.test")
            .header("x-forwarded-proto", "https")
            .header(
                "x-twilio-signature",
                twilio::sign(MASTER_TOKEN, signed_url, &params),
            )
            .form(&params);
        request.send().await.unwrap().status()
    };

    assert_eq!(
        send("https://hooks.test/api/twilio/status?b=%20x&a=1").await,
        200
    );
    assert_eq!(
        send("https://hooks.test/api/twilio/status?b=+x&a=1").await,
        403
    );
    assert_eq!(
        send("https://evil.test/api/twilio/status?b=%20x&a=1").await,
        403
    );
}

#[tokio::test]
async fn a_get_is_signed_by_its_url() {
    let web = Web::start().await;
    let target = format!("/api/twilio/status?AccountSid={MASTER}&CallSid={CALL}&CallStatus=busy");
    let header = twilio::sign(MASTER_TOKEN, &format!("https://hooks.test{target}"), &[]);

    let signed = web.get(&target).header("x-twilio-signature", &header);
    assert_eq!(signed.send().await.unwrap().status(), 200);
    let changed = web
        .get(&target.replace("busy", "completed"))
        .header("x-twilio-signature", &header);
    assert_eq!(changed.send().await.unwrap().status(), 403);
    let key: String = web.service.value("select event_key from webhooks").await;
    assert_eq!(key, format!("{MASTER}:call_status:{CALL}:busy:none:none"));
}

#[tokio::test]
async fn a_subaccount_signs_with_its_own_token_for_its_own_user() {
    let web = Web::start().await;
    with_subaccount(&web, "the-token-of-user-1").await;
    let status = async |path: &str, account_sid: &str, token: &str| {
        let answer = web.twilio(path, &new_call(account_sid), token).await;
        answer.status().as_u16()
    };

    let own = "/api/twilio/voice/user-1";
    assert_eq!(status(own, SUBACCOUNT, MASTER_TOKEN).await, 403);
    assert_eq!(status(own, MASTER, "the-token-of-user-1").await, 403);
    let stranger = "AC00000000000000000000000000000008";
    assert_eq!(status(own, stranger, MASTER_TOKEN).await, 403);
    let other = "/api/twilio/voice/user-2";
    assert_eq!(status(other, SUBACCOUNT, "the-token-of-user-1").await, 404);
    assert_eq!(stored(&web).await, 0);

    assert_eq!(status(own, SUBACCOUNT, "the-token-of-user-1").await, 200);
    assert_eq!(
        status("/api/twilio/voice", SUBACCOUNT, "the-token-of-user-1").await,
        200
    );
    assert_eq!(stored(&web).await, 1, "one call, asked about at two URLs");
}

#[tokio::test]
async fn a_promoted_token_is_believed_beside_the_old_one() {
    let web = Web::with(|config| {
        config.twilio.auth_tokens = vec!["old".into(), "promoted".into()];
    })
    .await;

    for token in ["old", "promoted"] {
        let answer = web
            .twilio("/twilio/status", &ended_call(MASTER), token)
            .await;
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn without_a_database_a_caller_hears_an_apology_and_nothing_is_acknowledged() {
    let web = Web::start().await;
    web.service.ctx.pools.ingest.close().await;

    // A subaccount's token cannot even be looked up: the words are fixed and tell nothing.
    for account_sid in [MASTER, SUBACCOUNT] {
        let call = web
            .twilio("/api/twilio/voice", &new_call(account_sid), MASTER_TOKEN)
            .await;
        assert_eq!(
            (call.status().as_u16(), &call.headers()["content-type"]),
            (200, &"text/xml".parse().unwrap())
        );
        let said = call.text().await.unwrap();
        assert!(
            said.contains("system error") && !said.contains("<Record"),
            "{said}"
        );
        for params in [ended_call(account_sid), new_message(account_sid)] {
            let told = web
                .twilio("/api/twilio/status", &params, MASTER_TOKEN)
                .await;
            assert_eq!(told.status(), 503);
            assert!(told.headers().contains_key("retry-after"));
        }
    }
}
