//! Usage: may they, and it was done, for 100,000 accounts over 32 connections.

use std::net::SocketAddr;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Executor};
use tollkeeper::{cli::keys, clock::Clock, http::auth::Scope};

use crate::{
    figures::Goal,
    ingest::serve,
    load::{self, Order, Report},
    machine, plain,
    requests::{BATCH, Kind},
    rows::Rows,
    server::{Database, Server},
};

const ACCOUNTS: usize = 100_000;
const REQUESTS: usize = 150_000;
const BATCHES: usize = 3_000;
const SECONDS_OPEN_LOOP: f64 = 10.0;
/// Events stored before the second look at how cost grows.
const MANY: usize = 10_000_000;
const FEW: usize = 10_000;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut asked, mut beside_prepared, mut waits) = (vec![], vec![], vec![]);
    let (mut tracked, mut batched, mut grown) = (vec![], vec![], vec![]);
    for _ in 0..rows.rounds {
        let database = server.database("bench_usage").await?;
        let key = furnish(&database).await?;
        let (address, web) = serve(&database).await?;
        let app = App { address, key };

        let selects = plain::selects(server, &database).await?;
        let asking = app.send(Kind::Validate, REQUESTS, 0.0).await?;
        asked.push((asking.rate(), selects.planned));
        beside_prepared.push((asking.rate(), selects.prepared));
        let half = asking.rate() / 2.0;
        let requests = (half * SECONDS_OPEN_LOOP) as usize;
        waits.push(app.send(Kind::Validate, requests, half).await?.p99_ms);

        let inserts = plain::inserts(server, &database).await?;
        let tracking = app.send(Kind::Track, REQUESTS, 0.0).await?;
        tracked.push((tracking.rate(), inserts));
        let batching = app.send(Kind::Batch, BATCHES, 0.0).await?;
        batched.push(batching.rate() * BATCH as f64);
        let pid = web.id().context("web ended")?;
        grown.push(machine::resident_mb(&[pid])?);
    }
    rows.ratio(
        "usage_validate_access",
        "answers/s",
        asked,
        Goal::AtLeast(0.35),
    );
    rows.ratio(
        "usage_validate_access_beside_prepared_selects",
        "answers/s",
        beside_prepared,
        Goal::AtLeast(0.0),
    );
    rows.value(
        "usage_validate_access_p99_at_half_of_that",
        "ms",
        waits,
        Goal::AtMost(10.0),
    );
    rows.ratio("usage_track", "uses/s", tracked, Goal::AtLeast(0.6));
    rows.value(
        "usage_track_in_batches_of_a_hundred",
        "uses/s",
        batched,
        Goal::AtLeast(20_000.0),
    );
    rows.value(
        "usage_memory_of_the_web_role",
        "MB",
        grown,
        Goal::AtMost(60.0),
    );
    Ok(())
}

/// The same with ten million events stored beside ten thousand.
pub async fn cost_as_it_grows(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let database = server.database("bench_usage").await?;
    let key = furnish(&database).await?;
    let (address, _web) = serve(&database).await?;
    let app = App { address, key };
    // Every account has counters before the first look, as before the second.
    app.send(Kind::Track, REQUESTS, 0.0).await?;
    let mut rates = Vec::new();
    for events in [FEW, MANY - FEW] {
        store(&database, events).await?;
        let (mut asking, mut tracking) = (Vec::new(), Vec::new());
        for _ in 0..rows.rounds {
            asking.push(app.send(Kind::Validate, REQUESTS, 0.0).await?.rate());
            tracking.push(app.send(Kind::Track, REQUESTS, 0.0).await?.rate());
        }
        rates.push((median(asking), median(tracking)));
    }
    let [few, many] = [rates[0], rates[1]];
    let goal = || Goal::AtLeast(0.9);
    rows.ratio(
        "usage_validate_access_with_ten_million_events",
        "answers/s",
        vec![(many.0, few.0)],
        goal(),
    );
    rows.ratio(
        "usage_track_with_ten_million_events",
        "uses/s",
        vec![(many.1, few.1)],
        goal(),
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct App {
    address: SocketAddr,
    key: String,
}

impl App {
    async fn send(&self, kind: Kind, requests: usize, rate: f64) -> anyhow::Result<Report> {
        load::send(&Order {
            to: self.address,
            kind,
            key: &self.key,
            users: ACCOUNTS,
            requests,
            rate,
        })
        .await
    }
}

/// Accounts with a subscription each, and the key of an app.
async fn furnish(database: &Database) -> anyhow::Result<String> {
    let mut conn = database.connect().await?;
    let all = format!("generate_series(0, {}) as number", ACCOUNTS - 1);
    conn.execute(sqlx::raw_sql(AssertSqlSafe(format!(
        "insert into accounts (account_id) select 'user-' || number from {all};
         insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, period_starts_at,
                                    period_ends_at, anchor_at, created_at, synced_at)
         select 'sub-' || number, 'user-' || number, 'cus-' || number, 'active', 'repx2', now() - interval '10 days',
                now() + interval '20 days', now() - interval '10 days', now() - interval '10 days', now() from {all};
         analyze accounts; analyze subscriptions;"
    ))))
    .await?;
    let key = keys::create(
        &mut conn,
        "bench",
        &[Scope::All],
        None,
        Clock::default().now(),
    )
    .await?;
    Ok(key.secret.expose_secret().to_owned())
}

/// So many events of the last days, stored beside the service.
async fn store(database: &Database, events: usize) -> anyhow::Result<()> {
    let mut conn = database.connect().await?;
    let sql = format!(
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         select gen_random_uuid(), 'user-' || (number * 7919 % {ACCOUNTS}), 'ai_queries', 'app', number::text, 1000000,
                now() - interval '9 days' * number / {events}, now(), 'cycle', now() - interval '10 days',
                date_trunc('day', now()), 'repx2'
         from generate_series(1::bigint, {events}) as number"
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    conn.execute("vacuum analyze usage_events").await?;
    conn.execute("checkpoint").await?;
    Ok(())
}
