//! The program as a person or an init system runs it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tollkeeper");

fn data_folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tollkeeper-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

/// With no setting but the data folder (and PATH, to find Postgres).
fn tollkeeper(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .env("TOLLKEEPER_DATA", data)
        .env("PORT", "0");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

fn ended(mut command: Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A running program; killed when the test ends before it did, so that no failure leaves it behind.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn signal(&self, signal: i32) {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server ends with its supervisor, however that one ended.
fn until_gone(pid_file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while pid_file.exists() {
        assert!(
            Instant::now() < deadline,
            "the server outlives the program that was killed"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Start it and wait until its database is there; gives what it printed until then.
fn started(mut command: Command) -> (Running, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut running = Running { child, lines };
    let mut printed = String::new();
    while !printed.contains("database: ") {
        assert_ne!(
            running.lines.read_line(&mut printed).unwrap(),
            0,
            "it ended: {printed}"
        );
    }
    (running, printed)
}

#[test]
fn without_provider_keys_nothing_starts_and_every_missing_one_is_named() {
    let data = data_folder("missing");

    // One word of a provider: it is meant for real use.
    let mut command = tollkeeper(&data, &["up"]);
    command.env(
        "VOIPMS_CALLBACK_TOKENS",
        "a-token-that-nobody-guesses-0123456789",
    );
    let (code, _, error) = ended(command);

    assert_eq!(code, 2, "{error}");
    for name in [
        "PUBLIC_BASE_URL",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
    ] {
        assert!(error.contains(name), "{name} in {error}");
    }
    assert!(error.contains("tollkeeper up --sandbox"), "{error}");
    assert!(!data.join("postgres").exists(), "no server was started");
    fs::remove_dir_all(&data).unwrap();
}

#[test]
fn wrong_settings_end_with_status_2_and_a_list() {
    let data = data_folder("wrong");
    let mut command = tollkeeper(&data, &["config", "check"]);
    command.env("PORT", "many").env("LOG_FORMAT", "xml");

    let (code, _, error) = ended(command);

    assert_eq!(code, 2);
    assert!(
        error.contains("2 settings are wrong:\n  PORT: ") && error.contains("\n  LOG_FORMAT: "),
        "{error}"
    );
}

#[test]
fn the_sandbox_takes_no_real_key_and_no_real_database() {
    let data = data_folder("mixed");
    let mut command = tollkeeper(&data, &["config", "check", "--sandbox", "--output", "json"]);
    command
        .env("STRIPE_API_BASE", "https://api.stripe.com")
        .env("STRIPE_SECRET_KEY", "sk_live_1");
    let (code, printed, _) = ended(command);
    assert_eq!(code, 0);
    assert!(
        !printed.contains("stripe.com") && !printed.contains("twilio.com"),
        "{printed}"
    );

    let mut command = tollkeeper(&data, &["config", "check", "--sandbox"]);
    command.env("DATABASE_URL", "postgres://db/real");
    let (code, _, error) = ended(command);
    assert_eq!(code, 2);
    assert!(error.contains("unset DATABASE_URL"), "{error}");
}

#[test]
fn up_makes_its_keys_once_and_a_kill_loses_neither_them_nor_the_database() {
    let data = data_folder("up");
    let keys = data.join("sandbox/keys.env");

    let mut with_a_real_key = tollkeeper(&data, &["up", "--sandbox"]);
    with_a_real_key.env("STRIPE_SECRET_KEY", "sk_live_1");
    let (mut first, printed) = started(with_a_real_key);
    let made_up = "made up ENCRYPTION_KEY, JWT_SECRET, STRIPE_SECRET_KEY";
    assert!(
        printed.contains(made_up),
        "a real key is not for the sandbox: {printed}"
    );
    assert!(
        printed.contains(&*keys.canonicalize().unwrap().to_string_lossy()),
        "{printed}"
    );
    let made_up = fs::read_to_string(&keys).unwrap();
    for line in made_up.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.split_once('=').unwrap();
        assert!(!printed.contains(value), "a secret is written, not printed");
    }
    assert_eq!(fs::metadata(&keys).unwrap().mode() & 0o777, 0o600);
    first.signal(libc::SIGKILL);
    first.child.wait().unwrap();
    if cfg!(target_os = "linux") {
        until_gone(&data.join("sandbox/postgres/cluster/postmaster.pid"));
    }

    // Without any setting there is nothing but the sandbox to serve.
    let (mut second, printed) = started(tollkeeper(&data, &["up"]));
    assert!(!printed.contains("made up"), "{printed}");
    assert_eq!(fs::read_to_string(&keys).unwrap(), made_up);
    // Beside the running one: a second is refused, a command joins.
    let (code, _, error) = ended(tollkeeper(&data, &["up", "--sandbox"]));
    assert_eq!(code, 1);
    assert!(error.contains("another tollkeeper already runs"), "{error}");
    let (code, printed, error) = ended(tollkeeper(&data, &["secrets", "check", "--sandbox"]));
    assert_eq!(
        (code, printed.as_str()),
        (0, "there are no sealed tokens\n"),
        "{error}"
    );

    second.signal(libc::SIGTERM);
    assert_eq!(second.child.wait().unwrap().code(), Some(0));
    assert!(
        !data
            .join("sandbox/postgres/cluster/postmaster.pid")
            .exists(),
        "the server was shut down cleanly"
    );
    fs::remove_dir_all(&data).unwrap();
}

#[test]
fn migrate_says_where_the_schema_is_and_may_run_again() {
    let data = data_folder("migrate");
    for _ in 0..2 {
        let (code, printed, error) = ended(tollkeeper(&data, &["migrate", "--output", "json"]));
        assert_eq!(code, 0, "{error}");
        assert!(printed.starts_with(r#"{"version":"#), "{printed}");
    }
    fs::remove_dir_all(&data).unwrap();
}
