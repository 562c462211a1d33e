//! The program as processes of its own, over a test's database and sandbox: to be killed, stopped,
//! continued and read.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;
use tollkeeper::sandbox::Sandbox;

use super::until;

static LOGS: AtomicU32 = AtomicU32::new(0);

/// What the processes of one test have in common: an environment with every setting they need.
#[derive(Clone)]
pub struct Program {
    settings: Vec<(String, String)>,
    /// How many files may be open to begin with; the system's own limit is not touched.
    descriptors: Option<u64>,
}

/// A running process; killed when the test ends before it did.
pub struct Process {
    child: Mutex<Child>,
    /// Where a web role listens, and where a worker shows its health and figures.
    pub address: SocketAddr,
    log: PathBuf,
    /// Made once: making one takes longer than a request.
    client: reqwest::Client,
}

impl Program {
    /// Over this database, with the sandbox as its providers; price `price_repx1` is the tier RepX1.
    pub fn over(database: &PgConnectOptions, sandbox: &Sandbox) -> Program {
        use sqlx::ConnectOptions;
        let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        Program {
            settings: Vec::new(),
            descriptors: None,
        }
        .with("DATABASE_URL", database.to_url_lossy().as_str())
        .with("STRIPE_API_BASE", &sandbox.stripe_base())
        .with("STRIPE_SECRET_KEY", "sk_test_sandbox")
        .with("STRIPE_WEBHOOK_SECRET", super::web::STRIPE_SECRET)
        .with("STRIPE_REPX1_MONTHLY_PRICE_ID", "price_repx1")
        .with("STRIPE_PRICE_AI_SECRETARY", super::house::SECRETARY)
        .with("TWILIO_API_BASE", &sandbox.twilio_base())
        .with("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001")
        .with("TWILIO_AUTH_TOKEN", "00000000000000000000000000000002")
        .with("SPEECH_API_BASE", &sandbox.speech_base())
        .with("SPEECH_API_KEY", "sk_speech_sandbox")
        .with("SPEECH_MODEL", "sandbox")
        .with("ANALYSIS_API_BASE", &sandbox.speech_base())
        .with("ANALYSIS_API_KEY", "sk_speech_sandbox")
        .with("ANALYSIS_MODEL", "sandbox")
        .with("VOIPMS_API_BASE", &sandbox.voipms_base())
        .with("VOIPMS_USERNAME", "sandbox@example.com")
        .with("VOIPMS_API_PASSWORD", "voipms_sandbox")
        .with("VOIPMS_POP", "1")
        .with("VOIPMS_REQUESTS_PER_SECOND", "0")
        .with("VOIPMS_CALLBACK_TOKENS", super::web::VOIPMS_TOKEN)
        .with("NUMBER_AREA_CODES", "415")
        .with("PUBLIC_BASE_URL", "https://hooks.test")
        .with("ENCRYPTION_KEY", key)
        .with("PROVIDER_QUIET_TIME", "300ms")
        .with("JOB_BACKOFF_SCALE", "0.001")
        .with("WORKER_POLL_MAX", "100ms")
        .with("RUST_LOG", "info,sqlx=warn")
    }

    /// With this setting, in the place of an older one of that name.
    pub fn with(mut self, name: &str, value: &str) -> Program {
        self.settings.retain(|(older, _)| older != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a setting.
    pub fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(set, _)| set == name);
        &found.expect("it is set").1
    }

    /// With so few open files to begin with, as on a machine that nobody has set up.
    pub fn with_descriptors(mut self, count: u64) -> Program {
        self.descriptors = Some(count);
        self
    }

    /// Start a role, `web` or `worker`, on a port of its own.
    pub fn start(&self, role: &str) -> Process {
        self.start_at(role, free_address())
    }

    /// Start a role at an address, where perhaps another process was before it.
    pub fn start_at(&self, role: &str, address: SocketAddr) -> Process {
        let number = LOGS.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!(
            "tollkeeper-log-{}-{number}.txt",
            std::process::id()
        ));
        let into = File::create(&log).unwrap();
        let port = match role {
            "worker" => "WORKER_METRICS_PORT",
            _ => "PORT",
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        if let Some(count) = self.descriptors {
            // SAFETY: between fork and exec only two system calls are made.
            unsafe { command.pre_exec(move || begin_with(count)) };
        }
        let child = command
            .arg(role)
            .env_clear()
            .envs(self.settings.iter().cloned())
            .env(port, address.port().to_string())
            .stdin(Stdio::null())
            .stdout(into.try_clone().unwrap())
            .stderr(into)
            .spawn()
            .unwrap();
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Process {
            child: Mutex::new(child),
            address,
            log,
            client: reqwest::Client::new(),
        }
    }

    /// Start a role and wait until it serves.
    pub async fn ready(&self, role: &str) -> Process {
        let process = self.start(role);
        until("the process is ready", async || {
            assert!(process.is_alive(), "it ended: {}", process.log());
            process
                .get("/readyz")
                .await
                .is_some_and(|(status, _)| status == 200)
        })
        .await;
        process
    }
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    pub fn is_alive(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// Send it a signal: SIGTERM, SIGSTOP, SIGCONT …
    pub fn signal(&self, signal: i32) {
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    /// kill -9, and wait until it is gone.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Everything it printed and logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// A page of it: status and text. None while it does not answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let page = self.client.get(format!("http://{}{path}", self.address));
        let answer = page.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.log);
    }
}

/// Lower the limit of open files that a process may raise itself.
fn begin_with(count: u64) -> std::io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls read or write this one struct and nothing else.
    let outcome = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = count;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
    };
    match outcome {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// A port that nobody listens on just now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
