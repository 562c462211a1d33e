//! One private Postgres for the whole test program, and a fresh, migrated database for each test.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;
use tollkeeper::postgres::{Embedded, Options};

/// Never dropped: the server is told to stop when this process ends.
static CLUSTER: OnceCell<Embedded> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);
const FOLDER: &str = "tollkeeper-test-";
/// No superuser: row-level security holds for it as it does in production.
const OWNER: &str = "plain_owner";

/// A database of its own for one test, with every migration in it.
pub async fn fresh_database() -> PgPool {
    PgPoolOptions::new()
        .max_connections(20)
        .connect_with(fresh_database_options().await)
        .await
        .unwrap()
}

pub async fn fresh_database_options() -> PgConnectOptions {
    let server = CLUSTER.get_or_init(start).await.connect_options();
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect_with(&server).await.unwrap();
    let create = format!("create database {name} owner {OWNER} template tollkeeper_template");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create))
        .execute(&mut admin)
        .await
        .unwrap();
    server.database(&name).username(OWNER)
}

async fn start() -> Embedded {
    remove_folders_of_ended_runs();
    let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
    // Nothing here outlives the run: speed instead of durability.
    let settings = [
        "max_connections=400",
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
    ];
    let settings = settings.map(str::to_owned).to_vec();
    let server = Embedded::start_with(
        &folder,
        Options {
            bindir: None,
            settings,
        },
    )
    .await
    .unwrap_or_else(|error| panic!("{error}"));

    make_database(&server.connect_options(), "tollkeeper_template").await;
    server
}

/// A migrated database of this name on a server that has none of ours yet, as its owner, who is no
/// superuser.
pub async fn make_database(superuser: &PgConnectOptions, name: &str) -> PgConnectOptions {
    let mut admin = PgConnection::connect_with(superuser).await.unwrap();
    for sql in [
        format!("create role {OWNER} login createrole"),
        format!("create database {name} owner {OWNER}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut admin)
            .await
            .unwrap();
    }
    let database = superuser.clone().database(name).username(OWNER);
    let mut conn = PgConnection::connect_with(&database).await.unwrap();
    tollkeeper::db::migrate(&mut conn).await.unwrap();
    // What every statement of the queue must keep to, and no server should pay for (migration 0010).
    let lease_rule = "alter table queue.jobs add constraint jobs_lease check (
        (state = 'running') = (lease_token is not null) and (lease_token is null) = (lease_until is null))";
    sqlx::raw_sql(lease_rule).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    database
}

/// A run that is killed cannot clear up after itself; the next one does.
fn remove_folders_of_ended_runs() {
    for entry in std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix(FOLDER)
            .and_then(|pid| pid.parse::<i32>().ok());
        if pid.is_some_and(|pid| unsafe { libc::kill(pid, 0) } == -1) && !has_server(&entry.path())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn has_server(folder: &Path) -> bool {
    let pid_file: PathBuf = folder.join("postgres/cluster/postmaster.pid");
    pid_file.exists()
}
