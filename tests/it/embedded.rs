//! The embedded Postgres: what it survives and what it refuses.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tollkeeper::postgres::{self, Embedded, EmbeddedError};

/// A data folder of its own, removed at the end.
struct DataFolder(PathBuf);

impl DataFolder {
    fn new(name: &str) -> DataFolder {
        let path = std::env::temp_dir().join(format!("tollkeeper-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        DataFolder(path)
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres/cluster")
    }

    fn pid_file(&self) -> PathBuf {
        self.cluster().join("postmaster.pid")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn store_a_row(server: &Embedded) {
    let mut conn = PgConnection::connect_with(&server.connect_options())
        .await
        .unwrap();
    sqlx::raw_sql("create table if not exists kept (n int); insert into kept values (1)")
        .execute(&mut conn)
        .await
        .unwrap();
}

/// Waits out a restart: a refused connection is tried again.
async fn stored_rows(server: &Embedded) -> i64 {
    let count = async {
        loop {
            if let Ok(mut conn) = PgConnection::connect_with(&server.connect_options()).await
                && let Ok(count) = sqlx::query_scalar("select count(*) from kept")
                    .fetch_one(&mut conn)
                    .await
            {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), count)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_killed_server_comes_back_with_every_committed_row() {
    let data = DataFolder::new("killed");
    let server = Embedded::start(&data.0).await.unwrap();
    store_a_row(&server).await;
    let first = server.pid().unwrap();

    assert_eq!(unsafe { libc::kill(first as i32, libc::SIGKILL) }, 0);

    assert_eq!(stored_rows(&server).await, 1);
    assert_ne!(server.pid(), Some(first));
    server.stop().await;
    let again = Embedded::start(&data.0).await.unwrap();
    assert_eq!(stored_rows(&again).await, 1);
    again.stop().await;
}

#[tokio::test]
async fn a_pid_file_left_by_a_crash_stops_no_start() {
    let data = DataFolder::new("stale");
    let server = Embedded::start(&data.0).await.unwrap();
    store_a_row(&server).await;
    let written = fs::read_to_string(data.pid_file()).unwrap();
    server.stop().await;

    // The number of a program that lives and is no server, the number of nobody, and a file cut short.
    let rest: String = written
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    for stale in [
        format!("{}\n{rest}", std::process::id()),
        format!("4194300\n{rest}"),
        String::new(),
    ] {
        fs::write(data.pid_file(), &stale).unwrap();
        let owner = fs::metadata(data.cluster()).unwrap();
        std::os::unix::fs::chown(data.pid_file(), Some(owner.uid()), Some(owner.gid())).unwrap();

        let server = Embedded::start(&data.0).await.unwrap();

        assert_eq!(stored_rows(&server).await, 1, "{stale}");
        server.stop().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_outlived_its_supervisor_makes_room_for_the_next() {
    let data = DataFolder::new("orphan");
    let server = Embedded::start(&data.0).await.unwrap();
    store_a_row(&server).await;
    let program = fs::read_link(format!("/proc/{}/exe", server.pid().unwrap())).unwrap();
    server.stop().await;
    let owner = fs::metadata(data.cluster()).unwrap();
    let mut orphan = Command::new(program)
        .arg("-D")
        .arg(data.cluster())
        .args(["-c", "listen_addresses=", "-c"])
        .arg(format!(
            "unix_socket_directories={}",
            data.0.join("postgres/socket").display()
        ))
        .current_dir("/")
        .uid(owner.uid())
        .gid(owner.gid())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until_it_runs = async {
        while !fs::read_to_string(data.pid_file()).is_ok_and(|text| text.contains("ready")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until_it_runs)
        .await
        .unwrap();

    let server = Embedded::start(&data.0).await.unwrap();

    assert!(
        orphan.try_wait().unwrap().is_some_and(|end| end.success()),
        "it was asked to end and did"
    );
    assert_eq!(stored_rows(&server).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_second_supervisor_is_refused_and_may_join() {
    let data = DataFolder::new("second");
    let server = Embedded::start(&data.0).await.unwrap();
    store_a_row(&server).await;

    let refused = Embedded::start(&data.0).await.unwrap_err();

    assert!(matches!(refused, EmbeddedError::InUse { .. }), "{refused}");
    assert!(
        refused
            .to_string()
            .contains(&std::process::id().to_string()),
        "{refused}"
    );
    let mut joined = PgConnection::connect_with(&postgres::join(&data.0).unwrap())
        .await
        .unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from kept")
        .fetch_one(&mut joined)
        .await
        .unwrap();
    assert_eq!(rows, 1);
    server.stop().await;
}

#[tokio::test]
async fn the_server_is_durable_and_hears_nobody_else() {
    let data = DataFolder::new("durable");
    let server = Embedded::start(&data.0).await.unwrap();

    let mut conn = PgConnection::connect_with(&server.connect_options())
        .await
        .unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
    ] {
        let found: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(found, value, "{setting}");
    }

    for private in ["postgres", "postgres/cluster", "postgres/socket"] {
        let mode = fs::metadata(data.0.join(private)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700, "{private}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_data_folder_deep_down_has_a_socket_all_the_same() {
    let data = DataFolder::new("deep");
    let deep = data.0.join("a-folder-with-a-long-name/".repeat(6));

    let server = Embedded::start(&deep).await.unwrap();

    store_a_row(&server).await;
    assert_eq!(stored_rows(&server).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_run_is_refused_in_a_sentence_and_left_as_it_is() {
    let data = DataFolder::new("refused");
    fs::create_dir_all(data.cluster()).unwrap();
    let refusal = async |options: postgres::Options| {
        Embedded::start_with(&data.0, options)
            .await
            .unwrap_err()
            .to_string()
    };

    fs::write(data.cluster().join("precious"), "rows").unwrap();
    let unknown = refusal(postgres::Options::default()).await;
    assert!(unknown.contains("without a PG_VERSION"), "{unknown}");

    fs::write(data.cluster().join("PG_VERSION"), "9\n").unwrap();
    let too_old = refusal(postgres::Options::default()).await;
    assert!(too_old.contains("made by PostgreSQL 9"), "{too_old}");

    let nowhere = Path::new("/nowhere/bin").to_path_buf();
    let no_binaries = refusal(postgres::Options {
        bindir: Some(nowhere),
        settings: vec![],
    })
    .await;
    assert!(
        no_binaries.contains("PG_BINDIR is /nowhere/bin"),
        "{no_binaries}"
    );

    assert_eq!(
        fs::read_to_string(data.cluster().join("precious")).unwrap(),
        "rows"
    );
}
