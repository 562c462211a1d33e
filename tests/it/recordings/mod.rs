//! What is said in a recorded call is written down, counted once and analysed, whatever goes wrong on the way.

mod analysis;
mod callbacks;
mod hostile;
mod shown;
mod transcription;

use serde_json::Value;
use tollkeeper::{
    config::Config,
    sandbox::{Fault, Provider, Rule, When, twilio::Recording},
};

use crate::support::{
    house::House,
    phone::{CALLER, Phone},
    web::Web,
};

const SAID: &str =
    "Hello, my boiler is broken. Please send somebody on Friday. Is it expensive? Thank you!";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const CHAT: &str = "/v1/chat/completions";

async fn house_of_ann(change: impl FnOnce(&mut Config)) -> (House, Web, Phone) {
    let house = House::with(change).await;
    house.sign_up("ann");
    house.take_in_all().await;
    let web = house.web();
    let phone = Phone::of(&house.sandbox, "ann");
    (house, web, phone)
}

/// A call that was recorded, as Twilio has it; nobody was told.
fn recorded(house: &House, phone: &Phone, seconds: u32, said: &str) -> Recording {
    let call = house.sandbox.take_call(&phone.number, CALLER, seconds);
    house.sandbox.take_recording(&call.unwrap(), seconds, said)
}

/// The same, and its end is told.
async fn told(house: &House, web: &Web, phone: &Phone, seconds: u32, said: &str) -> Recording {
    let recording = recorded(house, phone, seconds, said);
    phone
        .recorded(web, &recording, "completed", "https://x.test")
        .await;
    recording
}

/// How often this was asked of the speech endpoint.
fn asked(house: &House, path: &str) -> usize {
    let calls = house.sandbox.calls();
    let of = |provider, other: &str| provider == Provider::Speech && other == path;
    calls
        .iter()
        .filter(|call| of(call.provider, &call.path))
        .count()
}

fn strike(house: &House, path: &str, when: When, fault: Fault) {
    let rule = Rule::on(Provider::Speech, "POST", path, when, fault);
    house.sandbox.add_rules(vec![rule]);
}

fn refusal(status: u16, code: &str) -> Fault {
    Fault::Refuse {
        status,
        code: code.into(),
    }
}

/// Of every recording: how far its transcript and its analysis are.
async fn states(house: &House) -> Vec<(String, String)> {
    sqlx::query_as("select transcript, analysis from recordings order by told_at")
        .fetch_all(&house.service.db)
        .await
        .unwrap()
}

fn state(transcript: &str, analysis: &str) -> (String, String) {
    (transcript.to_owned(), analysis.to_owned())
}

/// How many transcriptions were counted.
async fn counted(house: &House) -> i64 {
    house
        .service
        .value(
            "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_events
             where account_id = 'ann' and source = 'twilio' and feature = 'transcriptions'",
        )
        .await
}

/// Every text of the database in which this stands.
async fn in_the_clear(house: &House, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for table in [
        "recordings",
        "speech_answers",
        "provider_calls",
        "findings",
        "queue.jobs",
        "queue.finished_jobs",
        "queue.job_attempts",
    ] {
        let sql = format!("select row::text from {table} row where strpos(row::text, $1) > 0");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(text)
            .fetch_all(&house.service.db)
            .await
            .unwrap();
        found.extend(rows);
    }
    found
}

fn texts(answer: &Value) -> Vec<&str> {
    let all = answer["data"]["transcriptions"].as_array().unwrap();
    all.iter()
        .map(|one| one["transcription"].as_str().unwrap_or_default())
        .collect()
}
