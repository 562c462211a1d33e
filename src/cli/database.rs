//! The database of a command: the one of DATABASE_URL, or the embedded one.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, migrate::MigrateError, postgres::PgConnectOptions};

use crate::{
    config::{Config, PoolConfig},
    context::Pools,
    db,
    postgres::{self, Embedded, EmbeddedError, Options},
};

const MIGRATION_TRIES: u32 = 60;
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Close it, so that an embedded server is shut down cleanly before the process ends.
pub struct Database {
    options: PgConnectOptions,
    embedded: Option<Embedded>,
}

impl Database {
    /// Connect nothing yet; start the embedded server if that is the one. If another process of the
    /// same data folder runs it already, that one is used.
    pub async fn open(config: &Config) -> anyhow::Result<Database> {
        if let Some(url) = &config.database_url {
            let options = url
                .expose_secret()
                .parse()
                .context("DATABASE_URL is not a Postgres URL")?;
            return Ok(Database {
                options,
                embedded: None,
            });
        }
        let started = Embedded::start_with(
            &config.data_dir,
            Options {
                bindir: config.pg_bindir.clone(),
                settings: Vec::new(),
            },
        );
        match started.await {
            Ok(embedded) => Ok(Database {
                options: embedded.connect_options(),
                embedded: Some(embedded),
            }),
            Err(EmbeddedError::InUse { .. }) => Ok(Database {
                options: postgres::join(&config.data_dir)?,
                embedded: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// An embedded one that is empty, and not durable: it is thrown away with its next use.
    pub async fn open_throwaway(config: &Config) -> anyhow::Result<Database> {
        // Nothing is kept. And what takes a day elsewhere takes a moment here: rows that are done with pile up as fast.
        const HASTY: [&str; 4] = [
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "autovacuum_naptime=2s",
        ];
        let embedded = Embedded::start_with(
            &config.data_dir,
            Options {
                bindir: config.pg_bindir.clone(),
                settings: HASTY.map(str::to_owned).to_vec(),
            },
        )
        .await?;
        embedded.renew().await?;
        Ok(Database {
            options: embedded.connect_options(),
            embedded: Some(embedded),
        })
    }

    /// Open it, do this with one connection, close it again, whatever came of it.
    pub async fn with<T>(
        config: &Config,
        work: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let database = Database::open(config).await?;
        let done = match database.connect().await {
            Ok(mut conn) => work(&mut conn).await,
            Err(error) => Err(error),
        };
        database.close().await;
        done
    }

    /// The same, but refused while another process runs the embedded server.
    pub async fn open_alone(config: &Config) -> anyhow::Result<Database> {
        let database = Database::open(config).await?;
        if config.database_url.is_none() && database.embedded.is_none() {
            anyhow::bail!(
                "another tollkeeper already runs with {}: stop it, or set another TOLLKEEPER_DATA",
                config.data_dir.display()
            );
        }
        Ok(database)
    }

    /// The embedded server's URL, for `psql`; none when the database is somebody else's.
    pub fn embedded_url(&self) -> Option<String> {
        self.embedded.as_ref().map(Embedded::url)
    }

    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect_with(&self.options)
            .await
            .context("the database cannot be reached")
    }

    /// Bring the schema up to date. Safe beside a running service and beside another migration.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        for left in (0..MIGRATION_TRIES).rev() {
            let mut conn = self.connect().await?;
            match db::migrate(&mut conn).await {
                Ok(()) => return Ok(conn.close().await?),
                Err(error) if left > 0 && is_locked_out(&error) => {
                    tracing::info!("a migration waits for a lock; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error).context("the database cannot be migrated"),
            }
        }
        unreachable!("the last try returns")
    }

    /// The pools of the roles; they connect when first used.
    pub fn pools(&self, config: &PoolConfig) -> Pools {
        Pools::lazy(&self.options, config)
    }

    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

fn is_locked_out(error: &MigrateError) -> bool {
    let database = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            error.as_database_error()
        }
        _ => None,
    };
    database.is_some_and(|error| error.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}
