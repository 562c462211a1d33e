//! One click is one call, however often a client asks.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{Ann, SMS, THEM, assert_refused};
use crate::support::api::token;

#[tokio::test]
async fn one_click_is_one_dial_though_the_old_client_asks_three_times() {
    let ann = Ann::new().await;
    let mut sids = Vec::new();
    for _ in 0..3 {
        let answer = ann.call("Hello Ben").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        sids.push(answer.body["sid"].clone());
    }
    for answer in join_all((0..8).map(|_| ann.call("Hello Ben"))).await {
        sids.push(answer.body["sid"].clone());
    }
    let first = ann.house.sandbox.phone_calls()[0].sid.clone();
    assert!(sids.iter().all(|sid| *sid == first.as_str()), "{sids:?}");
    assert_eq!(ann.made(), (1, 0));

    // Another text is another call; and so is the same one a minute later.
    ann.call("Hello again").await;
    assert_eq!(ann.made(), (2, 0));
    ann.house.pass(TimeDelta::seconds(61)).await;
    ann.call("Hello Ben").await;
    assert_eq!(ann.made(), (3, 0));
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_user_for_ever() {
    let ann = Ann::new().await;
    let with_key = async |key: &str, credential: &str, body: &str| {
        let body = json!({ "to": THEM, "body": body });
        let headers = [("idempotency-key", key)];
        let request = ann
            .api
            .call(Method::POST, SMS, credential, Some(body), &headers);
        request.await
    };
    let first = with_key("k1", &ann.token, "hello").await;
    assert_eq!(first.status, 200, "{}", first.text);
    ann.house.pass(TimeDelta::minutes(10)).await;

    let again = with_key("k1", &ann.token, "hello").await;
    assert_eq!(again.body["sid"], first.body["sid"]);
    assert_refused(
        &with_key("k1", &ann.token, "other").await,
        422,
        "IDEMPOTENCY_KEY_REUSED",
    );
    assert_eq!(ann.made(), (0, 1));
    // Two keys are two wishes, though they say the same at once.
    let two = join_all(["k2", "k3"].map(|key| with_key(key, &ann.token, "hello"))).await;
    assert_ne!(two[0].body["sid"], two[1].body["sid"]);
    assert_eq!(ann.made(), (0, 3));
    // Somebody else's key is theirs.
    assert_refused(
        &with_key("k1", &token("ben"), "hello").await,
        403,
        "NO_PHONE_NUMBER",
    );
}

#[tokio::test]
async fn what_failed_for_good_may_be_asked_for_again() {
    let ann = Ann::new().await;
    let refuse = tollkeeper::sandbox::Fault::Refuse {
        status: 400,
        code: "21211".into(),
    };
    let once = tollkeeper::sandbox::When::First(1);
    ann.house.strike("POST", "Calls.json", once, refuse);

    assert_refused(&ann.call("Hello").await, 422, "RECIPIENT_REFUSED");
    assert_eq!(
        (ann.made(), ann.spent().await, ann.held().await),
        ((0, 0), 0, 0)
    );
    assert_eq!(ann.call("Hello").await.status, 200);
    assert_eq!(ann.made(), (1, 0));
}

#[tokio::test]
async fn messages_to_one_person_leave_in_the_order_they_were_asked_for() {
    let ann = Ann::new().await;
    let texts: Vec<String> = (0..6).map(|nth| format!("part {nth}")).collect();
    for text in &texts {
        let answer = ann.write(text).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let sent = ann.house.sandbox.phone_messages();
    let sent: Vec<&str> = sent.iter().map(|message| &*message.body).collect();
    assert_eq!(sent, texts);
}
