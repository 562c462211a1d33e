//! Callbacks about recordings: doubled, in any order, too early, or never.

use chrono::TimeDelta;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tollkeeper::{
    queue::operate::{self, By, Scope},
    sandbox::When,
};
use tollkeeper_jobs::ReconcilePhoneLogs;

use super::{
    SAID, TRANSCRIPTIONS, asked, counted, house_of_ann, in_the_clear, recorded, refusal, state,
    states, told,
};
use crate::support::{house::House, phone::CALLER, proof::seed};

#[tokio::test]
async fn a_recordings_callbacks_end_alike_doubled_and_in_every_order() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    let mut dice = StdRng::seed_from_u64(seed("recording_callbacks"));
    for _ in 0..8 {
        let recording = recorded(&house, &phone, 2, SAID);
        let mut order = [0, 1, 2, 3, 0, 1, 2, 3];
        order.shuffle(&mut dice);
        for told in order {
            let of_call = [
                ("CallSid", recording.call_sid.as_str()),
                ("From", CALLER),
                ("To", &phone.number),
                ("Direction", "inbound"),
                ("RecordingSid", &recording.sid),
                ("RecordingDuration", "2"),
            ];
            match told {
                0 => phone.recorded(&web, &recording, "in-progress", "").await,
                1 => phone.recorded(&web, &recording, "completed", "").await,
                2 => {
                    let status = [("CallStatus", "in-progress"), ("Digits", "hangup")];
                    let params = [&of_call[..], &status].concat();
                    let answer = phone.tell(&web, "/api/twilio/recording", &params).await;
                    assert!(answer.text().await.unwrap().contains("<Hangup/>"));
                }
                _ => {
                    let status = [("CallStatus", "completed"), ("CallDuration", "2")];
                    let params = [&of_call[..], &status].concat();
                    phone.tell(&web, "/api/twilio/status/ann", &params).await;
                }
            }
        }
    }
    house.settle().await;

    assert_eq!(
        states(&house).await,
        vec![state("completed", "completed"); 8]
    );
    assert_eq!(
        (counted(&house).await, asked(&house, TRANSCRIPTIONS)),
        (8, 8)
    );
    let seconds: bool = house
        .service
        .value("select bool_and(seconds = 2 and status = 'deleted') from recordings")
        .await;
    assert!(seconds);
    assert!(
        house.sandbox.recordings().is_empty(),
        "they are deleted at the provider"
    );
    assert_eq!(in_the_clear(&house, "boiler").await, Vec::<String>::new());
    let kept: i64 = house
        .service
        .value("select count(*) from speech_answers")
        .await;
    assert_eq!(kept, 0);
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_comes_after_its_callback_is_waited_for_and_one_that_never_comes_is_not() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    let late = recorded(&house, &phone, 2, SAID);
    house.strike(
        "GET",
        &format!("{}.mp3", late.sid),
        When::First(4),
        refusal(404, "20404"),
    );
    phone.recorded(&web, &late, "completed", "").await;
    house.settle().await;
    assert_eq!(states(&house).await, [state("completed", "completed")]);

    let mut never = recorded(&house, &phone, 2, SAID);
    never.sid = never.sid.replace("RE", "RE0")[..34].to_owned();
    phone.recorded(&web, &never, "completed", "").await;
    for _ in 0..16 {
        house.pass(TimeDelta::minutes(30)).await;
    }
    assert_eq!(states(&house).await[1], state("failed", "pending"));
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn recordings_that_no_callback_told_of_are_found_in_the_list() {
    let (house, _web, phone) = house_of_ann(|_| {}).await;
    for _ in 0..3 {
        recorded(&house, &phone, 2, SAID);
    }
    for _ in 0..2 {
        reconcile(&house).await;
    }

    assert_eq!(
        states(&house).await,
        vec![state("completed", "completed"); 3]
    );
    assert_eq!(counted(&house).await, 3);
}

async fn reconcile(house: &House) {
    let tick_at = house.sandbox.now();
    house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
    house.settle().await;
}

/// Under the main account a recording is its call's, and the call's callback may come later.
#[tokio::test]
async fn a_recording_before_its_call_finds_its_owner() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    let master = "AC00000000000000000000000000000001";
    let token = "00000000000000000000000000000002";
    let recording = told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    let call = "CA0000000000000000000000000000beef";
    let params = [
        ("AccountSid", master),
        ("CallSid", call),
        ("RecordingSid", "RE0000000000000000000000000000beef"),
        ("RecordingStatus", "absent"),
    ];
    web.twilio("/api/twilio/recording-status", &params, token)
        .await;
    let params = [
        ("AccountSid", master),
        ("CallSid", call),
        ("CallStatus", "completed"),
        ("CallDuration", "9"),
        ("To", &phone.number),
        ("From", CALLER),
    ];
    web.twilio("/api/twilio/status", &params, token).await;
    house.pass(TimeDelta::seconds(30)).await;

    let of_ann: Vec<String> = sqlx::query_scalar(
        "select recording_ref from recordings where account_id = 'ann' order by told_at",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    assert_eq!(
        of_ann,
        [&*recording.sid, "RE0000000000000000000000000000beef"]
    );
    // Nothing was recorded in it.
    assert_eq!(states(&house).await[1], state("failed", "pending"));
    assert_eq!(house.findings().await, Vec::<String>::new());
}

/// Those that came before anything was done about recordings.
#[tokio::test]
async fn callbacks_that_were_kept_until_somebody_would_take_them_up_are_taken_up_by_the_migration()
{
    let (house, web, phone) = house_of_ann(|_| {}).await;
    let by = By {
        who: "a test",
        why: "as it was before",
    };
    let (kind, what) = (Scope::Kind, "handle_twilio_callback");
    let mut conn = house.service.db.acquire().await.unwrap();
    operate::pause(&mut conn, kind, what, by).await.unwrap();
    let recording = told(&house, &web, &phone, 2, SAID).await;
    for sql in [
        "delete from queue.jobs where kind = 'handle_twilio_callback'",
        "update webhooks set state = 'held' where kind = 'recording_status'",
    ] {
        assert_eq!(house.service.execute(sql).await, 1, "{sql}");
    }
    operate::resume(&mut conn, kind, what, by).await.unwrap();
    let migration = include_str!("../../../migrations/0022_recordings.sql");
    let (_, taking_up) = migration.split_once("-- What was kept until").unwrap();
    let (_, taking_up) = taking_up.split_once('\n').unwrap();

    for taken in [1, 0] {
        assert_eq!(house.service.execute(taking_up).await, taken);
        house.settle().await;
    }

    assert_eq!(states(&house).await, [state("completed", "completed")]);
    let known: String = house
        .service
        .value("select recording_ref from recordings")
        .await;
    assert_eq!(known, recording.sid);
    assert_eq!(house.dead().await, Vec::<String>::new());
}
