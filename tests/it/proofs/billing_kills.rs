//! kill -9 at any moment of a billing run: workers die again and again while renewals are billed, and Stripe's books are
//! ours to the cent.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::renewals::{Run, WORKERS};
use crate::support::{
    proof::{all_held, seed, size},
    until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_during_a_billing_run_bill_everybody_once_to_the_cent() {
    let mut dice = StdRng::seed_from_u64(seed("billing_kills"));
    let (kills, count) = (size(10, 300), size(8, 200));
    let run = Run::due(count, &mut dice, |program| program).await;

    run.begin().await;
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..600))).await;
        let worker = &run.works.workers[dice.random_range(0..WORKERS)];
        until("the worker is ready", async || worker.is_ready().await).await;
        // Whoever does not survive a third time is dead, and rightly so: that is another proof.
        until("nobody died twice with the same job", async || {
            let suspects = "select count(*) from queue.jobs where crashes >= 2 and state in ('ready', 'running')";
            run.works.value::<i64>(suspects).await == 0
        })
        .await;
        worker.signal(libc::SIGKILL);
    }
    run.works.rest().await;
    run.look_at_everything().await;
    run.end().await;

    let before = run.changes();
    run.look_at_everything().await;
    assert_eq!(run.changes(), before, "a second run does nothing");
    let crashed: i64 = run
        .works
        .value("select count(*) from queue.job_attempts where outcome = 'crash'")
        .await;
    println!("{kills} kills took {crashed} runs down");
    assert_eq!(run.works.dead().await, Vec::<String>::new());
    let right = run.right().await;
    all_held("billing_kills", right, "accounts billed once", count);
}
