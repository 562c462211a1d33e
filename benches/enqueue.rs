//! Storing single jobs: each in a transaction of its own, and through the receiver's grouped writer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgConnection;
use tokio::{task::JoinSet, time::Instant};
use tollkeeper::{
    db::webhooks::{NewWebhook, Provider, State},
    http::receiver::{Delivery, Store},
    queue,
};
use tollkeeper_jobs::NewJob;
use uuid::Uuid;

use crate::{drain, figures::Goal, noop, plain, rows::Rows, server::Server};

const CLIENTS: usize = 32;
const TIME: Duration = Duration::from_secs(6);

/// One job stored, told when it is durable.
type Stored<'c> = Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'c>>;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut own, mut grouped) = (Vec::new(), Vec::new());
    for _ in 0..rows.rounds {
        let database = server.database("bench_enqueue").await?;
        let inserts = plain::inserts(server, &database).await?;
        // Each client keeps its connection, as those of pgbench do.
        let mut connections = Vec::new();
        for _ in 0..CLIENTS {
            connections.push(database.connect().await?);
        }
        own.push((rate(connections, in_its_own).await?, inserts));
        // As the plain table is before each of its turns.
        let mut conn = database.connect().await?;
        drain::clear(&mut conn).await?;
        let (store, _) = Store::start(&database.context()?);
        grouped.push((rate(vec![store; CLIENTS], in_a_group).await?, inserts));
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
fn in_a_group(store: &mut Store, number: u64) -> Stored<'_> {
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
fn in_its_own(conn: &mut PgConnection, number: u64) -> Stored<'_> {
    Box::pin(async move {
        queue::enqueue_all(conn, &[noop::of(number, 0)]).await?;
        Ok(())
    })
}

/// How often a second the clients get it done.
async fn rate<Client: Send + 'static>(
    clients: Vec<Client>,
    store: for<'c> fn(&'c mut Client, u64) -> Stored<'c>,
) -> anyhow::Result<f64> {
    let numbers = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks: JoinSet<sqlx::Result<()>> = JoinSet::new();
    for mut client in clients {
        let numbers = numbers.clone();
        tasks.spawn(async move {
            while begun.elapsed() < TIME {
                store(&mut client, numbers.fetch_add(1, Ordering::Relaxed)).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(numbers.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}
