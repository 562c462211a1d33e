//! From the audio to the count: each part asked for once, each recording counted once.

use chrono::TimeDelta;
use tollkeeper::{
    clients::speech::Speech,
    config::SpeechConfig,
    sandbox::{Fault, When, speech::Manner},
    worker::Register,
};
use tollkeeper_jobs::{SweepRecordings, TranscribeRecording};

use super::{
    CHAT, SAID, TRANSCRIPTIONS, asked, counted, house_of_ann, in_the_clear, refusal, state, states,
    strike, texts, told,
};
use crate::support::{
    api::{Api, Setup, token},
    house,
};

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_counted_once() {
    let (house, web, phone) = house_of_ann(|config| config.recordings.is_deleted = false).await;
    strike(
        &house,
        TRANSCRIPTIONS,
        When::First(1),
        Fault::CutAfterEffect,
    );
    strike(
        &house,
        TRANSCRIPTIONS,
        When::Nth(1),
        Fault::ErrorAfter { status: 500 },
    );
    let recording = told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    // Whoever comes again finds it done.
    let again = TranscribeRecording {
        account_id: "ann".into(),
        recording_ref: recording.sid,
    };
    house.service.enqueue(&again).await;
    house.settle().await;

    assert_eq!(states(&house).await, [state("completed", "completed")]);
    assert_eq!(
        (counted(&house).await, asked(&house, TRANSCRIPTIONS)),
        (1, 3)
    );
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_long_recording_is_cut_put_together_and_no_part_of_it_is_paid_for_twice() {
    let (house, web, phone) =
        house_of_ann(|config| config.recordings.part_bytes_max = 70_000).await;
    strike(
        &house,
        TRANSCRIPTIONS,
        When::Nth(3),
        Fault::ErrorBefore { status: 503 },
    );
    let words: Vec<String> = (0..200).map(|nth| format!("word{nth}")).collect();
    let said = words.join(" ");
    told(&house, &web, &phone, 60, &said).await;
    house.settle().await;

    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let listed = api.get("/api/transcriptions", &token("ann")).await;
    assert_eq!(texts(&listed.body), [said]);
    assert_eq!(
        (counted(&house).await, asked(&house, TRANSCRIPTIONS)),
        (1, 5)
    );
    assert_eq!(in_the_clear(&house, "word199").await, Vec::<String>::new());
}

#[tokio::test]
async fn without_an_endpoint_recordings_wait_and_are_taken_up_once_there_is_one() {
    let (mut house, web, phone) =
        house_of_ann(|config| config.speech = SpeechConfig::default()).await;
    for _ in 0..3 {
        told(&house, &web, &phone, 2, SAID).await;
    }
    house.settle().await;
    sweep(&house).await;
    assert_eq!(states(&house).await, vec![state("pending", "pending"); 3]);
    assert_eq!(
        (house.dead().await, house.findings().await),
        (vec![], vec![])
    );
    assert_eq!(
        house.sandbox.recordings().len(),
        3,
        "they are kept meanwhile"
    );

    // First somebody sets one that writes down, then one that analyses.
    for (is_analysed, expected) in [
        (false, state("completed", "pending")),
        (true, state("completed", "completed")),
    ] {
        house.worker.stop().await;
        let mut config = house::speech(&house.sandbox);
        config.analysis = config.analysis.filter(|_| is_analysed);
        house.service.ctx.speech = Speech::new(&config, 4);
        house.worker = house.service.work(Register::all());
        sweep(&house).await;
        assert_eq!(states(&house).await, vec![expected; 3]);
        let kept: i64 = house
            .service
            .value("select count(*) from speech_answers")
            .await;
        assert_eq!(kept, 0);
    }
    assert_eq!(counted(&house).await, 3);
    assert!(house.sandbox.recordings().is_empty());
}

async fn sweep(house: &house::House) {
    let tick_at = house.sandbox.now();
    house.service.enqueue(&SweepRecordings { tick_at }).await;
    house.settle().await;
}

#[tokio::test]
async fn an_endpoint_without_credit_is_left_alone_until_a_person_has_seen_to_it() {
    let (house, web, phone) = house_of_ann(|_| {}).await;
    strike(
        &house,
        TRANSCRIPTIONS,
        When::First(2),
        refusal(429, "insufficient_quota"),
    );
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    assert_eq!(states(&house).await, [state("processing", "pending")]);
    assert_eq!(house.findings().await, ["speech_endpoint_refuses"]);
    house.pass(TimeDelta::minutes(50)).await;
    assert_eq!(
        asked(&house, TRANSCRIPTIONS),
        1,
        "it was asked again too soon"
    );

    for _ in 0..2 {
        house.pass(TimeDelta::minutes(61)).await;
    }
    assert_eq!(states(&house).await, [state("completed", "completed")]);
    assert_eq!(house.findings().await, Vec::<String>::new());
    assert_eq!(
        (counted(&house).await, asked(&house, TRANSCRIPTIONS)),
        (1, 3)
    );

    // Too many requests at once is no matter of a person's.
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(1),
    };
    strike(&house, TRANSCRIPTIONS, When::First(3), busy);
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    assert_eq!(states(&house).await[1], state("completed", "completed"));
    assert_eq!(house.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_endpoint_cannot_read_fails_with_the_reason_and_stays_at_the_provider() {
    let (house, web, phone) = house_of_ann(|config| config.recordings.bytes_max = 100_000).await;
    strike(
        &house,
        TRANSCRIPTIONS,
        When::First(1),
        refusal(400, "invalid_file"),
    );
    told(&house, &web, &phone, 2, SAID).await;
    house.settle().await;
    // Larger than the settings allow: it is not even read.
    told(&house, &web, &phone, 60, SAID).await;
    house.settle().await;

    assert_eq!(states(&house).await, vec![state("failed", "pending"); 2]);
    let api = Api::start_over(house.service.db.clone(), Setup::default()).await;
    let listed = api
        .get("/api/transcriptions?status=failed", &token("ann"))
        .await;
    let listed = listed.body["data"]["transcriptions"]
        .as_array()
        .unwrap()
        .clone();
    let whys: Vec<&str> = listed
        .iter()
        .map(|one| one["error"].as_str().unwrap())
        .collect();
    assert_eq!(
        whys,
        [
            "the recording is larger than RECORDING_MAX",
            "the transcription endpoint refused it (status 400) invalid_file Refused by a rule.",
        ]
    );
    assert_eq!(
        (counted(&house).await, house.sandbox.recordings().len()),
        (0, 2)
    );
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_of_ones_own_is_as_good() {
    let (house, web, phone) = house_of_ann(|config| {
        let endpoint = config.speech.transcription.as_mut().unwrap();
        endpoint.url = endpoint.url.replace(TRANSCRIPTIONS, "/inference");
        endpoint.api_key = "".into();
        config.speech.language = Some("en".into());
    })
    .await;
    house.sandbox.speak(Manner {
        is_plain: true,
        knows_no_schema: true,
    });
    for _ in 0..2 {
        told(&house, &web, &phone, 2, SAID).await;
        house.settle().await;
    }

    assert_eq!(
        states(&house).await,
        vec![state("completed", "completed"); 2]
    );
    // The schema is offered once.
    assert_eq!((asked(&house, "/inference"), asked(&house, CHAT)), (2, 3));
}
