//! The end of a month: periods closed and rated beside a plain sum of the same usage, and Stripe's turns.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::Instant;
use tollkeeper::{
    clients::stripe::Stripe,
    clock::Clock,
    queue,
    sandbox::{Sandbox, Settings},
};
use tollkeeper_jobs::{CloseDuePeriods, Job, OpenPeriod};

use crate::{
    drain,
    figures::Goal,
    machine,
    rows::Rows,
    server::{Database, Server},
};

const ACCOUNTS: usize = 100_000;
const EVENTS_EACH: usize = 100;
const TURNS_PER_SECOND: u32 = 20;
const TURNS_FOR: Duration = Duration::from_secs(20);
/// Of each of two processes.
const ASKERS: usize = 20;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let database = server.database("bench_billing").await?;
    let worker = database.product("worker", &[])?;
    let mut conn = database.connect().await?;
    furnish(&database, &mut conn).await?;
    let (mut pairs, mut memory) = (Vec::new(), Vec::new());
    let pid = worker.id().context("the worker ended")?;
    for _ in 0..rows.rounds {
        let begun = Instant::now();
        let plain = "select count(*) from (
                         select account_id, feature, sum(quantity) from usage_events group by account_id, feature) sums";
        let sums: i64 = sqlx::query_scalar(plain).fetch_one(&mut conn).await?;
        anyhow::ensure!(sums == 2 * ACCOUNTS as i64, "{sums} sums");
        let plain = begun.elapsed().as_secs_f64();
        pairs.push((close(&database, &mut conn).await?, plain));
        memory.push(machine::resident_mb(&[pid])?);
        // As it was before: nobody has a next period, and nothing is asked for.
        for sql in [
            "truncate charges cascade",
            "delete from queue.jobs",
            "delete from billing_periods where subscription_ref is not null and ends_at > now()",
            "update billing_periods set closed_at = null, rated_at = null
             where subscription_ref is not null and ends_at < now()",
            "vacuum analyze billing_periods",
            "vacuum analyze queue.jobs",
        ] {
            conn.execute(sql).await?;
        }
    }
    drain::end(vec![worker]).await?;
    rows.ratio(
        "billing_close_and_rate_a_month",
        "s",
        pairs,
        Goal::AtMost(6.0),
    );
    rows.value(
        "billing_memory_of_the_worker",
        "MB",
        memory,
        Goal::AtMost(60.0),
    );
    turns(server, rows).await
}

/// How many seconds it takes to close everybody's month.
async fn close(database: &Database, conn: &mut PgConnection) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let tick_at = Clock::default().now();
    run(database, conn, &CloseDuePeriods { tick_at }).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let rated: i64 = sqlx::query_scalar(
        "select count(distinct period_id) from charges join billing_periods using (period_id) where rated_at is not null",
    )
    .fetch_one(&mut *conn)
    .await?;
    anyhow::ensure!(rated == ACCOUNTS as i64, "{rated} periods were rated");
    Ok(seconds)
}

/// Store a job, and wait until it is done.
async fn run<J: Job>(database: &Database, conn: &mut PgConnection, job: &J) -> anyhow::Result<()> {
    let ctx = database.context()?;
    let mut tx = ctx.pools.work.begin().await?;
    queue::enqueue(&mut tx, job).await?;
    tx.commit().await?;
    let done = "select not exists (select from queue.jobs where kind in ('open_period', 'close_due_periods'))";
    Ok(drain::until(conn, done).await?)
}

/// Customers whose month is over, each with a hundred uses in it.
async fn furnish(database: &Database, conn: &mut PgConnection) -> anyhow::Result<()> {
    let last = ACCOUNTS - 1;
    let all = format!("generate_series(0, {last}) as number");
    let subscriptions = format!(
        "insert into accounts (account_id) select 'user-' || number from {all};
         insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, period_starts_at,
                                    period_ends_at, anchor_at, created_at, synced_at)
         select 'sub-' || number, 'user-' || number, 'cus-' || number, 'active', 'ai_secretary', began, ended, began, began, now()
         from {all}, (select date_trunc('hour', now()) + interval '1 day' as ended,
                             date_trunc('hour', now()) + interval '1 day' - interval '1 month' as began) as month"
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(subscriptions)))
        .await?;
    let account_id = "user-0".to_owned();
    run(database, conn, &OpenPeriod { account_id }).await?;
    // Everybody has what the service made for the first of them, one after the other, as its ids are.
    let others = format!(
        "insert into billing_periods
         select ('01900000-0000-7000-8000-' || lpad(to_hex(number * 2 + (follows is null)::int), 12, '0'))::uuid,
                'user-' || number, starts_at, ends_at, follows,
                'sub-' || number || left(subscription_ref, 0), 'cus-' || number || left(customer_ref, 0), tier, terms,
                waiver, closed_at, rated_at, created_at
         from billing_periods, generate_series(1, {last}) as number where account_id = 'user-0'"
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(others))).await?;
    let events = ACCOUNTS * EVENTS_EACH;
    let uses = format!(
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         select gen_random_uuid(), 'user-' || (number * 7919 % {ACCOUNTS}),
                case when number / {ACCOUNTS} % 2 = 0 then 'voice_minutes' else 'sms' end, 'twilio', number::text,
                5000000, now() - interval '2 days' - interval '25 days' * number / {events}, now(), 'cycle',
                now() - interval '31 days', date_trunc('day', now()), 'ai_secretary'
         from generate_series(1::bigint, {events}) as number"
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(uses))).await?;
    // Their month was a day shorter. What is owed stays where it is: no Stripe is there to take it.
    conn.execute(
        "update billing_periods set ends_at = ends_at - interval '1 day 1 hour' where subscription_ref is not null;
         update subscriptions set period_ends_at = period_ends_at - interval '1 day 1 hour';
         insert into queue.controls (scope, name, paused_at) values ('lane', 'money', now())",
    )
    .await?;
    for sql in ["vacuum analyze", "checkpoint"] {
        conn.execute(sql).await?;
    }
    Ok(())
}

/// Requests that two processes send to Stripe when all of them want to.
async fn turns(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Settings::default()).await?;
    let mut pairs = Vec::new();
    for _ in 0..rows.rounds {
        // What the askers of the round before had reserved when they ended is nobody's any more.
        let database = server.database("bench_turns").await?;
        let before = sandbox.calls().len();
        let until = Instant::now() + TURNS_FOR;
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let stripe = database.stripe_of(&sandbox, TURNS_PER_SECOND)?;
            for _ in 0..ASKERS {
                asking.spawn(ask(stripe.clone(), until));
            }
        }
        while asking.join_next().await.is_some() {}
        let asked = (sandbox.calls().len() - before) as f64 / TURNS_FOR.as_secs_f64();
        anyhow::ensure!(
            asked <= f64::from(TURNS_PER_SECOND) * 1.02,
            "{asked} requests a second"
        );
        pairs.push((asked, f64::from(TURNS_PER_SECOND)));
    }
    sandbox.stop().await;
    rows.ratio(
        "billing_stripe_requests_of_the_budget",
        "requests/s",
        pairs,
        Goal::AtLeast(0.9),
    );
    Ok(())
}

/// Ask again and again, until that time.
async fn ask(stripe: Stripe, until: Instant) {
    let asking = async {
        loop {
            // Nobody has this id: what counts is the request.
            let _ = stripe.customer("cus_nobody").await;
        }
    };
    let _ = tokio::time::timeout_at(until, asking).await;
}
