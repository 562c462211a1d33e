//! Stripe is asked no more often than was agreed, by all processes together.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use tollkeeper::{
    clients::pace::{Crowded, Turns},
    db::provider_turns,
    turns::SharedTurns,
};

use crate::support::{house::House, service::Service};

/// Slow enough that the test is over before the second turn has come.
const PER_SECOND: u32 = 1;

#[tokio::test]
async fn two_processes_that_ask_at_once_get_a_turn_each_and_no_turn_twice() {
    let service = Service::new().await;
    let process = || SharedTurns::new("stripe", PER_SECOND, service.db.clone()).unwrap();
    let processes = [process(), process()];

    let begun = Instant::now();
    let ask = async |place: usize| {
        let turn = processes[place % 2].take().await;
        (begun.elapsed(), turn)
    };
    let asked = join_all((0..40).map(ask)).await;

    let mut turns = Vec::new();
    for (told_at, turn) in asked {
        match turn {
            Ok(wait) => turns.push(told_at + wait),
            Err(Crowded { after }) => assert!(after > Duration::from_secs(5)),
        }
    }
    turns.sort();
    assert!(
        turns.len() >= 6,
        "the turns of five seconds are there: {turns:?}"
    );
    // A second apart, but for how long each answer took.
    let apart = |pair: &[Duration]| pair[1] - pair[0] > Duration::from_millis(500);
    assert!(turns.windows(2).all(apart), "{turns:?}");
}

#[tokio::test]
async fn no_turn_is_lost_or_doubled_among_connections() {
    const CONNECTIONS: u32 = 8;
    const TURNS: u32 = 50;
    let (second, hours) = (Duration::from_secs(1), Duration::from_secs(10_000));
    let service = Service::new().await;
    let begun = Instant::now();
    let takes = async |_| {
        let mut conn = service.ctx.pools.work.acquire().await.unwrap();
        for _ in 0..TURNS {
            let taken = provider_turns::take(&mut conn, "stripe", second, 1, hours).await;
            assert!(taken.unwrap().is_ok());
        }
    };
    join_all((0..CONNECTIONS).map(takes)).await;

    let mut conn = service.ctx.pools.work.acquire().await.unwrap();
    let next = provider_turns::take(&mut conn, "stripe", second, 1, hours).await;
    // All of them lie before the next one, and some of their time has passed.
    let passed = begun.elapsed() + next.unwrap().unwrap();
    let all = second * CONNECTIONS * TURNS;
    assert!(
        passed >= all && passed <= all + begun.elapsed(),
        "{passed:?}"
    );
}

#[tokio::test]
async fn a_job_whose_turn_is_far_off_comes_back_without_a_call_and_without_an_attempt() {
    let house = House::with(|config| config.stripe.requests_per_second = 1000).await;
    let far_off = "insert into provider_turns values ('stripe', now() + interval '1 hour')";
    house.service.execute(far_off).await;
    house.sign_up("ann");
    house.take_in_all().await;

    let asked = |house: &House| {
        let calls = house.sandbox.calls();
        calls
            .iter()
            .filter(|call| call.path.starts_with("/v1/"))
            .count()
    };
    assert_eq!(asked(&house), 0);
    let waiting =
        "select count(*) from queue.jobs where state = 'waiting' and attempt > 0 and failures = 0";
    assert!(house.service.value::<i64>(waiting).await > 0);

    house
        .service
        .execute("update provider_turns set next_at = now()")
        .await;
    house.pass(TimeDelta::hours(2)).await;
    assert_eq!(house.standing("ann").await, "active");
    assert!(asked(&house) > 0);
    house.worker.stop().await;
}
