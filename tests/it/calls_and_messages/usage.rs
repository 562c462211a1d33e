//! What was called and written, what it costs the provider's customer and what ours pays.

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::compare::{read_lists, tomorrow_at};
use crate::support::{
    api::{JWT_SECRET, signed},
    house::{House, SECRETARY},
    phone::{CALLER, Phone},
    web::Web,
};
use tollkeeper::sandbox::stripe::SignUp;

/// A hundred minutes and messages are included; a minute beyond costs 1.3 cents.
async fn house_of_ann() -> (House, Web, Phone) {
    let house = House::with(|config| config.jwt.secret = Some(JWT_SECRET.to_owned().into())).await;
    let who = SignUp {
        user_id: "ann".into(),
        email: "ann@example.com".into(),
        price_id: SECRETARY.into(),
        ..SignUp::default()
    };
    house.sandbox.sign_up(&who).unwrap();
    house.take_in_all().await;
    let web = house.web();
    let phone = Phone::of(&house.sandbox, "ann");
    tomorrow_at(&house, "01:00:00").await;
    (house, web, phone)
}

async fn ask(web: &Web, target: &str) -> (StatusCode, Value) {
    // The clock of the house goes ahead by days.
    let token = signed(
        &json!({"userId": "ann", "exp": 4_000_000_000_i64}),
        JWT_SECRET,
    );
    let answer = web.get(target).bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn what_the_provider_takes_stands_beside_what_the_plan_charges_and_days_add_up_to_the_bill() {
    let (house, web, phone) = house_of_ann().await;
    let first = house.sandbox.now().date_naive();
    let (second, third) = (
        first.succ_opt().unwrap(),
        first.succ_opt().unwrap().succ_opt().unwrap(),
    );
    for seconds in [7200, 61, 0] {
        house
            .sandbox
            .take_call(&phone.number, CALLER, seconds)
            .unwrap();
    }
    house
        .sandbox
        .take_message(&phone.number, CALLER, "hello")
        .unwrap();
    read_lists(&house).await;
    let of_days = async |from, until| {
        let target = format!("/api/phone/usage/summary?startDate={from}&endDate={until}");
        let (status, body) = ask(&web, &target).await;
        assert_eq!(status, 200, "{body}");
        body["data"].clone()
    };

    let told = of_days(first, second).await;
    for (name, expected) in [
        ("totalCalls", json!(2)),
        ("totalMinutes", json!(122)),
        ("totalSms", json!(1)),
        ("totalMms", json!(0)),
        // By the list: the provider has not said it yet.
        ("totalCost", json!(1.0453)),
        ("isEstimated", json!(true)),
        // 22 minutes beyond the plan.
        ("totalPrice", json!(0.29)),
        ("priceByMeter", json!({"voice_minutes": 0.29, "sms": 0.0})),
    ] {
        assert_eq!(told[name], expected, "{name} of {told}");
    }
    assert_eq!(
        told["byType"]["call_minutes"],
        json!({"count": 2, "quantity": 122, "cost": 1.037, "isEstimated": true, "duration": 7261})
    );
    house.sandbox.advance(TimeDelta::hours(1));
    read_lists(&house).await;
    let priced = of_days(first, second).await;
    assert_eq!(
        (&priced["isEstimated"], &priced["totalCost"]),
        (&json!(false), &json!(1.0453))
    );

    tomorrow_at(&house, "01:00:00").await;
    house.sandbox.take_call(&phone.number, CALLER, 600).unwrap();
    read_lists(&house).await;
    assert_eq!(of_days(second, third).await["totalPrice"], json!(0.13));
    assert_eq!(of_days(first, third).await["totalPrice"], json!(0.42));
    let (_, bill) = ask(&web, "/api/billing/usage").await;
    assert_eq!(bill["costs"]["voice_overage"], "0.42");
}

#[tokio::test]
async fn each_use_is_listed_once_page_by_page_under_either_name_of_the_user() {
    let (house, web, phone) = house_of_ann().await;
    for _ in 0..3 {
        house.sandbox.advance(TimeDelta::minutes(1));
        house.sandbox.take_call(&phone.number, CALLER, 61).unwrap();
        house
            .sandbox
            .take_message(&phone.number, CALLER, "<script>")
            .unwrap();
    }
    read_lists(&house).await;

    let mut listed = Vec::new();
    let mut next = "/api/phone/usage/details?clientId=ann&limit=2".to_owned();
    loop {
        let (status, page) = ask(&web, &next).await;
        assert_eq!(status, 200, "{page}");
        let records = page["data"].as_array().unwrap();
        assert!(records.len() <= 2);
        listed.extend(records.iter().map(|one| {
            (
                one["type"].clone(),
                one["quantity"].clone(),
                one["total_cost"].clone(),
            )
        }));
        match page["meta"]["nextCursor"].as_str() {
            Some(cursor) => {
                next = format!("/api/phone/usage/details?clientId=ann&limit=2&cursor={cursor}")
            }
            None => break,
        }
    }
    let call = (json!("call_minutes"), json!(2), json!(0.017));
    let message = (json!("sms_received"), json!(1), json!(0.0083));
    let count = |wanted| listed.iter().filter(|one| **one == wanted).count();
    assert_eq!(
        (listed.len(), count(call), count(message)),
        (6, 3, 3),
        "{listed:?}"
    );
    let (_, calls) = ask(&web, "/api/phone/usage/details?type=call_minutes").await;
    assert_eq!(calls["data"].as_array().unwrap().len(), 3);
    let (_, all) = ask(&web, "/api/phone/usage/details?type=").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 6);
    for never_metered in ["recording_storage", "email_sent"] {
        let target = format!("/api/phone/usage/details?type={never_metered}");
        let (status, none) = ask(&web, &target).await;
        assert_eq!((status.as_u16(), &none["data"]), (200, &json!([])));
    }
    for (query, status, code) in [
        ("type=inbound_call", 400, "INVALID_TYPE"),
        ("startDate=2026-02-30", 400, "INVALID_DATE"),
        (
            "startDate=2026-02-02&endDate=2026-02-02",
            400,
            "INVALID_DATE_RANGE",
        ),
        ("cursor=nonsense", 400, "INVALID_CURSOR"),
        ("clientId=ben", 403, "FORBIDDEN"),
        ("clientId=ann&userId=ben", 400, "CONFLICTING_USER_IDS"),
        ("clientId=ann&clientId=ben", 400, "CONFLICTING_USER_IDS"),
    ] {
        let (found, body) = ask(&web, &format!("/api/phone/usage/details?{query}")).await;
        assert_eq!(
            (found.as_u16(), &body["error"]["code"]),
            (status, &json!(code)),
            "{query}"
        );
    }
}
