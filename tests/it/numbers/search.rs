//! What is on sale, in the shape of each kind of client, and what a number's details are.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::{Fault, When};

use super::Desk;

const SEARCH: &str = "/api/phone/phone-numbers/search";
const TENANTS: &str = "/api/twilio/search-numbers";

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn each_client_is_shown_what_is_on_sale_in_its_own_words() {
    let desk = Desk::of_ann().await;

    let of_area = json!({ "areaCode": "628", "numberType": "local", "pattern": "628*" });
    let enveloped = desk.post("ann", SEARCH, of_area).await;
    let flat = desk
        .post(
            "ann",
            TENANTS,
            json!({ "countryCode": "US", "areaCode": "628", "contains": "628" }),
        )
        .await;
    let bare = desk
        .get("ann", "/api/phone/search?area_code=628&country=US")
        .await;

    assert_eq!(enveloped.status, 200, "{}", enveloped.body);
    let one = &enveloped.body["data"][0];
    assert!(one["phoneNumber"].as_str().unwrap().starts_with("+1628"));
    let all = [
        "capabilities",
        "friendlyName",
        "locality",
        "phoneNumber",
        "region",
    ];
    assert_eq!(keys(one), all);
    assert_eq!(keys(&one["capabilities"]), ["MMS", "SMS", "voice"]);
    assert_eq!(flat.status, 200, "{}", flat.body);
    let one = &flat.body["numbers"][0];
    assert_eq!(keys(one), all);
    assert_eq!(keys(&one["capabilities"]), ["mms", "sms", "voice"]);
    assert_eq!(bare.status, 200, "{}", bare.body);
    assert_eq!(bare.body["count"], 10);
    let one = &bare.body["numbers"][9];
    let all = [
        "capabilities",
        "friendly_name",
        "locality",
        "phone_number",
        "postal_code",
        "region",
    ];
    assert_eq!(keys(one), all);

    let empty = desk.get("ann", "/api/phone/search?country=").await;
    assert_eq!(empty.body["count"], 10, "{}", empty.body);
    let toll_free = desk.post("ann", SEARCH, json!({ "numberType": "tollfree" }));
    let toll_free = toll_free.await.body["data"][0]["phoneNumber"].clone();
    assert!(toll_free.as_str().unwrap().starts_with("+1833"));
    // No such area, a sold-out one, no such kind in the country.
    for wish in [
        json!({ "areaCode": "111" }),
        json!({ "areaCode": "212" }),
        json!({ "numberType": "mobile" }),
    ] {
        let none = desk.post("ann", SEARCH, wish).await;
        assert_eq!((none.status, &none.body["data"]), (200, &json!([])));
    }
    for (wish, code) in [
        (json!({ "areaCode": "41" }), "INVALID_AREA_CODE"),
        (json!({ "pattern": "1&2" }), "INVALID_PATTERN"),
        (json!({ "numberType": "x" }), "INVALID_NUMBER_TYPE"),
    ] {
        let refused = desk.post("ann", SEARCH, wish).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.body["error"]["code"], code);
    }
    assert_eq!(desk.held(), (1, 1));
    desk.close().await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_told_apart_from_nothing_on_sale() {
    let desk = Desk::of_ann().await;
    let outage = Fault::ErrorBefore { status: 503 };
    desk.house
        .strike("GET", "PhoneNumbers", When::Always, outage);

    for (method, path, body) in [
        (Method::POST, SEARCH, Some(json!({}))),
        (Method::POST, TENANTS, Some(json!({}))),
        (Method::GET, "/api/phone/search", None),
        (Method::GET, "/api/phone/details", None),
    ] {
        let answer = desk.ask("ann", method, path, body, "").await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(answer.headers.contains_key("retry-after"), "{path}");
    }
    desk.close().await;
}

#[tokio::test]
async fn a_number_is_described_as_the_provider_has_it() {
    let desk = Desk::of_ann().await;
    let details = async |user: &str| desk.get(user, "/api/phone/details").await;

    let there = details("ann").await;
    let of_nobody = details("ben").await;
    let number = desk.house.sandbox.numbers().remove(0);
    let twilio = &desk.house.service.ctx.twilio;
    twilio
        .release_number(&number.account_sid, &number.sid)
        .await
        .unwrap();
    let gone = details("ann").await;

    assert_eq!(there.status, 200, "{}", there.body);
    assert_eq!(there.body["phone_number"], *number.phone_number);
    assert_eq!(there.body["sid"], *number.sid);
    assert_eq!(there.body["voice_url"], *number.voice_url);
    assert_eq!(there.body["sms_url"], *number.sms_url);
    assert_eq!(there.body["status_callback"], *number.status_callback);
    assert_eq!(there.body["capabilities"]["mms"], true);
    assert!(there.body["date_created"].as_str().unwrap().ends_with('Z'));
    assert!(there.body["date_updated"].is_string());
    for (answer, text) in [
        (&of_nobody, "No phone number provisioned"),
        (&gone, "Phone number not found"),
    ] {
        assert_eq!(answer.status, 404, "{}", answer.body);
        assert_eq!(answer.body["error"], text);
    }
    desk.close().await;
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_what_was_asked() {
    let desk = Desk::of_ann().await;
    let refuse = Fault::Refuse {
        status: 400,
        code: "20001".into(),
    };
    desk.house
        .strike("GET", "PhoneNumbers", When::Always, refuse);
    for (path, code, text) in [
        (
            "/api/phone/search",
            "SEARCH_ERROR",
            "Failed to search phone numbers",
        ),
        (
            "/api/phone/details",
            "DETAILS_ERROR",
            "Failed to fetch phone number details",
        ),
    ] {
        let answer = desk.get("ann", path).await;
        assert_eq!(answer.status, 500, "{}", answer.body);
        assert_eq!(answer.body["code"], code);
        assert_eq!(answer.body["error"], text);
        assert!(answer.body["details"].is_string(), "{}", answer.body);
    }
    desk.close().await;
}
