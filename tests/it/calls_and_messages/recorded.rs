//! Every recorded callback, through the real receiver and the real workers: what each of Twilio's leads to alone, and that
//! none of VoIP.ms' is left undone.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use tollkeeper::config::Config;

use super::{house_as_recorded, house_of};
use crate::support::web::golden_files;

/// What there is after a recording was delivered: the webhook, the call, the message, the recording, what was used.
type After = [&'static str; 5];

const HELD: After = ["held", "", "", "", ""];

const fn call(call: &'static str, used: &'static str) -> After {
    ["handled", call, "", "", used]
}

const fn message(message: &'static str, used: &'static str) -> After {
    ["handled", "", message, "", used]
}

/// What a callback writes, whichever it is.
const WRITTEN: [&str; 9] = [
    "webhooks",
    "calls",
    "messages",
    "recordings",
    "opt_outs",
    "usage_events",
    "usage_keys",
    "usage_counters",
    "queue.jobs",
];

/// By the file's name.
const LEADS_TO: &[(&str, After)] = &[
    ("call_status_0_initiated", call("outbound initiated", "")),
    ("call_status_1_ringing", call("outbound ringing", "")),
    (
        "call_status_2_in_progress",
        call("outbound in-progress", ""),
    ),
    (
        "call_status_3_completed",
        call("outbound completed 61", "voice_minutes 2"),
    ),
    (
        "call_status_3_completed_duplicate",
        call("outbound completed 61", "voice_minutes 2"),
    ),
    ("call_status_busy", call("outbound busy 0", "")),
    ("call_status_canceled", call("outbound canceled 0", "")),
    ("call_status_completed_0s", call("outbound completed 0", "")),
    (
        "call_status_completed_60s",
        call("outbound completed 60", "voice_minutes 1"),
    ),
    ("call_status_failed", call("outbound failed 0", "")),
    ("call_status_no_answer", call("outbound no-answer 0", "")),
    ("dial_action_completed", HELD),
    ("dial_action_no_answer", HELD),
    ("event_streams_error_logged", HELD),
    (
        "message_status_delivered",
        message("outbound delivered", ""),
    ),
    (
        "message_status_failed",
        message("outbound failed 30007", ""),
    ),
    ("message_status_queued", message("outbound queued", "")),
    ("message_status_read", message("outbound read", "")),
    ("message_status_sending", message("outbound sending", "")),
    ("message_status_sent", message("outbound sent", "")),
    (
        "message_status_undelivered",
        message("outbound undelivered 30003", ""),
    ),
    ("mms_incoming", message("inbound received 1", "sms 1")),
    (
        "number_status_callback_inbound_completed",
        call("inbound completed 125", "voice_minutes 3"),
    ),
    (
        "record_action",
        ["handled", "inbound in-progress", "", "processing", ""],
    ),
    (
        "record_action_hangup",
        ["handled", "inbound completed", "", "processing", ""],
    ),
    // Of a call that is known.
    (
        "recording_status_completed",
        ["handled", "ringing", "", "completed 37", ""],
    ),
    (
        "recording_status_in_progress",
        ["handled", "ringing", "", "in-progress", ""],
    ),
    ("sms_incoming", message("inbound received 1", "sms 1")),
    (
        "sms_incoming_3_segments",
        message("inbound received 3", "sms 3"),
    ),
    (
        "sms_incoming_duplicate",
        message("inbound received 1", "sms 1"),
    ),
    ("sms_incoming_empty", message("inbound received 1", "sms 1")),
    ("sms_incoming_stop", message("inbound received 1", "sms 1")),
    ("usage_trigger", HELD),
    ("voice_fallback", call("inbound ringing", "")),
    ("voice_incoming", call("inbound ringing", "")),
    ("voice_incoming_anonymous", call("inbound ringing", "")),
];

#[tokio::test]
async fn every_recorded_callback_leads_to_what_the_table_says() {
    let (house, web) = house_as_recorded().await;
    let mut wrong = Vec::new();
    for (file, body) in golden_files("webhooks/twilio", ".json") {
        let recorded: Value = serde_json::from_slice(&body).unwrap();
        // What Twilio answers is no callback.
        let Some(url) = recorded["url"].as_str() else {
            continue;
        };
        let name = file.trim_end_matches(".json");
        let target = url.strip_prefix("https://hooks.example.com").unwrap();
        if name.starts_with("recording_status") {
            house
                .service
                .execute(
                    "insert into calls (account_id, call_ref, status, began_at, updated_at)
                     values ('ann', 'CA00000000000000000000000000000003', 'ringing', now(), now())",
                )
                .await;
        }
        let headers = recorded["headers"].as_object().unwrap().iter();
        let request = web
            .post(target)
            .body(recorded["body"].as_str().unwrap().to_owned());
        let request = headers.fold(request, |request, (name, value)| {
            request.header(name, value.as_str().unwrap())
        });
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        house.settle().await;

        let after = "select array[
            (select string_agg(state, ', ') from webhooks),
            (select string_agg(concat_ws(' ', direction, status, seconds), ', ') from calls),
            (select string_agg(concat_ws(' ', direction, status, segments, error_code), ', ') from messages),
            (select string_agg(concat_ws(' ', status, seconds), ', ') from recordings),
            (select string_agg(feature || ' ' || quantity / 1000000, ', ') from usage_events)]";
        let after: Vec<Option<String>> = house.service.value(after).await;
        let after: Vec<String> = after.into_iter().map(Option::unwrap_or_default).collect();
        match LEADS_TO.iter().find(|(known, _)| *known == name) {
            Some((_, expected)) if after != expected => {
                wrong.push(format!("{name}: {after:?}, expected {expected:?}"));
            }
            // A file dropped in later: stored, and done with.
            None if !["handled", "held", "ignored"].contains(&&*after[0]) => {
                wrong.push(format!("{name}: {after:?}"));
            }
            _ => {}
        }
        let dead = house.dead().await;
        if !dead.is_empty() {
            wrong.push(format!("{name}: dead {dead:?}"));
        }
        for table in WRITTEN {
            let sql = AssertSqlSafe(format!("delete from {table}"));
            sqlx::query(sql).execute(&house.service.db).await.unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What those that we have lead to is told with VoIP.ms' messages; a file dropped in later is done with, too.
#[tokio::test]
async fn no_recorded_callback_of_voipms_is_left_undone() {
    let with_token =
        |config: &mut Config| config.voipms.callback_tokens = vec!["9f1c_SECRET_PATH_TOKEN".into()];
    let (house, web, _) = house_of(with_token).await;
    let mut stored = 0;
    for (name, body) in golden_files("webhooks/voipms", ".json") {
        let recorded: Value = serde_json::from_slice(&body).unwrap();
        let requests = recorded["requests"].as_object().into_iter().flatten();
        for (request, url) in requests {
            let url = url.as_str().unwrap();
            let target = url.strip_prefix("https://hooks.example.com").unwrap();
            let status = web.get(target).send().await.unwrap().status();
            let is_ours = url.contains("9f1c_SECRET_PATH_TOKEN");
            assert_eq!(status, if is_ours { 200 } else { 403 }, "{name}: {request}");
            stored += usize::from(is_ours);
        }
    }
    assert!(stored >= 8, "only {stored} recorded callbacks");
    house.settle().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    let undone: i64 = house
        .service
        .value("select count(*) from webhooks where state = 'stored'")
        .await;
    assert_eq!(undone, 0);
}
