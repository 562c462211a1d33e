//! A tick fires once: however many schedulers look, whenever they die, whatever their clocks say.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::task::JoinHandle;
use tollkeeper::{clock::Clock, db, queue::timetable::tick};
use tollkeeper_jobs::{
    NewJob,
    timetable::{Entry, Missed},
};
use uuid::Uuid;

use crate::support::{
    cluster,
    probe::{Does, Probe},
    proof::{all_held, seed, size},
    until,
};

const REPLICAS: usize = 5;
/// At times nobody looks for so long: more ticks than one look makes up for.
const OUTAGE_SECONDS: i64 = 1_200;
/// Most transactions of a look are over by then.
const KILLED_WITHIN: Duration = Duration::from_millis(20);

const EVERY: Entry = Entry {
    name: "every",
    schedule: "* * * * * *",
    missed: Missed::All,
    job: |tick_at| job_of("every", tick_at),
};
const LATEST: Entry = Entry {
    name: "latest",
    missed: Missed::Latest,
    job: |tick_at| job_of("latest", tick_at),
    ..EVERY
};

/// A job that no other stands in the way of: a tick that fired twice has two.
fn job_of(entry: &str, tick_at: DateTime<Utc>) -> NewJob {
    let probe = Probe::new(Uuid::nil(), &Uuid::now_v7().to_string(), Does::Nothing);
    NewJob::of(&probe).of_account(Some(format!("{entry} {}", tick_at.timestamp())))
}

/// Ticks of `every` in `($1, $2]` that have their one job.
const FIRED: &str = "
    select count(*) from queue.cron_ticks tick
    where name = 'every' and tick_at > $1 and tick_at <= $2
      and (select array_agg(id) from queue.jobs
           where account_id = 'every ' || extract(epoch from tick_at)::bigint) = array[tick.job_id]";

/// One scheduler: its connections, and what it believes the time to be.
struct Replica {
    options: PgConnectOptions,
    pool: PgPool,
    clock: Clock,
    off: TimeDelta,
}

impl Replica {
    fn start(options: &PgConnectOptions, number: usize) -> Replica {
        let options = options
            .clone()
            .application_name(&format!("replica-{number}"));
        let replica = Replica {
            pool: pool(&options),
            options,
            clock: Clock::default(),
            off: TimeDelta::zero(),
        };
        // An hour back is still ahead of the database's clock, which is as far back as `Clock` goes.
        replica.clock.advance(TimeDelta::hours(2));
        replica
    }

    /// Its clock goes wrong by that much.
    fn jump(&mut self, off: TimeDelta) {
        self.clock.advance(off - self.off);
        self.off = off;
    }

    fn look(&self) -> JoinHandle<sqlx::Result<()>> {
        let (pool, clock) = (self.pool.clone(), self.clock.clone());
        tokio::spawn(async move {
            tick(&pool, &clock, &EVERY).await?;
            tick(&pool, &clock, &LATEST).await.map(|_| ())
        })
    }

    /// Its process is gone, with whatever it was in the middle of; another one takes its place.
    async fn die(&mut self, look: &JoinHandle<sqlx::Result<()>>, admin: &PgPool) {
        look.abort();
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()")
            .bind(self.options.get_application_name())
            .execute(admin)
            .await
            .unwrap();
        self.pool = pool(&self.options);
    }
}

fn pool(options: &PgConnectOptions) -> PgPool {
    db::pool(options.clone(), 2, Duration::from_secs(30))
}

#[tokio::test]
async fn five_replicas_that_die_and_jump_in_time_fire_every_tick_once() {
    let mut chance = StdRng::seed_from_u64(seed("timetable"));
    let options = cluster::fresh_database_options().await;
    let admin = pool(&options);
    let mut replicas: Vec<Replica> = (0..REPLICAS)
        .map(|number| Replica::start(&options, number))
        .collect();
    replicas[0].look().await.unwrap().unwrap();
    let begins: DateTime<Utc> = sqlx::query_scalar("select min(last_tick) from queue.schedules")
        .fetch_one(&admin)
        .await
        .unwrap();

    // A tick is due every second; the clocks go on by some seconds from look to look.
    let ticks = size(1_500, 10_000);
    let (mut passed, mut killed, mut jumps, mut next_outage) = (0, 0, 0, 100);
    while passed < ticks {
        let step = match next_outage <= passed {
            true => OUTAGE_SECONDS,
            false => chance.random_range(1..=size(8, 30)),
        };
        if step == OUTAGE_SECONDS {
            next_outage += size(10_000, 4_000);
        }
        passed += step;
        for replica in &mut replicas {
            replica.clock.advance(TimeDelta::seconds(step));
            jumps += usize::from(may_jump(replica, &mut chance));
        }
        killed += look_at_once(&mut replicas, &admin, &mut chance).await;
    }
    let ends = begins + TimeDelta::seconds(passed);
    let left = &mut replicas[0];
    left.jump(TimeDelta::zero());
    until("whoever is left has made up for the rest", async || {
        left.look().await.unwrap().unwrap();
        let seen_until: DateTime<Utc> =
            sqlx::query_scalar("select last_tick from queue.schedules where name = 'every'")
                .fetch_one(&admin)
                .await
                .unwrap();
        seen_until >= ends
    })
    .await;

    let fired: i64 = sqlx::query_scalar(FIRED)
        .bind(begins)
        .bind(ends)
        .fetch_one(&admin)
        .await
        .unwrap();
    let doubled: i64 = sqlx::query_scalar(
        "select count(*) from queue.jobs where id not in (select job_id from queue.cron_ticks)",
    )
    .fetch_one(&admin)
    .await
    .unwrap();
    println!("{killed} looks died in the middle, {jumps} jumps of a clock");
    assert_eq!(doubled, 0, "jobs of a tick that had one");
    all_held("timetable", fired as usize, "ticks", passed as usize);
}

/// An hour ahead or back, and soon right again.
fn may_jump(replica: &mut Replica, chance: &mut StdRng) -> bool {
    if !replica.off.is_zero() {
        if chance.random_bool(0.7) {
            replica.jump(TimeDelta::zero());
        }
        return false;
    }
    // Seldom in a long proof: what was stored ahead of time is not stored when its time comes.
    let jumps = chance.random_bool(size(0.02, 0.005));
    if jumps {
        let hours = if chance.random_bool(0.5) { 1 } else { -1 };
        replica.jump(TimeDelta::hours(hours));
    }
    jumps
}

/// All look at the same moment; some die over it. Answers how many did before they were done.
async fn look_at_once(replicas: &mut [Replica], admin: &PgPool, chance: &mut StdRng) -> usize {
    let looks: Vec<_> = replicas.iter().map(Replica::look).collect();
    for (replica, look) in replicas.iter_mut().zip(&looks) {
        if chance.random_bool(0.3) {
            tokio::time::sleep(KILLED_WITHIN.mul_f64(chance.random_range(0.0..1.0))).await;
            replica.die(look, admin).await;
        }
    }
    let mut died = 0;
    for look in looks {
        match look.await {
            Ok(Ok(())) => {}
            // Its connection was cut before it was stopped.
            Ok(Err(error)) => {
                assert!(
                    error
                        .as_database_error()
                        .is_none_or(|error| error.code().as_deref() == Some("57P01")),
                    "{error}"
                );
                died += 1;
            }
            Err(error) => {
                assert!(error.is_cancelled(), "{error}");
                died += 1;
            }
        }
    }
    died
}
