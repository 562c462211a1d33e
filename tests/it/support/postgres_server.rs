//! A Postgres of a test's own: to be shut down, killed, left down, started again, and followed by a
//! standby. The embedded server is no use for that: it is started again by its supervisor.

use std::{
    fs::File,
    io,
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tollkeeper::postgres::{self, Owner};

use super::until;

static SERVERS: AtomicU32 = AtomicU32::new(0);
const USER: &str = "superuser";

/// How a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    /// Told to shut down: sessions are cut, a checkpoint is written.
    Fast,
    /// Told to stop at once; the next start recovers.
    Immediate,
    /// kill -9 of the postmaster.
    Killed,
}

/// A cluster in a folder of its own, running or not. Dropped, it is killed and removed.
pub struct PostgresServer {
    bindir: PathBuf,
    owner: Owner,
    home: PathBuf,
    child: Mutex<Option<Child>>,
}

impl PostgresServer {
    /// A new cluster, running.
    pub async fn start_new() -> PostgresServer {
        let server = PostgresServer::prepare();
        server.run("initdb", |initdb| {
            initdb.args(["--auth=trust", "--locale=C", "--encoding=UTF8"]);
            initdb.args(["--no-sync", "--username", USER, "-D"]);
            initdb.arg(server.home.join("cluster"))
        });
        server.start().await;
        server
    }

    /// A streaming standby of this server, running.
    pub async fn start_standby(&self) -> PostgresServer {
        let standby = PostgresServer::prepare();
        standby.run("pg_basebackup", |backup| {
            backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
            backup.args(["--username", USER, "--host"]).arg(&self.home);
            backup.arg("-D").arg(standby.home.join("cluster"))
        });
        standby.start().await;
        standby
    }

    fn prepare() -> PostgresServer {
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollkeeper-postgres-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(name);
        let owner = Owner::of_server().unwrap();
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir(&home).unwrap();
        chown(&home, Some(owner.uid), Some(owner.gid)).unwrap();
        PostgresServer {
            bindir: postgres::find_binaries(None, None).unwrap().folder,
            owner,
            home,
            child: Mutex::new(None),
        }
    }

    /// Start it and wait until it takes connections.
    pub async fn start(&self) {
        until("the server takes connections", async || {
            if !self.is_running() {
                // The first start, or one that found a dying backend of the server before.
                *self.child.lock().unwrap() = Some(self.spawn());
            }
            PgConnection::connect_with(&self.options()).await.is_ok()
        })
        .await;
    }

    /// Let it go, and wait until it is gone.
    pub fn fall(&self, how: Fall) {
        let mut child = self.child.lock().unwrap().take().unwrap();
        let signal = match how {
            Fall::Fast => libc::SIGINT,
            Fall::Immediate => libc::SIGQUIT,
            Fall::Killed => libc::SIGKILL,
        };
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        child.wait().unwrap();
    }

    /// Make a standby the primary.
    pub async fn promote(&self) {
        let promoted: bool = sqlx::query_scalar("select pg_promote(true, 60)")
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap();
        assert!(promoted, "the standby was not promoted");
    }

    /// Which standbys a commit waits for: `*` any one, empty none.
    pub async fn wait_for_standbys(&self, names: &str) {
        let mut conn = self.connect().await;
        for sql in [
            format!("alter system set synchronous_standby_names = '{names}'"),
            "select pg_reload_conf()".to_owned(),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut conn)
                .await
                .unwrap();
        }
        // A standby that is attached and waited for is `sync`.
        let sql = "select coalesce(bool_or(sync_state <> 'async'), false) from pg_stat_replication";
        until("commits wait for the standby, or no more", async || {
            self.value::<bool>(sql).await == Some(!names.is_empty())
        })
        .await;
    }

    /// The process that takes in what a primary streams.
    pub async fn receiver_pid(&self) -> i32 {
        let sql = "select pid from pg_stat_wal_receiver where status = 'streaming'";
        until("the standby streams", async || {
            self.value::<i32>(sql).await.is_some()
        })
        .await;
        self.value(sql).await.unwrap()
    }

    async fn value<T>(&self, sql: &'static str) -> Option<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let query = sqlx::query_scalar(sql);
        query
            .fetch_optional(&mut self.connect().await)
            .await
            .unwrap()
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }

    /// As a superuser.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.home)
            .port(5432)
            .username(USER)
            .database("postgres")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.home.join(".s.PGSQL.5432")
    }

    fn is_running(&self) -> bool {
        let mut child = self.child.lock().unwrap();
        child
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn spawn(&self) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.home.join("log"))
            .unwrap();
        let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
        sockets.push(&self.home);
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.home.join("cluster"));
        command.arg("-c").arg(sockets);
        for setting in ["listen_addresses=", "port=5432", "max_connections=100"] {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone().unwrap()).stderr(log);
        // However this program ends, its servers end.
        #[cfg(target_os = "linux")]
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) {
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(()),
                },
            );
        }
        command.spawn().unwrap()
    }

    fn run(&self, program: &str, with: impl FnOnce(&mut Command) -> &mut Command) {
        let output = with(&mut self.command(program)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
    }

    /// A program of the server's, run as the user it may run as and without our environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bindir.join(program));
        command
            .env_clear()
            .current_dir(&self.home)
            .stdin(Stdio::null());
        if self.owner.is_other {
            command.uid(self.owner.uid).gid(self.owner.gid);
        }
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.is_running() {
            self.fall(Fall::Immediate);
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
