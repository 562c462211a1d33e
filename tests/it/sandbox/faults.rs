//! Every way a call goes wrong, as the client sees it and as the provider's state has it.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use tollkeeper::{
    clock::Clock,
    sandbox::{Effect, Fault, Provider, Rule, When},
};

use super::client::{Answer, World, until};

/// One POST that creates a subaccount while that fault is on: the client's view, and the subaccounts made.
async fn create_with(fault: Fault) -> (World, Result<Answer, reqwest::Error>) {
    let world = World::start().await;
    let rule = Rule::on(
        Provider::Twilio,
        "POST",
        "Accounts.json",
        When::Nth(1),
        fault,
    );
    world.sandbox.add_rules(vec![rule]);
    let answer = world
        .try_twilio(
            Method::POST,
            "/Accounts.json",
            &[("FriendlyName", "acct:1")],
        )
        .await;
    (world, answer)
}

fn effects(world: &World) -> Vec<(Option<u16>, Effect)> {
    let calls = world.sandbox.calls();
    calls
        .iter()
        .map(|call| (call.status, call.effect))
        .collect()
}

#[tokio::test]
async fn too_many_requests_does_nothing_and_says_when_to_come_back() {
    let (world, answer) = create_with(Fault::TooManyRequests {
        retry_after_seconds: Some(7),
    })
    .await;

    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body["code"]), (429, &20429.into()));
    assert!(world.sandbox.subaccounts().is_empty());
}

#[tokio::test]
async fn an_error_before_the_effect_does_nothing() {
    let (world, answer) = create_with(Fault::ErrorBefore { status: 500 }).await;

    assert_eq!(answer.unwrap().status, 500);
    assert!(world.sandbox.subaccounts().is_empty());
    assert_eq!(effects(&world), [(Some(500), Effect::Nothing)]);
}

#[tokio::test]
async fn an_error_after_the_effect_hides_that_it_was_done() {
    let (world, answer) = create_with(Fault::ErrorAfter { status: 503 }).await;

    assert_eq!(answer.unwrap().status, 503);
    assert_eq!(world.sandbox.subaccounts().len(), 1);
    assert_eq!(effects(&world), [(Some(503), Effect::Done)]);
}

#[tokio::test]
async fn a_cut_before_the_effect_closes_the_connection_and_does_nothing() {
    let (world, answer) = create_with(Fault::CutBeforeEffect).await;

    assert!(answer.unwrap_err().is_request());
    assert!(world.sandbox.subaccounts().is_empty());
    assert_eq!(effects(&world), [(None, Effect::Nothing)]);
}

#[tokio::test]
async fn a_cut_after_the_effect_closes_the_connection_though_it_was_done() {
    let (world, answer) = create_with(Fault::CutAfterEffect).await;

    assert!(answer.unwrap_err().is_request());
    assert_eq!(world.sandbox.subaccounts().len(), 1);
    assert_eq!(effects(&world), [(None, Effect::Done)]);
}

#[tokio::test]
async fn a_cut_reaches_only_the_connection_it_was_meant_for() {
    let (world, answer) = create_with(Fault::CutAfterEffect).await;

    assert!(answer.is_err());
    let next = world
        .twilio(Method::GET, "/Accounts.json", &[("FriendlyName", "acct:1")])
        .await;
    assert_eq!(next.body["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_late_execution_happens_after_the_client_gave_up() {
    let delay = Duration::from_secs(90);
    let (world, answer) = create_with(Fault::LateExecution { delay }).await;

    assert!(answer.unwrap_err().is_request());
    world.sandbox.advance(TimeDelta::seconds(80));
    assert!(world.sandbox.subaccounts().is_empty());
    assert_eq!(effects(&world), [(None, Effect::Pending)]);
    world.sandbox.advance(TimeDelta::seconds(10));
    assert_eq!(world.sandbox.subaccounts().len(), 1);
    assert_eq!(effects(&world), [(None, Effect::Done)]);
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let before = Clock::instant();
    let by = Duration::from_millis(80);
    let (world, answer) = create_with(Fault::Latency { by }).await;

    assert_eq!(answer.unwrap().status, 201);
    assert!(before.elapsed() >= by);
    assert_eq!(world.sandbox.subaccounts().len(), 1);
}

#[tokio::test]
async fn a_refusal_carries_the_code_of_its_rule() {
    let code = "21480".to_owned();
    let (world, answer) = create_with(Fault::Refuse { status: 400, code }).await;

    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body["code"]), (400, &21480.into()));
    assert!(world.sandbox.subaccounts().is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_what_it_asked_for() {
    let world = World::start().await;
    let by = Duration::from_millis(150);
    world
        .sandbox
        .add_rules(vec![Rule::any(When::Always, Fault::Latency { by })]);
    let form = [("FriendlyName", "acct:1")];

    tokio::select! {
        answer = world.twilio(Method::POST, "/Accounts.json", &form) => panic!("answered {answer:?}"),
        () = until(|| !world.sandbox.calls().is_empty()) => {}
    }

    until(|| !world.sandbox.subaccounts().is_empty()).await;
    assert_eq!(world.sandbox.calls().len(), 1);
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_calls() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = World::start().await;
        world.sandbox.add_rules(vec![Rule::any(
            When::Share(0.3),
            Fault::ErrorBefore { status: 500 },
        )]);
        for _ in 0..30 {
            world.twilio(Method::GET, "/Accounts.json", &[]).await;
        }
        runs.push(
            effects(&world)
                .iter()
                .map(|(status, _)| *status)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&Some(500)) && runs[0].contains(&Some(200)));
}

#[tokio::test]
async fn hundreds_of_calls_at_once_are_all_answered_or_cut() {
    let world = World::start().await;
    world
        .sandbox
        .add_rules(Rule::every_fault(0.1, Duration::from_millis(5)));

    let calls = (0..400).map(|n| {
        let world = &world;
        async move {
            let name = format!("acct:{n}");
            world
                .try_twilio(Method::POST, "/Accounts.json", &[("FriendlyName", &name)])
                .await
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    until(|| world.sandbox.late_count() == 0).await;

    let calls = world.sandbox.calls();
    assert_eq!((answers.len(), calls.len()), (400, 400));
    let done = calls
        .iter()
        .filter(|call| call.effect == Effect::Done)
        .count();
    assert_eq!(done, world.sandbox.subaccounts().len());
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(
        answered,
        calls.iter().filter(|call| call.status.is_some()).count()
    );
    assert!(
        answered < 400 && answered > 200,
        "{answered} of 400 answered"
    );
}
