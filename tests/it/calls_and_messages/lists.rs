//! What apps are shown of calls and messages.

use serde_json::{Value, json};

use super::house_of_ann;
use crate::support::{
    api::{Api, Setup, token},
    phone::{CALLER, sid},
};

#[tokio::test]
async fn what_was_called_and_written_is_listed_newest_first_and_page_by_page() {
    let (house, web, phone) = house_of_ann().await;
    for nth in 0..5 {
        phone
            .call(&web, &sid("CA", nth), "completed", Some("61"))
            .await;
        let text = format!("number {nth}");
        phone.message(&web, &sid("SM", nth), CALLER, &text).await;
        house.settle().await;
    }
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let (ann, ben) = (token("ann"), token("ben"));

    // As the old clients ask: with a plus that nobody encoded.
    let target = format!("/api/twilio/calls?phoneNumber={CALLER}&limit=2");
    let mut listed = Vec::new();
    let mut next = target.clone();
    loop {
        let page = api.get(&next, &ann).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let calls = page.body["calls"].as_array().unwrap();
        assert!(calls.len() <= 2);
        listed.extend(
            calls
                .iter()
                .map(|call| call["call_sid"].as_str().unwrap().to_owned()),
        );
        match page.body["nextCursor"].as_str() {
            Some(cursor) => next = format!("{target}&cursor={cursor}"),
            None => break,
        }
    }
    let newest_first: Vec<String> = (0..5).rev().map(|nth| sid("CA", nth)).collect();
    assert_eq!(listed, newest_first);
    let call = &api.get(&target, &ann).await.body["calls"][0];
    assert_eq!(
        (
            &call["duration"],
            &call["status"],
            &call["direction"],
            &call["to_number"]
        ),
        (
            &61.into(),
            &"completed".into(),
            &"inbound".into(),
            &phone.number.clone().into()
        )
    );

    let messages = api.get("/api/twilio/sms", &ann).await.body;
    assert_eq!(messages["messages"][0]["body"], "number 4");
    assert_eq!(messages["messages"].as_array().unwrap().len(), 5);
    assert_eq!(messages["nextCursor"], Value::Null);
    let elsewhere = api
        .get("/api/twilio/sms?phoneNumber=(415)%20555-0000", &ann)
        .await;
    assert_eq!(elsewhere.body["messages"], json!([]));
    for (query, code) in [
        ("phoneNumber=911", "INVALID_PHONE_NUMBER"),
        ("cursor=nonsense", "INVALID_CURSOR"),
        ("cursor=1800000000000000.CA%00", "INVALID_CURSOR"),
        ("cursor=-9000000000000000000.CA1", "INVALID_CURSOR"),
    ] {
        let refused = api.get(&format!("/api/twilio/calls?{query}"), &ann).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body["code"], code);
    }
    assert_eq!(
        api.get("/api/twilio/calls", &ben).await.body["calls"],
        json!([])
    );
    assert_eq!(
        api.get("/api/twilio/calls?userId=ann", &ben).await.status,
        403
    );
}

#[tokio::test]
async fn who_wrote_with_whom_is_told_by_conversation() {
    let (house, web, phone) = house_of_ann().await;
    let other = "+14155550177";
    for (nth, (from, text)) in [(CALLER, "one"), (other, "two"), (CALLER, "three")]
        .into_iter()
        .enumerate()
    {
        phone.message(&web, &sid("SM", nth), from, text).await;
        house.settle().await;
    }
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let ann = token("ann");

    let answer = api.get("/api/phone/sms/conversations", &ann).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told: Vec<(&Value, &Value, usize)> = answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let messages = one["messages"].as_array().unwrap().len();
            (
                &one["participant_number"],
                &one["last_message_preview"],
                messages,
            )
        })
        .collect();
    let (first, second) = (
        (json!(CALLER), json!("three")),
        (json!(other), json!("two")),
    );
    assert_eq!(told, [(&first.0, &first.1, 2), (&second.0, &second.1, 1)]);
    let target = format!("/api/phone/sms/conversations?phoneNumber={other}");
    let of_other = api.get(&target, &ann).await.body;
    assert_eq!(of_other["data"].as_array().unwrap().len(), 1);

    let numbers = api.get("/api/phone/phone-numbers", &ann).await.body;
    let number = &numbers["data"][0];
    assert_eq!(number["phone_number"], phone.number);
    assert_eq!(
        number["capabilities"],
        json!({"voice": true, "SMS": true, "MMS": true})
    );
    assert_eq!(
        api.get("/api/phone/phone-numbers", &token("ben"))
            .await
            .body["data"],
        json!([])
    );
}
