//! The program's commands, as an operator named ann runs them over a test's database.

use std::process::Command;

use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};

/// The key that the service of the tests seals with.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn command(db: &PgPool, arguments: &[&str]) -> Command {
    let url = db.connect_options().to_url_lossy();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
    command
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url.as_str())
        .env("ENCRYPTION_KEY", KEY)
        .env("USER", "ann");
    command
}

/// What a command prints, as a document.
pub fn said(db: &PgPool, arguments: &[&str]) -> Value {
    let output = command(db, arguments).args(["--output", "json"]).output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command prints for people, and whether it succeeds.
pub fn read(db: &PgPool, arguments: &[&str]) -> (bool, String) {
    let output = command(db, arguments).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}
