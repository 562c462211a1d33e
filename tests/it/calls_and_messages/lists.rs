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
