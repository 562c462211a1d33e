//! Incoming calls: signed, stored with their job, and answered by the settings of the number, while sweeps and the jobs
//! of the calls themselves keep the machine busy.

use anyhow::ensure;
use sqlx::Executor;
use tollkeeper_jobs::Lane;

use crate::{
    drain,
    figures::Goal,
    ingest::serve,
    load::{self, Order},
    noop,
    requests::{CALLED, Kind},
    rows::Rows,
    server::{Database, Server},
};

const CALLS_PER_SECOND: f64 = 200.0;
const SECONDS: f64 = 10.0;
/// More than two workers get done meanwhile.
const SWEEPS: u64 = 200_000;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let mut waits = Vec::new();
    for _ in 0..rows.rounds {
        let database = server.database("bench_twiml").await?;
        furnish(&database).await?;
        let (address, _web) = serve(&database).await?;
        let workers = vec![database.worker(&[])?, database.product("worker", &[])?];
        let answered = load::send(&Order {
            to: address,
            kind: Kind::Ring,
            key: "",
            users: 1,
            requests: (CALLS_PER_SECOND * SECONDS) as usize,
            rate: CALLS_PER_SECOND,
        })
        .await?;
        waits.push(answered.p99_ms);
        let is_full: bool =
            sqlx::query_scalar("select exists (select from queue.jobs where lane = 'bulk')")
                .fetch_one(&mut database.connect().await?)
                .await?;
        ensure!(is_full, "the bulk lane ran empty");
        drain::end(workers).await?;
    }
    rows.value(
        "twiml_answer_p99_at_200_calls_a_second_beside_a_full_bulk_lane",
        "ms",
        waits,
        Goal::AtMost(50.0),
    );
    Ok(())
}

/// A number with settings of its own and of its account, and more sweeps than can be done.
async fn furnish(database: &Database) -> anyhow::Result<()> {
    let mut conn = database.connect().await?;
    conn.execute("insert into accounts (account_id) values ('ann')")
        .await?;
    sqlx::query(
        "insert into phone_numbers (id, account_id, status, phone_number, number_ref)
         values (gen_random_uuid(), 'ann', 'active', $1, 'PN1')",
    )
    .bind(CALLED)
    .execute(&mut conn)
    .await?;
    sqlx::query(
        "insert into phone_system_config (account_id, phone_number, config, updated_at)
         select 'ann', number, '{\"forwarding\": {\"enabled\": true, \"number\": \"+14155550177\"}}', now()
         from unnest(array['', $1]) as number",
    )
    .bind(CALLED)
    .execute(&mut conn)
    .await?;
    let ctx = database.context()?;
    let sweeps: Vec<_> = (0..SWEEPS)
        .map(|number| {
            let mut sweep = noop::of(number, 0);
            sweep.lane = Lane::Bulk;
            sweep
        })
        .collect();
    noop::store_all(&ctx.pools.work, &sweeps).await?;
    Ok(drain::settle(&mut conn).await?)
}
