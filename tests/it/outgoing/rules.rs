//! Who may call whom, from which number.

use serde_json::json;
use tollkeeper::sandbox::{Fault, When};

use super::{Ann, CALL, SMS, THEM, assert_refused};
use crate::support::{
    api::token,
    house::{MASTER_TOKEN, PRICE},
    phone::Phone,
};

#[tokio::test]
async fn nobody_calls_from_anothers_number_or_abroad_and_nothing_is_stored_of_it() {
    let ann = Ann::new().await;
    ann.house.sign_up("ben");
    ann.house.take_in_all().await;
    let bens = Phone::of(&ann.house.sandbox, "ben").number;

    for (body, status, code) in [
        (json!({ "to": THEM, "from": bens }), 403, "NUMBER_NOT_YOURS"),
        (json!({ "to": "+18765550123" }), 403, "COUNTRY_NOT_ALLOWED"),
        (json!({ "to": "+4930123456" }), 403, "COUNTRY_NOT_ALLOWED"),
        (json!({ "to": "911" }), 400, "INVALID_PHONE_NUMBER"),
        (
            json!({ "to": THEM, "from": "x" }),
            400,
            "INVALID_PHONE_NUMBER",
        ),
        (json!({ "to": THEM, "userId": "ben" }), 403, "FORBIDDEN"),
    ] {
        for (path, text) in [(CALL, "message"), (SMS, "body")] {
            let mut body = body.clone();
            body[text] = "hello".into();
            assert_refused(&ann.ask(path, body).await, status, code);
        }
    }
    // From the other one's token it is theirs.
    let theirs = json!({ "to": "415 555 0199", "message": "hello", "from": bens });
    let answer = ann.api.post(CALL, &token("ben"), theirs).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["call"]["to"], THEM);

    assert_eq!(ann.made(), (1, 0));
    let stored: i64 = ann
        .house
        .service
        .value("select count(*) from outbound")
        .await;
    assert_eq!((stored, ann.held().await), (1, 0));
}

#[tokio::test]
async fn who_said_stop_is_not_written_to_until_they_say_start() {
    let ann = Ann::new().await;
    let said = async |nth, word: &str| {
        let sid = crate::support::phone::sid("SM", nth);
        ann.phone.message(&ann.web, &sid, THEM, word).await;
        ann.house.settle().await;
    };
    said(1, "STOP").await;
    assert_refused(&ann.write("hello").await, 403, "RECIPIENT_OPTED_OUT");
    // Calls are another matter.
    assert_eq!(ann.call("hello").await.status, 200);
    // Somebody else had the number before, and was told to stop as well.
    for sql in [
        "insert into accounts (account_id) values ('carl')",
        "insert into opt_outs select 'carl', our_number, their_number, true, said_at - interval '1 year' from opt_outs",
    ] {
        ann.house.service.execute(sql).await;
    }
    said(2, "START").await;
    assert_eq!(ann.write("hello").await.status, 200);

    // The provider knows of a wish that we never heard: it is remembered, and not asked again.
    let refuse = Fault::Refuse {
        status: 400,
        code: "21610".into(),
    };
    ann.house
        .strike("POST", "Messages.json", When::First(1), refuse);
    assert_refused(&ann.write("one").await, 403, "RECIPIENT_OPTED_OUT");
    assert_refused(&ann.write("two").await, 403, "RECIPIENT_OPTED_OUT");
    assert_eq!(ann.made(), (1, 1));
}

#[tokio::test]
async fn a_plan_that_counts_calls_has_one_left_or_none() {
    let ann = Ann::new().await;
    ann.house.sign_up_to("ben", PRICE);
    ann.house.take_in_all().await;
    let ben = token("ben");
    let call = |text: &str| {
        ann.api
            .post(CALL, &ben, json!({ "to": THEM, "message": text }))
            .into_future()
    };
    assert_eq!(call("one").await.status, 200);
    let used = json!({ "feature": "calls", "quantity": 100 });
    let answer = ann
        .api
        .post("/api/subscription/track-usage", &ben, used)
        .await;
    assert_eq!(answer.status, 200);

    assert_refused(&call("two").await, 429, "QUOTA_EXCEEDED");
}

#[tokio::test]
async fn who_has_no_number_uses_the_main_accounts_only_where_that_is_switched_on() {
    let ann = Ann::new().await;
    ann.house
        .service
        .execute("insert into accounts (account_id) values ('dan')")
        .await;
    let body = json!({ "to": THEM, "body": "hello" });
    let refused = ann.api.post(SMS, &token("dan"), body.clone()).await;
    assert_refused(&refused, 403, "NO_PHONE_NUMBER");

    let ann = Ann::with(|config| {
        config.telephony.outbound.fallback_number = "+18455550100".parse().ok();
    })
    .await;
    ann.house.sign_up("ben");
    ann.house.take_in_all().await;
    // Whom she writes to has a number here, too.
    let bens = Phone::of(&ann.house.sandbox, "ben").number;
    let body = json!({ "to": bens, "body": "hello" });
    let service = &ann.house.service;
    service
        .execute("update phone_numbers set status = 'released' where account_id = 'ann'")
        .await;
    let answer = ann.ask(SMS, body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["message"]["isFallback"], true);
    assert_eq!(answer.body["message"]["from"], "+18455550100");
    assert_eq!(
        answer.body["message"]["accountSid"],
        "AC00000000000000000000000000000001"
    );

    // What becomes of it is told under the main account, and is ann's all the same.
    let params = [
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("MessageSid", answer.body["sid"].as_str().unwrap()),
        ("MessageStatus", "delivered"),
        ("From", "+18455550100"),
        ("To", &bens),
    ];
    let told = ann
        .web
        .twilio("/api/twilio/status/ann", &params, MASTER_TOKEN)
        .await;
    assert_eq!(told.status(), 200);
    ann.house.settle().await;
    assert_eq!((ann.used("sms").await, ann.spent().await), (1, 8_300));

    // Who is suspended does not get round it.
    service
        .execute("update telephony set status = 'suspended'")
        .await;
    assert_refused(&ann.write("again").await, 403, "TELEPHONY_SUSPENDED");
}
