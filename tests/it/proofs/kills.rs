//! kill -9 at any moment: workers die again and again while customers sign up and the providers fail,
//! and everybody has one subaccount and one number in the end.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper::sandbox::Rule;
use tollkeeper_jobs::SweepProviderResources;

use crate::support::{
    house::{doubles, held},
    proof::{all_held, seed, size},
    until,
    works::Works,
};

const WORKERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_during_provisionings_leave_everybody_one_number() {
    let mut dice = StdRng::seed_from_u64(seed("random_kills"));
    let kills = size(10, 200);
    let works = Works::with(WORKERS, |program| program).await;
    let web = works.open_for_events().await;
    works
        .sandbox
        .add_rules(Rule::every_fault(0.1, Duration::from_millis(60)));

    for user in 0..kills {
        works.sign_up(&format!("user-{user}"));
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..600))).await;
        let worker = &works.workers[dice.random_range(0..WORKERS)];
        until("the worker is ready", async || worker.is_ready().await).await;
        // Whoever does not survive a third time is dead, and rightly so: that is another proof.
        until("nobody died twice with the same job", async || {
            let suspects = "select count(*) from queue.jobs where crashes >= 2 and state <> 'dead'";
            works.value::<i64>(suspects).await == 0
        })
        .await;
        worker.signal(libc::SIGKILL);
    }
    works.rest().await;

    let crashed: i64 = works
        .value("select count(*) from queue.job_attempts where outcome = 'crash'")
        .await;
    println!("{kills} kills took {crashed} runs down");
    assert_eq!(works.dead().await, Vec::<String>::new());
    assert_eq!(held(&works.sandbox), (kills, kills, kills, kills));
    assert_eq!(doubles(&works.sandbox), Vec::<String>::new());
    every_event_led_to_one_job(&works).await;
    nothing_is_found(&works).await;
    let active: i64 = works
        .value("select count(*) from telephony where status = 'active'")
        .await;
    drop(web);
    all_held("random_kills", active as usize, "provisionings", kills);
}

async fn every_event_led_to_one_job(works: &Works) {
    let stored: i64 = works.value("select count(*) from webhooks").await;
    assert_eq!(stored, works.sandbox.events().len() as i64);
    let undone: i64 = works
        .value("select count(*) from webhooks where state = 'stored'")
        .await;
    assert_eq!(undone, 0);
    let ended_twice: i64 = works
        .value("select count(*) - count(distinct id) from queue.finished_jobs")
        .await;
    assert_eq!(ended_twice, 0);
    let handled: i64 = works
        .value("select count(*) from queue.finished_jobs where kind = 'handle_stripe_event'")
        .await;
    let wanted: i64 = works
        .value("select count(*) from webhooks where state <> 'ignored'")
        .await;
    assert_eq!(handled, wanted, "one job each");
}

/// Twilio and we hold the same.
async fn nothing_is_found(works: &Works) {
    works.sandbox.clear_rules();
    let tick_at = works.sandbox.now();
    works.enqueue(&[SweepProviderResources { tick_at }]).await;
    works.rest().await;
    let found: Vec<String> =
        sqlx::query_scalar("select kind from findings where closed_at is null")
            .fetch_all(&works.db)
            .await
            .unwrap();
    assert_eq!(found, Vec::<String>::new());
}
