//! What plain Postgres does: pgbench with scripts of our own on the same server.

use anyhow::{Context as _, ensure};
use sqlx::Executor;
use tokio::process::Command;

use crate::{
    requests::EVENT,
    server::{Database, Server},
};

/// One row with a key, a name and a small payload: the least that a job or a webhook is.
const INSERT: &str =
    "insert into plain_rows (name, payload) values ('a name', '{\"number\": 1}');\n";

const INSERT_EVENT: &str =
    "insert into plain_events (name, body) values ('a name', convert_to(:event, 'UTF8'));\n";

/// What a queue without any promise does: a hundred jobs stored, taken and removed in three statements.
const CYCLE: &str = "\
insert into plain_jobs (payload) select '{\"number\": 1}' from generate_series(1, 100);
with taken as (select id from plain_jobs where state = 'ready' order by id limit 100 for update skip locked)
update plain_jobs job set state = 'running', worker = :client_id from taken where job.id = taken.id;
delete from plain_jobs where state = 'running' and worker = :client_id;
";

const TABLES: &str = "\
create table if not exists plain_rows (id bigint generated always as identity primary key, name text not null,
    payload jsonb not null, created_at timestamptz not null default now());
create table if not exists plain_events (id bigint generated always as identity primary key, name text not null,
    body bytea not null, created_at timestamptz not null default now());
create table if not exists plain_jobs (id bigint generated always as identity primary key, payload jsonb not null,
    state text not null default 'ready', worker integer, created_at timestamptz not null default now())
    with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
          autovacuum_vacuum_cost_delay = 0);
create index if not exists plain_jobs_ready on plain_jobs (id) where state = 'ready';
create index if not exists plain_jobs_running on plain_jobs (worker) where state = 'running';
";

/// Single-row inserts a second of a small row, each its own transaction, of 32 clients.
pub async fn inserts(server: &Server, database: &Database) -> anyhow::Result<f64> {
    pgbench(server, database, INSERT, 32).await
}

/// The same of a row that holds a whole event, which the client sends with each insert.
pub async fn event_inserts(server: &Server, database: &Database) -> anyhow::Result<f64> {
    pgbench(server, database, INSERT_EVENT, 32).await
}

/// Jobs a second through the plain cycle, of 8 clients.
///
/// The second run counts: what autovacuum does once a minute is done between the two, as it is before the
/// product's turn. Without it the figure is half or whole by whether autovacuum happens to come.
pub async fn cycles(server: &Server, database: &Database) -> anyhow::Result<f64> {
    pgbench(server, database, CYCLE, 8).await?;
    let mut conn = database.connect().await?;
    conn.execute("vacuum analyze plain_jobs").await?;
    Ok(pgbench(server, database, CYCLE, 8).await? * 100.0)
}

/// Selects of one row by its key a second, of 32 clients, from 100,000 rows: `pgbench -S` as it comes, which has
/// each select planned anew, and the same with statements that are prepared once.
pub async fn selects(server: &Server, database: &Database) -> anyhow::Result<Selects> {
    let url = database.url();
    run(server, &["--initialize", "--quiet", url]).await?;
    Ok(Selects {
        planned: transactions(server, database, 32, &["--select-only"]).await?,
        prepared: transactions(
            server,
            database,
            32,
            &["--select-only", "--protocol=prepared"],
        )
        .await?,
    })
}

pub struct Selects {
    pub planned: f64,
    pub prepared: f64,
}

/// A script of our own, with prepared statements.
async fn pgbench(
    server: &Server,
    database: &Database,
    script: &str,
    clients: usize,
) -> anyhow::Result<f64> {
    let mut conn = database.connect().await?;
    conn.execute(sqlx::raw_sql(TABLES)).await?;
    conn.execute("truncate plain_rows, plain_events").await?;
    let file = std::env::temp_dir().join(format!("tollkeeper-bench-{}.sql", std::process::id()));
    std::fs::write(&file, script)?;
    let event = format!("event={EVENT}");
    let path = file.display().to_string();
    let how = ["--protocol=prepared", "--define", &event, "--file", &path];
    let tps = transactions(server, database, clients, &how).await;
    std::fs::remove_file(&file)?;
    tps
}

/// Transactions a second.
async fn transactions(
    server: &Server,
    database: &Database,
    clients: usize,
    how: &[&str],
) -> anyhow::Result<f64> {
    let clients = clients.to_string();
    let common = ["--no-vacuum", "--jobs=2", "--time=6", "--client", &clients];
    let printed = run(server, &[&common, how, &[database.url()]].concat()).await?;
    let tps = printed
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.with_context(|| format!("pgbench printed no figure: {printed}"))
}

async fn run(server: &Server, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(server.bindir.join("pgbench"))
        .args(arguments)
        .output()
        .await
        .context("pgbench comes with the PostgreSQL server package")?;
    ensure!(
        output.status.success(),
        "pgbench failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
