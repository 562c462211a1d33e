//! VoIP.ms' message callback: believed by its token and address, stored once, the token nowhere.

mod messages;

use serde_json::{Value, json};
use tollkeeper::config::Config;

use crate::support::web::{Web, golden};

fn with_token(config: &mut Config) {
    config.voipms.callback_tokens = vec!["9f1c_SECRET_PATH_TOKEN".into()];
}

async fn stored(web: &Web) -> i64 {
    web.service.value("select count(*) from webhooks").await
}

#[tokio::test]
async fn a_message_of_voipms_is_stored_once_and_its_token_nowhere() {
    let web = Web::with(with_token).await;
    let recorded: Value = serde_json::from_slice(
        &std::fs::read(golden("webhooks/voipms/sms_callbacks.json")).unwrap(),
    )
    .unwrap();

    for (name, url) in recorded["requests"].as_object().unwrap() {
        let target = url
            .as_str()
            .unwrap()
            .strip_prefix("https://hooks.example.com")
            .unwrap();
        let answer = web.get(target).send().await.unwrap();
        let is_wrong = name == "wrong_path_token";
        assert_eq!(answer.status(), if is_wrong { 403 } else { 200 }, "{name}");
        let said = answer.text().await.unwrap();
        assert_eq!(said, if is_wrong { "Forbidden" } else { "ok" }, "{name}");
    }

    // Ten requests: one is refused, one is a copy.
    let count = recorded["requests"].as_object().unwrap().len() as i64;
    assert_eq!(stored(&web).await, count - 2);
    let leaks: i64 = web
        .service
        .value(
            "select count(*) from webhooks
             where concat(endpoint, headers, event_key, convert_from(body, 'utf8')) like '%SECRET%'",
        )
        .await;
    assert_eq!(leaks, 0);
}

#[tokio::test]
async fn voipms_may_send_json_or_a_form_with_the_token_in_the_query() {
    let web = Web::with(with_token).await;
    let path = "/api/phone/webhooks/voipms/sms";
    let message = json!({ "from": "4155550199", "to": "4155550100", "message": "hi", "id": 7 });

    let requests = [
        web.post(&format!("{path}?token=9f1c_SECRET_PATH_TOKEN"))
            .json(&message),
        web.post(&format!("{path}/9f1c_SECRET_PATH_TOKEN"))
            .form(&message),
    ];
    for request in requests {
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap()),
            (200, "ok".into())
        );
    }
    for target in [
        path.to_owned(),
        format!("{path}?token="),
        format!("{path}?token=9f1c"),
    ] {
        let answer = web.post(&target).json(&message).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{target}");
    }

    let key: String = web.service.value("select event_key from webhooks").await;
    assert!(key.ends_with(":sms:7"), "{key}");
    assert_eq!(stored(&web).await, 1);
    let leaks: i64 = web
        .service
        .value("select count(*) from webhooks where convert_from(body, 'utf8') like '%SECRET%'")
        .await;
    assert_eq!(leaks, 0);
}

#[tokio::test]
async fn voipms_is_believed_from_its_listed_addresses_only() {
    let target = "/api/phone/webhooks/voipms/sms/9f1c_SECRET_PATH_TOKEN?id=1&from=1&to=2";
    for (address, status) in [("192.0.2.7", 403), ("127.0.0.1", 200)] {
        let web = Web::with(|config| {
            with_token(config);
            config.voipms.callback_addresses = vec![address.parse().unwrap()];
        })
        .await;
        assert_eq!(web.get(target).send().await.unwrap().status(), status);
    }
}
