//! Ticks fire once, however many schedulers look and whatever they missed.

use std::{
    sync::{Condvar, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tollkeeper::{db, queue::timetable::tick};
use tollkeeper_jobs::{
    NewJob,
    timetable::{Entry, Missed, TIMETABLE},
};

use crate::support::{
    probe::{Does, Probe},
    service::Service,
    until,
};

fn job_of_its_own(tick_at: DateTime<Utc>) -> NewJob {
    NewJob::of(&Probe::new(
        uuid::Uuid::nil(),
        &tick_at.to_rfc3339(),
        Does::Nothing,
    ))
}

fn every_second(missed: Missed) -> Entry {
    Entry {
        name: "test",
        schedule: "* * * * * *",
        missed,
        job: job_of_its_own,
    }
}

#[tokio::test]
async fn ticks_missed_while_down_are_made_up_by_the_entrys_policy() {
    for (missed, stored) in [
        (Missed::All, 3600..3602),
        (Missed::Latest, 1..2),
        (Missed::Skip, 1..2),
    ] {
        let service = Service::new().await;
        let entry = every_second(missed);
        tick(&service.db, &service.ctx.clock, &entry).await.unwrap();

        service.ctx.clock.advance(TimeDelta::hours(1));
        for _ in 0..10 {
            tick(&service.db, &service.ctx.clock, &entry).await.unwrap();
        }

        // The ten looks themselves may cross a second or two.
        let ticks: i64 = service.value("select count(*) from queue.cron_ticks").await;
        assert!(
            (stored.start..stored.end + 3).contains(&ticks),
            "{missed:?} stored {ticks}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_silences_nothing() {
    let service = Service::new().await;
    let entry = every_second(Missed::Latest);
    service.ctx.clock.advance(TimeDelta::days(8));
    tick(&service.db, &service.ctx.clock, &entry).await.unwrap();
    service.ctx.clock.advance(TimeDelta::days(-8));

    until("it ticks by the clock as it is now", async || {
        tick(&service.db, &service.ctx.clock, &entry).await.unwrap();
        let ticked =
            "select count(*) from queue.cron_ticks where tick_at < now() + interval '1 minute'";
        service.value::<i64>(ticked).await > 0
    })
    .await;
}

/// Where the job of a stopped scheduler's tick is made: it says so, and stands until it is let go on.
static STOPPED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn stopped(tick_at: DateTime<Utc>) -> NewJob {
    let (is_stopped, changed) = &STOPPED;
    let mut is_stopped = is_stopped.lock().unwrap();
    *is_stopped = true;
    drop(changed.wait_while(is_stopped, |is_stopped| *is_stopped));
    job_of_its_own(tick_at)
}

#[tokio::test]
async fn a_scheduler_that_is_stopped_in_the_middle_holds_up_the_others_for_seconds_only() {
    let service = Service::new().await;
    let entry = every_second(Missed::Latest);
    let options = service.db.connect_options().as_ref().clone();
    let (clock, job) = (service.ctx.clock.clone(), stopped as fn(_) -> _);
    tick(&service.db, &clock, &entry).await.unwrap();
    clock.advance(TimeDelta::minutes(1));

    // In a thread of its own: nothing of a stopped process goes on.
    let of_thread = clock.clone();
    let scheduler = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let pool = db::pool(options, 1, Duration::from_secs(30));
            tick(&pool, &of_thread, &Entry { job, ..entry }).await
        })
    });
    until("it is in the middle", async || *STOPPED.0.lock().unwrap()).await;
    assert_eq!(tick(&service.db, &clock, &entry).await.unwrap(), 0);
    until("another one ticks", async || {
        tick(&service.db, &clock, &entry).await.unwrap() > 0
    })
    .await;

    *STOPPED.0.lock().unwrap() = false;
    STOPPED.1.notify_all();
    assert!(scheduler.join().unwrap().is_err(), "it stored nothing");
}

#[tokio::test]
async fn every_entry_of_the_timetable_stores_a_job_somebody_knows() {
    let known: Vec<_> = tollkeeper::worker::Register::all().kinds().collect();
    for entry in TIMETABLE {
        let job = (entry.job)("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(
            known.contains(&job.kind),
            "{} stores {}, which is not registered",
            entry.name,
            job.kind
        );
    }
}
