//! Poison: a job that takes its worker down does so three times, and its neighbours hardly notice.

use tollkeeper::crash::Armed;
use tollkeeper_jobs::ReactivateTelephony;

use crate::support::{
    crashes::Crashes,
    figures::{Figure, Goal},
    proof::{all_held, shown, size},
    until,
    works::{AGAIN_WITHIN, Works},
};

const NEIGHBOURS: usize = 100;
/// Among the first that are claimed, with neighbours before it and behind it.
const POISON: &str = "tenant-008";

#[tokio::test]
async fn poison_is_dead_after_three_crashes_and_its_neighbours_wait_no_longer_than_for_one() {
    let crashes = Crashes::new();
    let works = Works::with(2, |program| crashes.heeded_by(program)).await;
    crashes.arm(&Armed {
        point: "Started reactivate_telephony".into(),
        account_id: Some(POISON.into()),
        is_lasting: true,
    });
    let (rounds, mut finished, mut longest) = (size(1, 10), 0, 0.0_f64);
    for _ in 0..rounds {
        works.ready().await;
        let (neighbours, wait) = poisoned(&works).await;
        finished += neighbours;
        longest = longest.max(wait);
    }
    all_held(
        "poison_neighbours_finished",
        finished,
        "neighbours",
        rounds * NEIGHBOURS,
    );
    shown(Figure::ratio(
        "poison_neighbours_wait",
        longest,
        "s, the longest",
        AGAIN_WITHIN.as_secs_f64(),
        Goal::AtMost(1.0),
    ));
}

/// How many neighbours finished, and how long the last of them took from its storing, in seconds.
async fn poisoned(works: &Works) -> (usize, f64) {
    let jobs: Vec<_> = (0..=NEIGHBOURS)
        .map(|nth| ReactivateTelephony {
            account_id: format!("tenant-{nth:03}"),
        })
        .collect();
    for job in &jobs {
        sqlx::query("insert into accounts (account_id) values ($1) on conflict do nothing")
            .bind(&job.account_id)
            .execute(&works.db)
            .await
            .unwrap();
    }
    let ends = || {
        works
            .workers
            .iter()
            .map(|worker| worker.ends())
            .sum::<usize>()
    };
    let ends_before = ends();

    works.enqueue(&jobs).await;
    until("the poison is dead", async || works.dead().await.len() == 1).await;
    works.rest().await;

    assert_eq!(
        works.dead().await,
        ["reactivate_telephony: its worker did not survive it 3 times"]
    );
    assert_eq!(ends() - ends_before, 3, "one crash each time");
    let attempts: Vec<String> = sqlx::query_scalar(concat!(
        "select outcome from ",
        crate::support::every_run!(),
        " run join queue.jobs job on job.id = run.job_id
         where job.state = 'dead' and run.started_at >= job.created_at order by run.attempt"
    ))
    .fetch_all(&works.db)
    .await
    .unwrap();
    assert_eq!(attempts, ["crash", "crash", "crash"], "each is remembered");
    let (finished, longest): (i64, f64) = sqlx::query_as(
        "select count(*), max(extract(epoch from finished_at - created_at))::float8
         from queue.finished_jobs where account_id like 'tenant-%'",
    )
    .fetch_one(&works.db)
    .await
    .unwrap();
    for sql in ["delete from queue.jobs", "truncate queue.finished_jobs"] {
        sqlx::query(sql).execute(&works.db).await.unwrap();
    }
    (finished as usize, longest)
}
