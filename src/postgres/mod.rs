//! The embedded server: a private cluster of the machine's own Postgres, run while this process runs.
//!
//! It listens on a unix socket only, in a folder nobody else may enter, with durable settings. A
//! `kill -9` of it or of us loses nothing: the next start recovers. One process supervises it; others
//! of the same data folder join it through the socket.

mod binaries;
mod folder;
mod leftover;
mod server;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

pub use binaries::{Binaries, find as find_binaries};
use folder::{Folder, Lock};
pub use folder::{Owner, make_data_dir};
use server::{Server, State};

use crate::db::databases;

/// How long a start may take, recovery of a large log included.
const START_MAX: Duration = Duration::from_secs(120);
/// Starts that may fail in a row before the first success: a leftover backend can spoil one or two.
const FAILED_STARTS_MAX: u32 = 4;
const USER: &str = "tollkeeper";
const DATABASE: &str = "tollkeeper";

/// A running server. Stop it with [`Embedded::stop`]; dropped, it is told to stop and not waited for.
#[derive(Debug)]
pub struct Embedded {
    // First the server, then the lock: nobody else may start while this one still shuts down.
    server: Server,
    folder: Folder,
    _lock: Lock,
}

/// What may differ from the durable default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder with `postgres` and `initdb` (`PG_BINDIR`); unset: searched.
    pub bindir: Option<PathBuf>,
    /// Further `name=value` settings of the server.
    pub settings: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no PostgreSQL 14 or newer on this machine: {}, or set DATABASE_URL",
        install_hint()
    )]
    NoBinaries,
    #[error(
        "PG_BINDIR is {0}, and there is no postgres and initdb in it: name their folder, or unset it"
    )]
    NotThere(PathBuf),
    #[error(
        "the cluster was made by PostgreSQL {made_by}, and the newest here is {found}: install PostgreSQL {made_by}, \
             or pg_upgrade the cluster"
    )]
    OtherVersion { made_by: u32, found: u32 },
    #[error(
        "{folder} is in use by another tollkeeper (process {holder}): stop it, or set another TOLLKEEPER_DATA"
    )]
    InUse { folder: PathBuf, holder: String },
    #[error("root needs a user postgres or nobody to run the server as, and there is neither")]
    NoUser,
    #[error("{0}: {1}")]
    Folder(PathBuf, #[source] io::Error),
    #[error("initdb could not make a cluster in {0}: {1}")]
    InitDb(PathBuf, String),
    #[error("another server still works in {0} and does not stop: end it, then start again")]
    Leftover(PathBuf),
    #[error("the embedded server does not start; its log {log} ends: {last_words}")]
    DoesNotStart { log: PathBuf, last_words: String },
    #[error("the embedded server's database cannot be made: {0}")]
    Database(#[from] sqlx::Error),
}

impl Embedded {
    /// Start the server of `<data_dir>/postgres`, made on first use, and wait until it answers.
    pub async fn start(data_dir: &Path) -> Result<Embedded, EmbeddedError> {
        Embedded::start_with(data_dir, Options::default()).await
    }

    pub async fn start_with(data_dir: &Path, options: Options) -> Result<Embedded, EmbeddedError> {
        let folder = Folder::open(data_dir)?;
        let lock = Lock::take(&folder)?;
        let binaries = binaries::find(options.bindir.as_deref(), folder.made_by())?;
        if folder.made_by().is_none() {
            server::make_cluster(&binaries, &folder)?;
        }
        leftover::clear(&folder)?;
        let server = Server::supervise(binaries, folder.clone(), options.settings);
        let embedded = Embedded {
            server,
            folder,
            _lock: lock,
        };
        match tokio::time::timeout(START_MAX, embedded.answering()).await {
            Ok(Ok(())) => Ok(embedded),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(embedded.does_not_start()),
        }
    }

    /// The database, as a superuser, over the socket.
    pub fn connect_options(&self) -> PgConnectOptions {
        options_of(&self.folder)
    }

    /// Throw everything in the database away.
    pub async fn renew(&self) -> sqlx::Result<()> {
        let maintenance = self.connect_options().database("postgres");
        let mut conn = PgConnection::connect_with(&maintenance).await?;
        databases::renew(&mut conn, DATABASE).await?;
        conn.close().await
    }

    /// The same as a URL, for `psql` and for people.
    pub fn url(&self) -> String {
        let socket = self.folder.socket.to_string_lossy();
        let host: String = form_urlencoded::byte_serialize(socket.as_bytes()).collect();
        format!("postgresql:///{DATABASE}?host={host}&user={USER}")
    }

    /// The postmaster; none while it is being started again.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Shut down cleanly and wait for it. Open connections are cut, committed work stays.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Wait until the server takes connections, and make the database.
    async fn answering(&self) -> Result<(), EmbeddedError> {
        let maintenance = self.connect_options().database("postgres");
        let mut conn = loop {
            if let State::Ended { failures } = self.server.state()
                && failures >= FAILED_STARTS_MAX
            {
                return Err(self.does_not_start());
            }
            match PgConnection::connect_with(&maintenance).await {
                Ok(conn) => break conn,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.server.is_up();
        if !databases::exists(&mut conn, DATABASE).await? {
            databases::create(&mut conn, DATABASE).await?;
        }
        Ok(conn.close().await?)
    }

    fn does_not_start(&self) -> EmbeddedError {
        EmbeddedError::DoesNotStart {
            log: self.folder.log.clone(),
            last_words: self.folder.last_words(),
        }
    }
}

/// How to reach the server that another process runs for this data folder. Nothing is started.
pub fn join(data_dir: &Path) -> Result<PgConnectOptions, EmbeddedError> {
    Ok(options_of(&Folder::open(data_dir)?))
}

fn options_of(folder: &Folder) -> PgConnectOptions {
    // Nothing of the environment (PGPASSWORD, PGSSLMODE …) is meant for this server.
    PgConnectOptions::new_without_pgpass()
        .socket(&folder.socket)
        .port(5432)
        .username(USER)
        .database(DATABASE)
}

/// The one command that puts Postgres on this machine.
fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "install it with `brew install postgresql@17`"
    } else if Path::new("/etc/debian_version").exists() {
        "install it with `apt-get update && apt-get install -y postgresql`"
    } else if Path::new("/etc/redhat-release").exists() {
        "install it with `dnf install -y postgresql-server`"
    } else {
        "install it with the system's package manager"
    }
}
