//! What plain Postgres does: pgbench with scripts of our own on the same server.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Executor};
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

/// Selects of one row by its key a second (`pgbench -S`), of 32 clients, from so many rows.
pub async fn selects(server: &Server, database: &Database, rows: usize) -> anyhow::Result<f64> {
    let mut conn = database.connect().await?;
    let table = format!(
        "create table if not exists plain_accounts (aid integer primary key, balance integer not null, filler text);
         truncate plain_accounts;
         insert into plain_accounts select number, 0, repeat(' ', 84) from generate_series(1, {rows}) as number;
         analyze plain_accounts;"
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(table))).await?;
    let script = format!(
        "\\set aid random(1, {rows})\nselect balance from plain_accounts where aid = :aid;\n"
    );
    pgbench(server, database, &script, 32).await
}

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
    let clients = clients.to_string();
    let output = Command::new(server.bindir.join("pgbench"))
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--jobs=2",
            "--time=6",
            "--define",
            &format!("event={EVENT}"),
            "--client",
            &clients,
            "--file",
        ])
        .arg(&file)
        .arg(database.url())
        .output()
        .await
        .context("pgbench comes with the PostgreSQL server package")?;
    std::fs::remove_file(&file)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let tps = printed
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.with_context(|| {
        format!(
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
