//! Storing single jobs: each in a transaction of its own, and through the receiver's grouped writer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::{task::JoinSet, time::Instant};
use tollkeeper::{
    db::webhooks::{NewWebhook, Provider, State},
    http::receiver::{Delivery, Store},
    queue,
};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::{figures::Goal, noop, plain, rows::Rows, server::Server};

const TASKS: usize = 32;
const TIME: Duration = Duration::from_secs(6);

/// One job stored, told when it is durable.
type Stored = Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send>>;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut own, mut grouped) = (Vec::new(), Vec::new());
    for _ in 0..rows.rounds {
        let database = server.database("bench_enqueue").await?;
        let inserts = plain::inserts(server, &database).await?;
        let pool = tollkeeper::db::pool(database.options.clone(), TASKS as u32, TIME);
        own.push((
            rate(move |number| in_its_own(pool.clone(), number)).await?,
            inserts,
        ));
        let (store, _) = Store::start(&database.context()?);
        grouped.push((
            rate(move |number| in_a_group(store.clone(), number)).await?,
            inserts,
        ));
    }
    rows.ratio(
        "enqueue_in_a_transaction_of_its_own",
        "jobs/s",
        own,
        Goal::AtLeast(0.4),
    );
    rows.ratio(
        "enqueue_through_the_grouped_writer",
        "jobs/s",
        grouped,
        Goal::AtLeast(1.0),
    );
    Ok(())
}

/// As the receiver stores it: with a webhook, in one commit with whatever else has come.
fn in_a_group(store: Store, number: u64) -> Stored {
    let webhook = NewWebhook {
        id: Uuid::now_v7(),
        provider: Provider::Twilio,
        event_key: format!("event {number}"),
        kind: "bench".to_owned(),
        endpoint: "bench".to_owned(),
        headers: serde_json::json!({}),
        body: b"{\"number\": 1}".to_vec(),
        state: State::Stored,
    };
    let job = NewJob {
        key: webhook.id.to_string(),
        ..noop::of(number, 0)
    };
    let delivery = Delivery {
        webhook,
        job: Some(job),
        customer_ref: None,
    };
    Box::pin(async move {
        let stored = store.put(delivery).await;
        stored
            .map(drop)
            .map_err(|error| sqlx::Error::Protocol(error.to_string()))
    })
}

/// One statement, which is a transaction of its own.
fn in_its_own(pool: PgPool, number: u64) -> Stored {
    Box::pin(async move {
        let mut conn = pool.acquire().await?;
        queue::enqueue_all(&mut conn, &[noop::of(number, 0)]).await?;
        Ok(())
    })
}

/// How often a second 32 tasks get it done.
async fn rate(store: impl Fn(u64) -> Stored + Clone + Send + 'static) -> anyhow::Result<f64> {
    let numbers = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks: JoinSet<sqlx::Result<()>> = JoinSet::new();
    for _ in 0..TASKS {
        let (store, numbers) = (store.clone(), numbers.clone());
        tasks.spawn(async move {
            while begun.elapsed() < TIME {
                store(numbers.fetch_add(1, Ordering::Relaxed)).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(numbers.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}
