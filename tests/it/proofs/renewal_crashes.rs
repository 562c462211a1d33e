//! Crash anywhere while a renewal's draft is filled: what was used late is put on it once, and a line that stands there
//! twice is taken off it once.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tollkeeper::crash::Armed;
use tollkeeper_jobs::{ClosePeriod, NewJob};
use uuid::Uuid;

use super::renewals::Run;
use crate::{
    billing::{MINUTES, report},
    support::{
        crashes::Crashes,
        proof::{all_held, is_soak, seed, size},
    },
};

/// The jobs that write on a draft: their runs are crashed.
const KINDS: [&str; 2] = ["attach_charges", "compare_invoice"];
/// They tell what is passed without a crash.
const EXAMPLES: usize = 2;
/// A point that chance kept a draft from passing is tried on so many.
const TRIES: usize = 3;
/// Where money is spent: in every run of the tests.
const MONEY_PATH: [&str; 2] = [
    "Answered stripe add_invoice_item attach_charges",
    "Answered stripe delete_invoice_item compare_invoice",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_anywhere_on_a_renewals_draft_changes_no_line_of_it() {
    let mut dice = StdRng::seed_from_u64(seed("renewal_crashes"));
    let crashes = Crashes::new();
    let count = EXAMPLES + size(7, 45);
    let run = Run::due(count, &mut dice, |program| crashes.heeded_by(program)).await;
    run.begin().await;
    run.works.rest().await;
    run.look_at_everything().await;

    let mut users = run.customers.keys().cloned();
    let mut points: Option<BTreeSet<String>> = None;
    for user in users.by_ref().take(EXAMPLES) {
        crashes.take_reached();
        fill(&run, &user).await;
        let reached = crashes.take_reached();
        // What is passed by chance alone cannot be crashed at for sure.
        points = Some(match points {
            None => reached,
            Some(before) => &before & &reached,
        });
    }
    let points = points.unwrap_or_default();
    for moment in ["WrittenAhead", "Answered", "Recorded"] {
        for effect in [
            "add_invoice_item attach_charges",
            "delete_invoice_item compare_invoice",
        ] {
            let point = format!("{moment} stripe {effect}");
            assert!(points.contains(&point), "{point}: {points:#?}");
        }
    }
    let crashed_at = chosen(points, &mut dice);
    let asked = crashed_at.len();
    let mut struck = 0;
    for point in crashed_at {
        for _ in 0..TRIES {
            let user = users.next().expect("more customers than points");
            crashes.arm(&Armed {
                point: point.clone(),
                account_id: None,
                is_lasting: false,
            });
            fill(&run, &user).await;
            if crashes.has_struck() {
                struck += 1;
                break;
            }
            println!("{point} was not passed for {user}");
        }
    }
    run.end().await;

    assert_eq!(run.works.dead().await, Vec::<String>::new());
    assert_eq!(run.right().await, count, "accounts billed once");
    all_held("renewal_crashes", struck, "crash points", asked);
}

/// The points to crash at: all, or a few with those where money is spent among them.
fn chosen(points: BTreeSet<String>, dice: &mut StdRng) -> Vec<String> {
    let is_of_draft = |point: &String| KINDS.iter().any(|kind| point.ends_with(kind));
    let mut points: Vec<String> = points.into_iter().filter(is_of_draft).collect();
    points.shuffle(dice);
    if !is_soak() {
        points.sort_by_key(|point| !MONEY_PATH.contains(&point.as_str()));
        points.truncate(size(4, usize::MAX));
    }
    points
}

/// Have something more put on a draft that is filled already, and something taken off it: an app is late, and one line
/// stands there twice.
async fn fill(run: &Run, user: &str) {
    let db = &run.works.db;
    let line = "select ext_ref from provider_calls
                where kind = 'add_invoice_item' and account_id = $1 and state = 'done' limit 1";
    let line: String = sqlx::query_scalar(line)
        .bind(user)
        .fetch_one(db)
        .await
        .unwrap();
    run.works.sandbox.double_item(&line).unwrap();
    let at = Utc::now() - TimeDelta::days(2);
    report(
        &run.service,
        user,
        MINUTES,
        1000,
        &format!("{user} late"),
        at,
    )
    .await;
    let closed =
        "select period_id from billing_periods where account_id = $1 and closed_at is not null
                  order by ends_at desc limit 1";
    let period_id: Uuid = sqlx::query_scalar(closed)
        .bind(user)
        .fetch_one(db)
        .await
        .unwrap();
    let close = NewJob::of(&ClosePeriod { period_id }).of_account(Some(user.to_owned()));
    run.works.enqueue_new(&[close]).await;
    run.works.rest().await;
}
