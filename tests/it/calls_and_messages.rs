//! What Twilio tells of calls and messages is written down, metered once and answered with sense.

use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use tollkeeper::config::Config;

use crate::support::{
    api::{Api, Setup, token},
    house::House,
    phone::{CALLER, Phone, sid},
    proof::seed,
    service::Service,
    web::{Web, golden_files},
};

async fn house_of_ann() -> (House, Web, Phone) {
    let house = House::new().await;
    house.sign_up("ann");
    house.take_in_all().await;
    let web = house.web();
    let phone = Phone::of(&house.sandbox, "ann");
    (house, web, phone)
}

/// What was used of a feature, in its unit.
async fn used(service: &Service, feature: &str) -> i64 {
    let sum = "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_events
               where account_id = 'ann' and source = 'twilio' and feature = $1";
    let found = sqlx::query_scalar(sum).bind(feature);
    found.fetch_one(&service.db).await.unwrap()
}

#[tokio::test]
async fn a_calls_minutes_are_metered_once_in_whatever_order_its_callbacks_come() {
    let (house, web, phone) = house_of_ann().await;
    let mut dice = StdRng::seed_from_u64(seed("callback_orders"));
    let told = [
        ("initiated", None),
        ("ringing", None),
        ("in-progress", None),
        ("completed", Some("61")),
    ];
    for nth in 0..24 {
        let call = sid("CA", nth);
        let mut order = [told, told].concat();
        order.shuffle(&mut dice);
        for (status, seconds) in order {
            phone.call(&web, &call, status, seconds).await;
        }
    }
    house.settle().await;

    let calls: Vec<(String, Option<i32>, Option<String>, i64)> = sqlx::query_as(
        "select status, seconds, direction, count(*) from calls where account_id = 'ann' group by 1, 2, 3",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let expected = ("completed".into(), Some(61), Some("inbound".into()), 24);
    assert_eq!(calls, [expected]);
    assert_eq!(used(&house.service, "voice_minutes").await, 2 * 24);
    let counted: i64 = house
        .service
        .value("select (quantity / 1000000)::bigint from usage_counters where feature = 'voice_minutes' and per = 'cycle'")
        .await;
    assert_eq!(counted, 2 * 24);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn copies_of_a_callback_at_the_same_moment_are_metered_once() {
    let (house, web, phone) = house_of_ann().await;
    let call = sid("CA", 1);
    join_all((0..20).map(|_| phone.call(&web, &call, "completed", Some("600")))).await;
    // And the same end told once more, with another sequence number: no copy of the first.
    let params = [
        ("CallSid", call.as_str()),
        ("CallStatus", "completed"),
        ("CallDuration", "600"),
        ("SequenceNumber", "7"),
    ];
    let again = phone.tell(&web, "/api/twilio/call-status", &params).await;
    assert_eq!(again.status(), 200);
    house.settle().await;

    assert_eq!(used(&house.service, "voice_minutes").await, 10);
}

#[tokio::test]
async fn who_was_not_reached_pays_nothing() {
    let (house, web, phone) = house_of_ann().await;
    for (nth, status) in ["busy", "no-answer", "failed", "canceled"]
        .iter()
        .enumerate()
    {
        phone.call(&web, &sid("CA", nth), status, Some("0")).await;
    }
    phone
        .call(&web, &sid("CA", 9), "completed", Some("0"))
        .await;
    house.settle().await;

    assert_eq!(used(&house.service, "voice_minutes").await, 0);
    let calls: i64 = house.service.value("select count(*) from calls").await;
    assert_eq!(calls, 5);
}

#[tokio::test]
async fn a_message_is_metered_by_its_segments_and_kept_with_its_text() {
    let (house, web, phone) = house_of_ann().await;
    let text = "<script>alert(1)</script> & \u{1F600} \u{0}";
    let message = sid("SM", 1);
    let params = [
        ("MessageSid", message.as_str()),
        ("SmsStatus", "received"),
        ("From", CALLER),
        ("To", &phone.number),
        ("Body", text),
        ("NumSegments", "3"),
        ("NumMedia", "1"),
    ];
    for _ in 0..3 {
        let answer = phone.tell(&web, "/api/twilio/sms/ann", &params).await;
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("<Message>Thank you.</Message>")
        );
    }
    // A report of one that was sent elsewhere: nobody said how many segments it has.
    let report = [
        ("MessageSid", "SM0000000000000000000000000000beef"),
        ("MessageStatus", "delivered"),
        ("From", &phone.number),
        ("To", CALLER),
    ];
    phone.tell(&web, "/api/twilio/sms-status", &report).await;
    house.settle().await;

    let kept: Vec<(Option<String>, Option<String>, Option<i32>, i32, String)> = sqlx::query_as(
        "select direction, body, segments, media, status from messages order by message_ref",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let expected = [
        (
            Some("inbound".into()),
            Some("<script>alert(1)</script> & \u{1F600} ".into()),
            Some(3),
            1,
            "received".into(),
        ),
        (Some("outbound".into()), None, None, 0, "delivered".into()),
    ];
    assert_eq!(kept, expected);
    assert_eq!(used(&house.service, "sms").await, 3);
}

#[tokio::test]
async fn who_says_stop_is_answered_again_only_after_start() {
    let (house, web, phone) = house_of_ann().await;
    let mut nth = 0;
    let mut says = async |body: &str| {
        nth += 1;
        // Nobody writes that often: an hour lies between.
        house.sandbox.advance(chrono::TimeDelta::hours(1));
        let said = phone.message(&web, &sid("SM", nth), CALLER, body).await;
        house.settle().await;
        said.contains("<Message>")
    };
    let mut heard = Vec::new();
    for body in ["hello", "STOP", "hello?", "HELP", "unstop", "hello again"] {
        heard.push(says(body).await);
    }
    assert_eq!(heard, [true, false, false, false, false, true]);
}

#[tokio::test]
async fn no_machine_is_answered_for_ever() {
    let (house, web, phone) = house_of_ann().await;
    let mut heard = Vec::new();
    for nth in 0..5 {
        let said = phone
            .message(&web, &sid("SM", nth), CALLER, "auto-reply")
            .await;
        house.settle().await;
        heard.push(said.contains("<Message>"));
    }
    assert_eq!(heard, [true, true, true, false, false]);
    for (nth, from) in ["12345", "BANK", phone.number.as_str()].iter().enumerate() {
        let said = phone.message(&web, &sid("MM", nth), from, "hello").await;
        assert!(!said.contains("<Message>"), "{from} was answered");
    }
}

#[tokio::test]
async fn a_callback_about_a_number_of_nobody_is_kept_and_told() {
    let (house, web, phone) = house_of_ann().await;
    let master = "AC00000000000000000000000000000001";
    let token = "00000000000000000000000000000002";
    let tell = async |nth: usize, path: &str, to: &str| {
        let call = sid("CA", nth);
        let params = [
            ("AccountSid", master),
            ("CallSid", &call),
            ("CallStatus", "completed"),
            ("CallDuration", "30"),
            ("From", CALLER),
            ("To", to),
        ];
        let answer = web.twilio(path, &params, token).await;
        assert_eq!(answer.status(), 200);
        house.settle().await;
    };
    tell(0, "/api/twilio/status", "+15005550009").await;
    assert_eq!(house.findings().await, ["callback_of_nobody"]);
    let held: i64 = house
        .service
        .value("select count(*) from webhooks where state = 'held'")
        .await;
    assert_eq!(held, 1);

    // The signed URL names a user; or the number does, but not another one.
    tell(1, "/api/twilio/status/ann", "+15005550008").await;
    tell(2, "/api/twilio/status", &phone.number).await;
    tell(3, "/api/twilio/status/ben", &phone.number).await;

    let calls: Vec<String> =
        sqlx::query_scalar("select call_ref from calls where account_id = 'ann' order by 1")
            .fetch_all(&house.service.db)
            .await
            .unwrap();
    assert_eq!(calls, [sid("CA", 1), sid("CA", 2)]);
    assert_eq!(used(&house.service, "voice_minutes").await, 2);
}

fn as_recorded(config: &mut Config) {
    config.public_base_url = "https://hooks.example.com".into();
    config.twilio.account_sid = "AC00000000000000000000000000000002".into();
    config.twilio.auth_tokens = vec!["fedcba9876543210fedcba9876543210".into()];
}

#[tokio::test]
async fn every_recorded_callback_ends_as_what_it_told() {
    let house = House::with(as_recorded).await;
    house
        .service
        .execute("insert into accounts (account_id) values ('ann')")
        .await;
    house
        .service
        .execute(
            "insert into phone_numbers (id, account_id, status, phone_number, number_ref)
             values (gen_random_uuid(), 'ann', 'active', '+14155550100', 'PN1')",
        )
        .await;
    let web = house.web();
    let mut told = 0;
    for (name, file) in golden_files("webhooks/twilio", ".json") {
        let recorded: Value = serde_json::from_slice(&file).unwrap();
        let Some(url) = recorded["url"].as_str() else {
            continue;
        };
        let target = url.strip_prefix("https://hooks.example.com").unwrap();
        let body = recorded["body"].as_str().unwrap().to_owned();
        let headers = recorded["headers"].as_object().unwrap().iter();
        let request = headers.fold(web.post(target).body(body), |request, (name, value)| {
            request.header(name, value.as_str().unwrap())
        });
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        told += 1;
    }
    house.settle().await;

    assert!(told > 35, "only {told} recorded callbacks");
    assert_eq!(house.dead().await, Vec::<String>::new());
    let unhandled: i64 = house
        .service
        .value("select count(*) from webhooks where state = 'stored'")
        .await;
    assert_eq!(unhandled, 0);
    // All of them tell of one call and one message, whichever is told first.
    let calls: i64 = house
        .service
        .value("select count(*) from calls where account_id = 'ann' and ended_at is not null")
        .await;
    let messages: i64 = house
        .service
        .value("select count(*) from messages where account_id = 'ann'")
        .await;
    assert!(
        calls >= 1 && messages >= 1,
        "{calls} calls, {messages} messages"
    );
    let counted_once: bool = house
        .service
        .value(
            "select count(*) = count(distinct (feature, source_id)) from usage_events where source = 'twilio'",
        )
        .await;
    assert!(counted_once);
}

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
