//! One private Postgres for the whole test program, and a fresh, migrated database for each test.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<PgConnectOptions> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of its own for one test, with every migration in it.
pub async fn fresh_database() -> PgPool {
    PgPoolOptions::new()
        .max_connections(20)
        .connect_with(fresh_database_options().await)
        .await
        .unwrap()
}

pub async fn fresh_database_options() -> PgConnectOptions {
    let server = CLUSTER.get_or_init(start).await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect_with(&server.clone().database("postgres"))
        .await
        .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create database {name} template tollkeeper_template"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    server.clone().database(&name)
}

async fn start() -> PgConnectOptions {
    let folder = std::env::temp_dir().join(format!("tollkeeper-test-{}", std::process::id()));
    let data = folder.join("data");
    std::fs::create_dir_all(&folder).unwrap();
    let (uid, gid) = owner_of_cluster();
    std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
    let bin = PathBuf::from(
        String::from_utf8(
            Command::new("pg_config")
                .arg("--bindir")
                .output()
                .unwrap()
                .stdout,
        )
        .unwrap()
        .trim(),
    );
    let done = Command::new(bin.join("initdb"))
        .args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ])
        .arg(&data)
        .uid(uid)
        .gid(gid)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success());
    let socket_folder = folder.clone();
    // The thread that starts the server never ends: the server is told to stop when it does.
    std::thread::spawn(move || {
        let mut postgres = Command::new(bin.join("postgres"));
        postgres.arg("-D").arg(&data).arg("-k").arg(&socket_folder);
        for setting in [
            "listen_addresses=",
            "max_connections=400",
            "fsync=off",
            "full_page_writes=off",
        ] {
            postgres.args(["-c", setting]);
        }
        postgres
            .uid(uid)
            .gid(gid)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(target_os = "linux")]
        unsafe {
            postgres.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT);
                Ok(())
            });
        }
        postgres.spawn().unwrap().wait().unwrap();
    });
    let server = PgConnectOptions::new_without_pgpass()
        .socket(&folder)
        .username("postgres")
        .database("postgres");
    let mut admin = loop {
        match PgConnection::connect_with(&server).await {
            Ok(conn) => break conn,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    sqlx::raw_sql("create database tollkeeper_template")
        .execute(&mut admin)
        .await
        .unwrap();
    let mut template = PgConnection::connect_with(&server.clone().database("tollkeeper_template"))
        .await
        .unwrap();
    tollkeeper::db::migrate(&mut template).await.unwrap();
    template.close().await.unwrap();
    server
}

fn owner_of_cluster() -> (u32, u32) {
    if unsafe { libc::geteuid() } != 0 {
        return unsafe { (libc::geteuid(), libc::getegid()) };
    }
    let user = unsafe { libc::getpwnam(c"postgres".as_ptr()) };
    assert!(!user.is_null(), "tests run as root need the user postgres");
    unsafe { ((*user).pw_uid, (*user).pw_gid) }
}
