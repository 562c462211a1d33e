//! A recording of an hour goes from one provider to the other without ever being in memory as a whole.

use std::{fs, time::Duration};

use chrono::Utc;
use sqlx::PgPool;
use tollkeeper::{
    clock::Clock,
    db, queue,
    sandbox::{Sandbox, Settings, twilio::PhoneCall},
};
use tollkeeper_jobs::{NewJob, TranscribeRecording};

use crate::support::{
    cluster,
    figures::{Figure, Goal},
    process::{Process, Program},
    proof::shown,
    until,
};

const HOUR: u32 = 3600;
/// Megabytes. Fewer than the recording has, which are 14: what was read at once would be more.
const MORE_MAX: f64 = 10.0;

#[tokio::test]
async fn an_hour_is_handed_over_in_less_memory_than_it_takes() {
    let clock = Clock::default();
    let sandbox = Sandbox::start(Settings {
        clock,
        ..Settings::default()
    })
    .await
    .unwrap();
    let options = cluster::fresh_database_options().await;
    let worker = Program::over(&options, &sandbox).ready("worker").await;
    let db = db::pool(options, 2, Duration::from_secs(30));
    sqlx::query("insert into accounts (account_id) values ('ann')")
        .execute(&db)
        .await
        .unwrap();
    // What a process needs once, it has from here on.
    hand_over(&db, &sandbox, 60).await;
    let before = megabytes(&worker, "VmRSS:");
    // From now on the most it ever had is counted anew.
    fs::write(format!("/proc/{}/clear_refs", worker.pid()), "5").unwrap();

    hand_over(&db, &sandbox, HOUR).await;

    let more = megabytes(&worker, "VmHWM:") - before;
    let goal = Goal::AtMost(MORE_MAX);
    shown(Figure::value(
        "recording_hour_memory",
        more.max(0.0),
        "MB more",
        goal,
    ));
    sandbox.stop().await;
}

/// A recording that is there already is transcribed.
async fn hand_over(db: &PgPool, sandbox: &Sandbox, seconds: u32) {
    let call = PhoneCall {
        sid: format!("CA{seconds:032}"),
        account_sid: "AC00000000000000000000000000000001".into(),
        from: String::new(),
        to: String::new(),
        status: "completed",
        seconds,
        created_at: Utc::now(),
        ended_at: Some(Utc::now()),
        asked: None,
        parent_sid: None,
    };
    let recording = sandbox.take_recording(&call, seconds, "Hello there.");
    let mut tx = db.begin().await.unwrap();
    sqlx::query(
        "insert into recordings (account_id, recording_ref, transcription_id, held_by_ref, status, began_at, told_at,
                                 updated_at, fetched_at)
         values ('ann', $1, gen_random_uuid(), $2, 'completed', now(), now(), now(), now())",
    )
    .bind(&recording.sid)
    .bind(&recording.account_sid)
    .execute(&mut *tx)
    .await
    .unwrap();
    let job = NewJob::of(&TranscribeRecording {
        account_id: "ann".into(),
        recording_ref: recording.sid.clone(),
    });
    queue::enqueue_all(&mut tx, &[job]).await.unwrap();
    tx.commit().await.unwrap();
    until("it is transcribed and deleted", async || {
        let done = "select removed_at is not null from recordings where recording_ref = $1";
        let found = sqlx::query_scalar(done).bind(&recording.sid).fetch_one(db);
        found.await.unwrap_or(false)
    })
    .await;
}

/// Of `/proc/…/status`.
fn megabytes(process: &Process, what: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().unwrap() / 1024.0
}
