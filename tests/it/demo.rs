//! The demo as a new user runs it: with nothing set.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tollkeeper-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    fn server_pid_file(&self) -> PathBuf {
        self.0.join("sandbox/postgres/cluster/postmaster.pid")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Killed when the test ends before it did.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With a database of somebody's named, which is none of the demo's business.
pub fn tollkeeper(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
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

pub fn printed(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn the_demo_proves_its_point_also_over_the_data_of_an_earlier_run() {
    let data = Folder::new("demo");

    for _ in 0..2 {
        let mut demo = tollkeeper(&data.0, &["demo"]);
        demo.env("DATABASE_URL", "postgres://nobody@nowhere.invalid/real");
        let (code, text) = printed(demo);

        assert_eq!(code, 0, "{text}");
        assert!(text.contains("sold 28 numbers to 28 customers"), "{text}");
        assert!(text.contains("No number was bought twice"), "{text}");
        assert!(
            text.contains("Ann reads what was said: counted once"),
            "{text}"
        );
        assert!(!text.contains("deadlock"), "{text}");
        assert!(!text.contains('\x1b'), "no colours into a pipe: {text}");
    }

    let (code, jobs) = printed(tollkeeper(
        &data.0,
        &["jobs", "list", "--kind", "release_number", "--sandbox"],
    ));
    assert_eq!(code, 0, "{jobs}");
    assert!(jobs.contains("release_number"), "{jobs}");
}

#[test]
fn a_demo_that_is_stopped_says_so_and_leaves_nothing_running() {
    let data = Folder::new("demo-stopped");
    let mut demo = tollkeeper(&data.0, &["demo"]);
    demo.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut demo = Running(demo.spawn().unwrap());
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();

    let begun = lines.find(|line| line.as_ref().unwrap().contains("  Ann   "));
    assert!(begun.is_some(), "it never began");
    assert!(data.server_pid_file().exists());
    assert_eq!(unsafe { libc::kill(demo.0.id() as i32, libc::SIGINT) }, 0);

    assert_eq!(demo.0.wait().unwrap().code(), Some(1));
    assert!(!data.server_pid_file().exists(), "Postgres still runs");
}
