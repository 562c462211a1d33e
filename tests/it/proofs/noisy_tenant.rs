//! One account's fifty thousand jobs, or one customer's flood of events, keep nobody else waiting.

use std::{
    collections::HashMap,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tollkeeper::{
    context::Context,
    queue::{Failure, Lease, Outcome},
    work::Work,
    worker::Register,
};
use tollkeeper_jobs::{HandleStripeEvent, Job, NewJob};
use uuid::Uuid;

use crate::support::{
    crowd,
    figures::{Figure, Goal},
    proof::{shown, size},
    service::Service,
    until,
    web::Web,
};

const QUIET: usize = 99;
/// Measured with and without the noisy one by turns: what else the machine does falls on both.
fn rounds() -> usize {
    size(3, 5)
}

fn jobs_of_each() -> usize {
    size(3, 10)
}

const AT_MOST: Goal = Goal::AtMost(2.0);

/// A few milliseconds of waiting for a provider.
#[derive(Debug, Serialize, Deserialize)]
struct Chore {
    id: Uuid,
    account_id: String,
}

/// When each of the quiet ones' chores began.
static BEGAN: LazyLock<Mutex<HashMap<Uuid, Instant>>> = LazyLock::new(Mutex::default);
/// How many chores of anybody have begun.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
const NOISY: &str = "noisy";

impl Job for Chore {
    const KIND: &'static str = "chore";

    fn key(&self) -> String {
        self.id.to_string()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}

impl Work for Chore {
    async fn run(&self, _: &Context, _: &Lease) -> Result<Outcome, Failure> {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        if self.account_id != NOISY {
            BEGAN.lock().unwrap().insert(self.id, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(size(2, 5))).await;
        Ok(Outcome::Done)
    }
}

impl Chore {
    fn of(account_id: &str) -> Chore {
        Chore {
            id: Uuid::now_v7(),
            account_id: account_id.to_owned(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_a_mountain_of_jobs_doubles_nobodys_wait() {
    let (alone, beside) = (Service::new().await, Service::new().await);
    let mountain = size(3_000, 50_000);
    let (mut waits_alone, mut waits_beside) = (Vec::new(), Vec::new());

    for _ in 0..rounds() {
        waits_alone.push(wait_of_the_quiet(&alone).await);
        heap_up(&beside, mountain).await;
        waits_beside.push(wait_of_the_quiet(&beside).await);
    }

    let (alone, beside) = (median(waits_alone), median(waits_beside));
    shown(Figure::ratio(
        "noisy_tenant",
        beside,
        "ms p99 wait",
        alone,
        AT_MOST,
    ));
}

/// As many jobs of the noisy account as it is to have.
async fn heap_up(service: &Service, jobs: i64) {
    let there: i64 = service
        .value("select count(*) from queue.jobs where state = 'ready'")
        .await;
    let missing: Vec<NewJob> = (there..jobs)
        .map(|_| NewJob::of(&Chore::of(NOISY)))
        .collect();
    for some in missing.chunks(2_000) {
        service.enqueue_all(some).await;
    }
}

/// Let everyone else ask for ten jobs at once while workers are at work: the 99th percentile of how
/// long one waits for its start, in milliseconds.
async fn wait_of_the_quiet(service: &Service) -> f64 {
    let worker = service.work(Register::default().with::<Chore>());
    let begun = BEGUN.load(Ordering::Relaxed);
    service.enqueue(&Chore::of("the first")).await;
    until("the worker is at work", async || {
        BEGUN.load(Ordering::Relaxed) > begun
    })
    .await;
    let chores: Vec<Chore> = (0..QUIET * jobs_of_each())
        .map(|n| Chore::of(&format!("quiet-{}", n % QUIET)))
        .collect();
    let jobs: Vec<NewJob> = chores.iter().map(NewJob::of).collect();
    service.enqueue_all(&jobs).await;
    let stored = Instant::now();
    until("every quiet one's job has begun", async || {
        let began = BEGAN.lock().unwrap();
        chores.iter().all(|chore| began.contains_key(&chore.id))
    })
    .await;
    worker.stop().await;

    let began = BEGAN.lock().unwrap();
    let wait = |chore: &Chore| began[&chore.id].saturating_duration_since(stored);
    p99(chores
        .iter()
        .map(|chore| wait(chore).as_secs_f64() * 1000.0)
        .collect())
}

/// Events delivered so far, each with a number of its own.
static DELIVERED: AtomicUsize = AtomicUsize::new(0);

/// The same of Stripe's events, which name a customer and no account: through the receiver, and as the
/// jobs that really handle them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_flood_of_events_doubles_nobodys_wait() {
    let (alone, beside) = (Web::start().await, Web::start().await);
    for web in [&alone, &beside] {
        map_customers(&web.service).await;
    }
    let flood = size(400, 20_000);
    let (mut waits_alone, mut waits_beside) = (Vec::new(), Vec::new());

    for _ in 0..rounds() {
        waits_alone.push(wait_of_quiet_customers(&alone).await);
        let there: i64 = beside.service.value(UNHANDLED).await;
        deliver(&beside, |_| NOISY.to_owned(), flood - there as usize).await;
        waits_beside.push(wait_of_quiet_customers(&beside).await);
    }

    let (alone, beside) = (median(waits_alone), median(waits_beside));
    let name = "noisy_customer";
    shown(Figure::ratio(name, beside, "ms p99 wait", alone, AT_MOST));
}

const UNHANDLED: &str = "select count(*) from queue.jobs where kind = 'handle_stripe_event'";

/// As a checkout of long ago did.
async fn map_customers(service: &Service) {
    for sql in [
        "insert into accounts select 'quiet-' || n from generate_series(0, 98) n union select 'noisy'",
        "insert into stripe_customers select 'cus_' || account_id, account_id from accounts",
    ] {
        service.execute(sql).await;
    }
}

/// So many events of customers, as 8 connections bring them.
async fn deliver(web: &Web, customer: impl Fn(usize) -> String, events: usize) {
    stream::iter(0..events)
        .for_each_concurrent(8, |n| {
            let number = DELIVERED.fetch_add(1, Ordering::Relaxed);
            let event = crowd::event(number, &customer(n));
            async move {
                let answer = web.stripe("/stripe/webhook", &event.body).await;
                assert_eq!(answer.status(), 200);
            }
        })
        .await;
}

/// Let everyone else's events arrive last, then the workers begin: the 99th percentile of how long one
/// waits for its start, in milliseconds.
async fn wait_of_quiet_customers(web: &Web) -> f64 {
    let each = size(1, 4);
    deliver(web, |n| format!("quiet-{}", n % QUIET), QUIET * each).await;
    let service = &web.service;
    let began_at: DateTime<Utc> = service.value("select clock_timestamp()").await;
    let worker = service.work(Register::default().with::<HandleStripeEvent>());
    until("every quiet one's event is handled", async || {
        let left = "select count(*) from queue.jobs
                    where kind = 'handle_stripe_event' and account_id <> 'noisy'";
        service.value::<i64>(left).await == 0
    })
    .await;
    worker.stop().await;

    let started: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "select started_at from queue.finished_jobs
         where kind = 'handle_stripe_event' and account_id <> 'noisy' and started_at > $1",
    )
    .bind(began_at)
    .fetch_all(&service.db)
    .await
    .unwrap();
    assert_eq!(started.len(), QUIET * each);
    let wait = |started: DateTime<Utc>| (started - began_at).as_seconds_f64() * 1000.0;
    p99(started.into_iter().map(wait).collect())
}

fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * 99 / 100]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
