//! Apps that were shown rows of the replaced services are shown them still: what stands under the old names stands in
//! the answers too, column by column.

use chrono::DateTime;
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    isolation::tenants::{TENANTS, Tenant, house},
    old_names::{TABLES, seen},
};
use crate::support::{api::token, web::Web};

/// What is asked, where in the answer the row stands, and whose row it is.
const SHOWN: [(&str, &str, &str); 8] = [
    ("/api/phone/phone-numbers", "/data/0", "phone_numbers"),
    ("/api/phone/calls/{call}", "/data", "call_logs"),
    ("/api/twilio/calls", "/calls/0", "twilio_calls"),
    (
        "/api/twilio/recordings/{call}",
        "/recordings/0",
        "call_recordings",
    ),
    ("/api/twilio/sms", "/messages/0", "twilio_sms"),
    (
        "/api/phone/sms/conversations",
        "/data/0",
        "sms_conversations",
    ),
    (
        "/api/phone/sms/conversations",
        "/data/0/messages/0",
        "sms_messages",
    ),
    ("/api/phone/usage/details", "/data/0", "phone_usage_records"),
];

/// These no client was shown of a recording.
const NOT_OF_A_RECORDING: [&str; 2] = ["user_id", "updated_at"];

async fn ask(web: &Web, whose: &Tenant, target: &str) -> (StatusCode, Value) {
    let answer = web.get(target).bearer_auth(token(whose.id)).send().await;
    let answer = answer.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// The columns of an old table.
fn columns(table: &str) -> impl Iterator<Item = &'static str> {
    let of = TABLES.iter().find(|(name, _)| *name == table);
    let parts = of.unwrap().1.split(", ");
    parts.map(|column| column.split_once(' ').unwrap().0)
}

/// Instants are written in two ways; the provider's host is another one here.
fn is_same(old: &Value, shown: &Value) -> bool {
    let instant = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis());
    match (old, shown) {
        (Value::Number(old), Value::Number(shown)) => old.as_f64() == shown.as_f64(),
        (Value::String(old), Value::String(shown)) => {
            let is_one_instant = instant(old).is_some() && instant(old) == instant(shown);
            let file = |url: &str| Some(url.split_once("/2010-04-01/")?.1.to_owned());
            old == shown || is_one_instant || (file(old).is_some() && file(old) == file(shown))
        }
        _ => old == shown,
    }
}

async fn check(web: &Web, whose: &Tenant) {
    for (target, place, table) in SHOWN {
        let rows = seen(&web.service.db, whose.id, table).await.unwrap();
        let target = target.replace("{call}", whose.call);
        let (status, body) = ask(web, whose, &target).await;
        assert_eq!(status, 200, "{target}: {body}");
        let shown = body.pointer(place).cloned().unwrap_or_default();
        assert_eq!(shown.is_object(), !rows.is_empty(), "{target}: {body}");
        let Some(row) = rows.first() else { continue };
        let of_a_recording = table == "call_recordings";
        let columns =
            columns(table).filter(|name| !of_a_recording || !NOT_OF_A_RECORDING.contains(name));
        for column in columns {
            let Some(found) = shown.get(column) else {
                panic!("{target}: no {column} in {shown}");
            };
            // What the old row has not may be known here.
            let is_told = row[column].is_null() || is_same(&row[column], found);
            assert!(is_told, "{target}: {column} of {row} is {found}");
        }
    }
}

#[tokio::test]
async fn every_column_of_an_old_row_is_shown_and_null_where_there_is_nothing() {
    let web = house().await;
    let ann = &TENANTS[0];
    check(&web, ann).await;

    for sql in [
        "update calls set direction = 'inbound', from_number = '+14155550177', seconds = 61, cost_micros = 17000,
                          ended_at = began_at + interval '65 seconds'",
        "update messages set direction = 'inbound', from_number = '+14155550177', cost_micros = 8300, status = 'read'",
        "update usage_events e set source_id = c.call_ref from calls c where c.account_id = e.account_id",
        "update outbound o set ext_ref = m.message_ref, metadata = '{\"leadId\": \"l1\"}'
         from messages m where m.account_id = o.account_id",
    ] {
        web.service.execute(sql).await;
    }
    check(&web, ann).await;

    let (_, messages) = ask(&web, ann, "/api/twilio/sms").await;
    assert_eq!(messages["messages"][0]["metadata"]["leadId"], "l1");
    let (_, numbers) = ask(&web, ann, "/api/phone/phone-numbers").await;
    let number = &numbers["data"][0]["id"];
    for target in [
        "/api/phone/sms/conversations",
        "/api/phone/usage/details",
        &format!("/api/phone/calls/{}", ann.call),
    ] {
        let (_, body) = ask(&web, ann, target).await;
        let row = body.pointer("/data/0").unwrap_or(&body["data"]);
        assert_eq!(row["phone_number_id"], *number, "{target}: {row}");
    }
}

#[tokio::test]
async fn a_call_is_found_by_the_id_of_its_row_too_and_nobody_elses_is() {
    let web = house().await;
    let [ann, bob] = &TENANTS;
    let (_, by_sid) = ask(&web, ann, &format!("/api/phone/calls/{}", ann.call)).await;
    let id = by_sid["data"]["id"].as_str().unwrap();

    let (status, by_id) = ask(&web, ann, &format!("/api/phone/calls/{id}")).await;
    assert_eq!((status.as_u16(), &by_id["data"]), (200, &by_sid["data"]));
    let (_, recordings) = ask(&web, ann, &format!("/api/phone/calls/{id}/recording")).await;
    assert_eq!(recordings["data"][0]["call_sid"], ann.call);
    for path in ["", "/recording"] {
        let (status, _) = ask(&web, bob, &format!("/api/phone/calls/{id}{path}")).await;
        assert_eq!(status, 404);
    }
}
