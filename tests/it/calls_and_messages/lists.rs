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

/// Messages beyond any page, and one conversation far behind all of them.
#[tokio::test]
async fn a_conversation_is_listed_however_much_was_written_since_and_page_by_page() {
    let api = Api::start().await;
    let store = async |sql: &'static str| sqlx::query(sql).execute(&api.db).await.unwrap();
    store("insert into accounts (account_id) values ('ann'), ('ben')").await;
    // Of every minute one, by turns with the same three; and before all that one with each of four others.
    let written = "insert into messages (account_id, message_ref, provider, direction, from_number, to_number, body, status,
                                         began_at, updated_at)
         select whose, 'voipms_' || nth, 'voipms', case nth % 2 when 0 then 'inbound' else 'outbound' end,
                case nth % 2 when 0 then theirs else ours end, case nth % 2 when 0 then ours else theirs end,
                'number ' || nth, 'received', timestamptz '2026-11-01Z' + make_interval(mins => nth), now()
         from (values ('ann', '+14155550100'), ('ben', '+14155550200')) of (whose, ours), generate_series(1, 3004) nth,
              lateral (select '+1415555' || case when nth <= 4 then 7000 + nth else 8000 + nth % 3 end) to_whom (theirs)";
    store(written).await;
    // Of this one only its delivery was told.
    store(
        "insert into messages (account_id, message_ref, status, began_at, updated_at)
         values ('ann', 'SM1', 'delivered', now(), now())",
    )
    .await;

    let target = "/api/phone/sms/conversations?limit=3".to_owned();
    let (mut listed, mut next, mut pages) = (Vec::new(), target.clone(), 0);
    loop {
        let answer = api.get(&next, &token("ann")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        pages += 1;
        for one in answer.body["data"].as_array().unwrap() {
            assert_eq!(one["phone_number"], "+14155550100");
            let shown = one["messages"].as_array().unwrap();
            assert_eq!(one["last_message_preview"], shown[0]["body"]);
            let name = one["participant_number"].as_str().unwrap();
            listed.push((name[8..].to_owned(), shown.len()));
        }
        match answer.body["meta"]["nextCursor"].as_str() {
            Some(cursor) => next = format!("{target}&cursor={cursor}"),
            None => break,
        }
    }

    // 3004 is a multiple of three and one more.
    let expected = [
        ("8001", 100),
        ("8000", 100),
        ("8002", 100),
        ("7004", 1),
        ("7003", 1),
        ("7002", 1),
        ("7001", 1),
    ];
    let expected = expected.map(|(name, shown)| (name.to_owned(), shown));
    assert_eq!(listed, expected);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn without_a_limit_there_is_no_second_page_but_for_ten_thousand_messages() {
    let api = Api::start().await;
    let store = async |sql: &'static str| sqlx::query(sql).execute(&api.db).await.unwrap();
    store("insert into accounts (account_id) values ('ann')").await;
    // A hundred and one messages with each of a hundred and twenty others.
    let written = "insert into messages (account_id, message_ref, provider, direction, from_number, to_number, status,
                                         began_at, updated_at)
         select 'ann', 'voipms_' || theirs || 'x' || nth, 'voipms', 'inbound', '+1415555' || 7000 + theirs, '+14155550100',
                'received', timestamptz '2026-11-01Z' + make_interval(mins => theirs, secs => nth), now()
         from generate_series(1, 120) theirs, generate_series(1, 101) nth";
    store(written).await;

    let target = "/api/phone/sms/conversations";
    let first = api.get(target, &token("ann")).await.body;
    let cursor = first["meta"]["nextCursor"].as_str().unwrap();
    let next = format!("{target}?cursor={cursor}");
    let second = api.get(&next, &token("ann")).await.body;
    assert_eq!(second["meta"]["nextCursor"], Value::Null);
    let found = [first, second].map(|page| page["data"].as_array().unwrap().clone());
    assert!(found[0].len() > 90);
    let found = found.concat();
    assert_eq!(found.len(), 120);
    for one in &found {
        assert_eq!(one["messages"].as_array().unwrap().len(), 100);
    }

    store("delete from messages where message_ref not like '%x1'").await;
    let few = api.get(target, &token("ann")).await.body;
    assert_eq!(few["data"].as_array().unwrap().len(), 120);
    assert_eq!(few["meta"]["nextCursor"], Value::Null);
    let used = "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                          per, window_starts_at, day_starts_at, tier)
         select gen_random_uuid(), 'ann', 'sms', 'voipms', message_ref, 1000000, now(), now(), 'day', now(), now(), 'x'
         from messages";
    store(used).await;
    let uses = api
        .get("/api/phone/usage/details", &token("ann"))
        .await
        .body;
    assert_eq!(uses["data"].as_array().unwrap().len(), 120, "{uses}");
    assert_eq!(uses["meta"]["nextCursor"], Value::Null);
}
