//! What apps are shown of recordings, and what they may take back.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::{Fault, When};
use tollkeeper_jobs::ReconcilePhoneLogs;

use super::{
    CHAT, SAID, TRANSCRIPTIONS, asked, counted, house_of_ann, recorded, strike, texts, told,
};
use crate::support::{
    api::{Api, Setup, token},
    phone::CALLER,
    until,
};

#[tokio::test]
async fn a_recorded_call_is_shown_with_what_was_said_and_what_it_comes_to() {
    let (house, _web, phone) = house_of_ann(|config| config.recordings.is_deleted = false).await;
    let web = house.web();
    let recording = told(&house, &web, &phone, 2, SAID).await;
    let call = &recording.call_sid;
    phone.call(&web, call, "completed", Some("2")).await;
    house.settle().await;
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let (ann, ben) = (token("ann"), token("ben"));

    let summary = api
        .get(&format!("/api/calls/{call}/summary"), &ann)
        .await
        .body;
    assert_eq!(summary["executiveSummary"], "Hello, my boiler is broken.");
    assert_eq!(
        summary["nextSteps"],
        json!(["Please send somebody on Friday."])
    );
    assert_eq!(summary["sentimentAnalysis"]["overall"], "positive");
    let recordings = api
        .get(&format!("/api/twilio/recordings/{call}"), &ann)
        .await
        .body;
    let shown = &recordings["recordings"][0];
    let id = shown["transcription_id"].as_str().unwrap();
    assert_eq!(
        (&shown["status"], &shown["duration"]),
        (&json!("completed"), &json!(2))
    );
    let url = shown["recording_url"].as_str().unwrap();
    assert!(
        url.ends_with(&format!("/Recordings/{}.mp3", recording.sid)),
        "{url}"
    );
    let of_phone = api
        .get(&format!("/api/phone/calls/{call}/recording"), &ann)
        .await;
    assert_eq!(of_phone.body["data"], recordings["recordings"]);
    let in_full = api
        .get(&format!("/api/phone/calls/{call}"), &ann)
        .await
        .body;
    assert_eq!(in_full["data"]["from_number"], CALLER);
    assert_eq!(in_full["data"]["transcription"], SAID);
    let of_call = api
        .get(&format!("/api/calls/{call}/transcription"), &ann)
        .await
        .body;
    assert_eq!(
        (&of_call["data"]["text"], &of_call["data"]["isLive"]),
        (&json!(SAID), &json!(false))
    );
    let one = api
        .get(&format!("/api/transcriptions/{id}"), &ann)
        .await
        .body;
    assert_eq!(
        one["data"]["analysis"]["painPoints"],
        json!(["Hello, my boiler is broken."])
    );

    // Nobody else's, and nothing that is not there.
    for (path, code) in [
        (format!("/api/calls/{call}/summary"), &["code"][..]),
        (format!("/api/twilio/recordings/{call}"), &["code"]),
        (format!("/api/phone/calls/{call}"), &["error", "code"]),
        (
            format!("/api/phone/calls/{call}/recording"),
            &["error", "code"],
        ),
        (
            format!("/api/calls/{call}/transcription"),
            &["error", "code"],
        ),
        (format!("/api/transcriptions/{id}"), &["error", "code"]),
        ("/api/transcriptions/active".into(), &["error", "code"]),
    ] {
        let answer = api.get(&path, &ben).await;
        assert_eq!(answer.status, 404, "{path}");
        let found = code.iter().fold(&answer.body, |body, name| &body[*name]);
        assert_eq!(found, "NOT_FOUND", "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_deleted_transcription_is_gone_everywhere_stays_counted_and_is_not_made_again() {
    let (house, web, phone) = house_of_ann(|config| config.recordings.is_deleted = false).await;
    let mut calls = Vec::new();
    for nth in 0..3 {
        let said = format!("number {nth}");
        house.sandbox.advance(TimeDelta::minutes(1));
        calls.push(told(&house, &web, &phone, 2, &said).await.call_sid);
        house.settle().await;
    }
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let (ann, ben) = (token("ann"), token("ben"));
    let page = api
        .get("/api/transcriptions?limit=2&offset=1", &ann)
        .await
        .body;
    assert_eq!(texts(&page), ["number 1", "number 0"]);
    assert_eq!(
        page["data"]["pagination"],
        json!({"limit": 2, "offset": 1, "total": 3})
    );
    let first = api.get("/api/transcriptions?limit=2", &ann).await.body;
    let cursor = first["data"]["pagination"]["nextCursor"].as_str().unwrap();
    let target = format!("/api/transcriptions?limit=2&cursor={cursor}");
    let behind = api.get(&target, &ann).await.body;
    assert_eq!(texts(&behind), ["number 0"]);
    assert_eq!(behind["data"]["pagination"]["nextCursor"], Value::Null);
    let target = format!(
        "/api/transcriptions/{}",
        page["data"]["transcriptions"][0]["id"].as_str().unwrap()
    );

    let by_another = api.call(Method::DELETE, &target, &ben, None, &[]).await;
    assert_eq!(by_another.status, 404);
    let deleted = api.call(Method::DELETE, &target, &ann, None, &[]).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let again = api.call(Method::DELETE, &target, &ann, None, &[]).await;
    assert_eq!(again.status, 404);
    house.settle().await;
    let tick_at = house.sandbox.now();
    house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
    house.settle().await;

    let page = api.get("/api/transcriptions", &ann).await.body;
    assert_eq!(texts(&page), ["number 2", "number 0"]);
    assert_eq!(api.get(&target, &ann).await.status, 404);
    let call = &calls[1];
    assert_eq!(
        api.get(&format!("/api/calls/{call}/summary"), &ann)
            .await
            .status,
        404
    );
    let recordings = api
        .get(&format!("/api/twilio/recordings/{call}"), &ann)
        .await
        .body;
    let shown = &recordings["recordings"][0];
    assert_eq!(shown["status"], "deleted");
    assert_eq!(
        (&shown["recording_url"], &shown["transcription_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        house.sandbox.recordings().len(),
        2,
        "it is deleted at the provider too"
    );
    assert_eq!(
        (counted(&house).await, asked(&house, TRANSCRIPTIONS)),
        (3, 3)
    );
}

#[tokio::test]
async fn what_is_deleted_before_its_recording_is_complete_is_deleted_when_it_is() {
    let (house, web, phone) = house_of_ann(|config| config.recordings.is_deleted = false).await;
    let recording = recorded(&house, &phone, 2, "a secret");
    phone.recorded(&web, &recording, "in-progress", "").await;
    house.settle().await;
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let ann = token("ann");
    let page = api.get("/api/transcriptions", &ann).await.body;
    let id = page["data"]["transcriptions"][0]["id"].as_str().unwrap();
    let target = format!("/api/transcriptions/{id}");
    let deleted = api.call(Method::DELETE, &target, &ann, None, &[]).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    house.settle().await;
    assert_eq!(house.sandbox.recordings().len(), 1, "it is not asked yet");

    phone
        .recorded(&web, &recording, "completed", "https://x.test")
        .await;
    house.settle().await;
    house.pass(TimeDelta::minutes(1)).await;
    house.settle().await;

    assert_eq!(house.sandbox.recordings().len(), 0);
    assert_eq!(asked(&house, TRANSCRIPTIONS), 0);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_about_a_transcription_that_is_deleted_meanwhile_is_not_kept() {
    let (house, web, phone) = house_of_ann(|config| config.recordings.is_deleted = false).await;
    let by = Duration::from_secs(3);
    strike(&house, CHAT, When::First(1), Fault::Latency { by });
    house
        .sandbox
        .analyse_next("what a model says that does not keep to the form");
    told(&house, &web, &phone, 2, "a secret").await;
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let ann = token("ann");
    until("it is asked about", async || {
        let asked =
            "select count(*) from provider_calls where kind = 'ask_analyst' and state = 'sent'";
        house.service.value::<i64>(asked).await == 1
    })
    .await;

    let page = api.get("/api/transcriptions", &ann).await.body;
    let id = page["data"]["transcriptions"][0]["id"].as_str().unwrap();
    let target = format!("/api/transcriptions/{id}");
    let deleted = api.call(Method::DELETE, &target, &ann, None, &[]).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    house.settle().await;

    let kept = "select count(*) from speech_answers";
    assert_eq!(house.service.value::<i64>(kept).await, 0);
    assert_eq!(house.dead().await, Vec::<String>::new());
}
