//! The Postgres that everything is measured on: a private one with the durable settings of the product,
//! and databases on it.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::process::{Child, Command};
use tollkeeper::{
    clients::stripe::Stripe,
    clock::Clock,
    config::Config,
    context::{self, Context, Pools},
    db,
    postgres::{Embedded, find_binaries},
    sandbox::Sandbox,
};

pub struct Server {
    embedded: Embedded,
    folder: PathBuf,
    /// The folder of `pgbench` and `pg_test_fsync`.
    pub bindir: PathBuf,
}

/// A migrated database on it.
pub struct Database {
    pub options: PgConnectOptions,
    url: String,
}

impl Server {
    pub async fn start() -> anyhow::Result<Server> {
        let folder = std::env::temp_dir().join(format!("tollkeeper-bench-{}", std::process::id()));
        let embedded = Embedded::start(&folder).await?;
        let bindir = find_binaries(None, None)?.folder;
        let server = Server {
            embedded,
            folder,
            bindir,
        };
        server.fill_log().await?;
        Ok(server)
    }

    /// Make it a server that has been up for a while: one that writes its first gigabyte of log makes a new
    /// file for every 16 MB, and all commits wait for that; later it takes files it has.
    async fn fill_log(&self) -> anyhow::Result<()> {
        let mut conn = self.connect().await?;
        for _ in 0..1024 {
            sqlx::raw_sql(
                "select pg_logical_emit_message(false, 'bench', repeat('x', 1024 * 1024))",
            )
            .execute(&mut conn)
            .await?;
        }
        sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
        Ok(())
    }

    pub async fn stop(self) {
        self.embedded.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// Where the server keeps its files: the disk that is measured.
    pub fn folder(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// A new, empty database with the product's schema; the older one of that name is gone.
    pub async fn database(&self, name: &str) -> anyhow::Result<Database> {
        let mut admin = self.connect().await?;
        for sql in [
            format!("drop database if exists {name} with (force)"),
            format!("create database {name}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut admin)
                .await?;
        }
        let options = self.embedded.connect_options().database(name);
        db::migrate(&mut options.connect().await?).await?;
        let url = self
            .embedded
            .url()
            .replacen("/tollkeeper?", &format!("/{name}?"), 1);
        Ok(Database { options, url })
    }

    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.embedded.connect_options()).await?)
    }
}

impl Database {
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(self.options.connect().await?)
    }

    /// As libpq reads it, too.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The settings of every process: the program's own defaults, and made-up providers.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        [
            ("DATABASE_URL", self.url()),
            ("ENCRYPTION_KEY", key),
            ("STRIPE_SECRET_KEY", "sk_test_made_up"),
            ("STRIPE_WEBHOOK_SECRET", crate::requests::SECRET),
            ("STRIPE_API_BASE", "http://127.0.0.1:9"),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
            ("TWILIO_AUTH_TOKEN", "00000000000000000000000000000002"),
            ("TWILIO_API_BASE", "http://127.0.0.1:9"),
            ("PUBLIC_BASE_URL", "https://bench.test"),
            ("RUST_LOG", "warn"),
            // A batch of claims is as large as there are slots.
            ("WORKERS_DEFAULT", "1000"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What the product has in a process of its own.
    pub fn context(&self) -> anyhow::Result<Context> {
        let config = Config::from_map(&self.environment())?;
        let pools = Pools::lazy(&self.options, &config.pools);
        Context::new(config, pools, Clock::default())
            .map_err(|faults| anyhow::anyhow!(faults.join("\n")))
    }

    /// The client of a process of its own, of a Stripe that takes so many requests a second.
    pub fn stripe_of(&self, sandbox: &Sandbox, per_second: u32) -> anyhow::Result<Stripe> {
        let mut environment = self.environment();
        environment.insert("STRIPE_API_BASE".to_owned(), sandbox.stripe_base());
        environment.insert("STRIPE_SECRET_KEY".to_owned(), "sk_test_sandbox".to_owned());
        environment.insert(
            "STRIPE_REQUESTS_PER_SECOND".to_owned(),
            per_second.to_string(),
        );
        let config = Config::from_map(&environment)?;
        let pools = Pools::lazy(&self.options, &config.pools);
        Ok(context::stripe(&config, &pools))
    }

    /// The product's program in one of its roles.
    pub fn product(&self, role: &str, settings: &[(&str, String)]) -> anyhow::Result<Child> {
        let program = std::env::current_exe()?.with_file_name("tollkeeper");
        self.spawn(program, role, settings)
    }

    /// This program as a worker of the no-op job.
    pub fn worker(&self, settings: &[(&str, String)]) -> anyhow::Result<Child> {
        self.spawn(std::env::current_exe()?, "worker", settings)
    }

    fn spawn(
        &self,
        program: PathBuf,
        role: &str,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Child> {
        let mut command = Command::new(&program);
        command
            .arg(role)
            .env_clear()
            .envs(self.environment())
            .envs(settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .with_context(|| format!("{} cannot be started; build it first", program.display()))
    }
}
