//! Ticks fire once, however many schedulers look and whatever they missed.

use chrono::{DateTime, TimeDelta, Utc};
use tollkeeper::queue::timetable::tick;
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
