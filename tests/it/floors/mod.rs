//! The walls of the house, held: who may name whom, and what may stand where.
//!
//! Each rule is a line of a table in `rules`, and each has a text here that must trip it.

mod rules;

use std::fs;

use self::rules::{FLOORS, IMPURE, LINES_MAX, RECEIVER, SANDBOX, faults, missing_parts, module};
use crate::support::source::{Source, root};

#[test]
fn every_file_keeps_to_its_floor() {
    let sources = Source::all();
    assert!(sources.len() > 30, "the sources were not found");
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    for source in Source::all() {
        if let Some(module) = module(&source) {
            let is_known =
                FLOORS.concat().contains(&module) || [RECEIVER, SANDBOX].contains(&module);
            assert!(
                is_known,
                "{} is on no floor: add {module} to the table",
                source.path
            );
        }
    }
}

#[test]
fn every_job_has_its_twin_its_golden_payload_and_its_line_in_the_register() {
    let sources = Source::all();
    let Some(register) = sources.iter().find(|source| source.path == "src/worker.rs") else {
        return; // Nothing is carried out before there is a worker.
    };
    let jobs = sources.iter().filter(|source| source.is_under("jobs"));
    let missing: Vec<String> = jobs
        .flat_map(|source| {
            missing_parts(source, &register.code(), |path| root().join(path).exists())
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_golden_payload_is_a_json_object() {
    for entry in fs::read_dir(root().join("tests/it/golden/jobs"))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        let payload: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(payload.is_object(), "{}", path.display());
    }
}

#[test]
fn the_core_depends_on_nothing_that_acts() {
    let manifest = fs::read_to_string(root().join("jobs/Cargo.toml")).unwrap();
    for line in manifest.lines() {
        let name = line.split(['=', '.', ' ']).next().unwrap();
        assert!(
            !IMPURE.contains(&name) && !name.starts_with("apalis"),
            "jobs/Cargo.toml: {line}"
        );
    }
}

#[test]
fn each_rule_is_tripped_by_what_it_forbids() {
    let long = "\n".repeat(LINES_MAX + 1);
    let ignored = concat!("#[test]\n#[", "ignore]\nfn a() {}");
    for (path, text, fault) in [
        ("src/http/mod.rs", "use reqwest::Client;", "names reqwest"),
        ("src/work/a.rs", "use lettre::Message;", "names lettre"),
        (
            "src/work/a.rs",
            "use apalis_core::backend::Backend;",
            "names apalis_core",
        ),
        (
            "src/work/a.rs",
            "sqlx::query(\"select 1\")",
            "names sqlx::query",
        ),
        (
            "src/http/api.rs",
            "let n: i64 = sqlx::query_scalar(\"…\")",
            "names query_scalar",
        ),
        ("src/work/a.rs", "let now = Utc::now();", "names Utc::now"),
        (
            "src/queue/a.rs",
            "let at = std::time::Instant::now();",
            "names Instant::now",
        ),
        (
            "src/clients/a.rs",
            "std::env::var(\"KEY\")",
            "names env::var",
        ),
        (
            "src/db/a.rs",
            "fn a() -> anyhow::Result<()>",
            "names anyhow",
        ),
        ("src/db/a.rs", "row.get(0).unwrap()", "names unwrap()"),
        ("jobs/a.rs", "text.parse().unwrap()", "names unwrap()"),
        ("src/db/a.rs", "fn a() { dbg!(1); }", "names dbg!"),
        (
            "src/work/a.rs",
            "std::thread::sleep(pause);",
            "names thread::sleep",
        ),
        ("jobs/a.rs", "use tokio::fs;", "names tokio"),
        ("jobs/a.rs", "pub async fn a() {}", "names async"),
        (
            "jobs/billing/a.rs",
            "std::time::SystemTime::now()",
            "names SystemTime",
        ),
        (
            "src/http/receiver/a.rs",
            "use crate::work::Work;",
            "names work, which",
        ),
        (
            "src/http/a.rs",
            "use crate::{db, worker::{Register, run}};",
            "names worker, which",
        ),
        (
            "src/db/a.rs",
            "fn a() { crate::journal::find() }",
            "names journal, which",
        ),
        (
            "src/queue/a.rs",
            "use crate::{\n    clock::Clock,\n    http::problem,\n};",
            "names http, which",
        ),
        (
            "src/journal.rs",
            "use crate::work::Work;",
            "names work, which",
        ),
        (
            "src/work/a.rs",
            "use crate::sandbox::Sandbox;",
            "names sandbox, which",
        ),
        (
            "src/main.rs",
            "tollkeeper::sandbox::run()",
            "names sandbox, which",
        ),
        (
            "src/sandbox/a.rs",
            "use crate::{clock::Clock, clients::twilio::Twilio};",
            "names clients, which",
        ),
        (
            "src/worker.rs",
            "use crate::cli::Output;",
            "names cli, which",
        ),
        ("src/db/long.rs", &long, "401 lines"),
        ("tests/it/a.rs", ignored, "ignores a test"),
        ("src/db/a.rs", concat!("// TO", "DO: later"), "says TO"),
    ] {
        let found = faults(&Source::new(path, text));
        assert!(
            found.iter().any(|found| found.contains(fault)),
            "{path}: {text} gave {found:?}"
        );
    }
}

#[test]
fn no_rule_is_tripped_by_what_it_allows() {
    for (path, text) in [
        ("src/clients/mod.rs", "use reqwest::Client;"),
        (
            "src/sandbox/mod.rs",
            "use crate::{clock::Clock, sandbox::world};\nreqwest::Client::new();",
        ),
        (
            "src/worker.rs",
            "use apalis::layers::TraceLayer;\nuse crate::{context::Context, work::Work};",
        ),
        (
            "src/http/mod.rs",
            "//! Knows no reqwest.\nlet url = \"https://a\"; // no apalis here",
        ),
        (
            "src/http/mod.rs",
            "use crate::{db, queue};\nlet p: Apalis = resqlx::query;",
        ),
        (
            "src/db/a.rs",
            "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() { c().unwrap() }\n}",
        ),
        ("src/sealed/tests.rs", "fn b() { c().unwrap() }"),
        (
            "src/cli/demo.rs",
            "use crate::{http, sandbox, work, worker};",
        ),
        (
            "src/work/a.rs",
            "pub(crate) fn a() {}\nuse tollkeeper_jobs::work_week;",
        ),
        (
            "jobs/a.rs",
            "use std::time::Duration;\nfn a(now: DateTime<Utc>) {}",
        ),
        (
            "tests/it/a.rs",
            "use tollkeeper::{sandbox, worker};\nlet now = Utc::now();",
        ),
    ] {
        assert_eq!(
            faults(&Source::new(path, text)),
            Vec::<String>::new(),
            "{path}: {text}"
        );
    }
}

#[test]
fn a_job_that_lacks_a_part_is_named() {
    let text = "impl Job for CloseCycle {\n    const KIND: &'static str = \"close_cycle\";\n}";
    let job = Source::new("jobs/close_cycle.rs", text);
    let register = "Register::default().with::<CloseCycle>()";

    assert_eq!(
        missing_parts(&job, register, |_| true),
        Vec::<String>::new()
    );
    assert_eq!(
        missing_parts(&job, register, |path| !path.contains("golden")).len(),
        1
    );
    assert_eq!(
        missing_parts(&job, register, |path| !path.contains("src/work")).len(),
        1
    );
    assert_eq!(
        missing_parts(&job, ".with::<CloseCycles>()", |_| true).len(),
        1
    );
    assert_eq!(
        missing_parts(&Source::new("jobs/cycle.rs", text), register, |_| true).len(),
        1
    );
}
