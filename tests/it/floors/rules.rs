//! The rules themselves: the floors, the walls between them, and what a job needs.

use std::path::Path;

use crate::support::source::{Source, has_word};

/// From the ground up. A module names modules of its own floor's group and of the floors below.
pub const FLOORS: [&[&str]; 7] = [
    &[
        "clients",
        "clock",
        "config",
        "context",
        "crash",
        "db",
        "grouped",
        "postgres",
        "queue",
        "sealed",
        "signature",
        "telemetry",
        "turns",
    ],
    &["journal", "notify"],
    &["billing", "usage"],
    &["outbound"],
    &["work"],
    &["worker", "scheduler"],
    &["cli", "main"],
];
/// Beside the workers, not above them: it stores, it does not do.
pub const RECEIVER: &str = "http";
const RECEIVER_NEVER_NAMES: [&str; 4] = ["work", "worker", "scheduler", "cli"];
/// A stand-in of the providers: it shares nothing with what it is there to test.
pub const SANDBOX: &str = "sandbox";
const SANDBOX_MAY_NAME: [&str; 4] = ["sandbox", "clock", "config", "signature"];

pub const LINES_MAX: usize = 400;

/// Words that may only stand in some places of `src/` and `jobs/`.
struct Wall {
    words: &'static [&'static str],
    only_in: &'static [&'static str],
    why: &'static str,
}

const WALLS: [Wall; 10] = [
    Wall {
        words: &["reqwest"],
        only_in: &["src/clients", "src/sandbox"],
        why: "only the clients know reqwest",
    },
    Wall {
        words: &["lettre"],
        only_in: &["src/clients"],
        why: "only the clients know lettre",
    },
    Wall {
        words: &["apalis", "apalis_core"],
        only_in: &["src/queue", "src/worker"],
        why: "only the queue and the worker know apalis",
    },
    Wall {
        words: &[
            "sqlx::query",
            "query_as",
            "query_scalar",
            "raw_sql",
            "QueryBuilder",
        ],
        only_in: &["src/db", "src/queue"],
        why: "only db and queue hold SQL",
    },
    Wall {
        words: &["Utc::now", "Local::now", "Instant::now", "SystemTime"],
        only_in: &["src/clock"],
        why: "only the clock reads the time",
    },
    Wall {
        words: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        only_in: &["src/config", "src/postgres", "src/crash"],
        why: "settings are read once, in config",
    },
    Wall {
        words: &["anyhow"],
        only_in: &["src/cli", "src/main"],
        why: "an error below the command line has a type",
    },
    Wall {
        words: &["unwrap()"],
        only_in: &[],
        why: "outside tests: `expect` with the reason it cannot happen",
    },
    Wall {
        words: &["todo!", "unimplemented!", "dbg!"],
        only_in: &[],
        why: "what is there works",
    },
    Wall {
        words: &["thread::sleep"],
        only_in: &["src/postgres"],
        why: "a blocked thread is one worker less",
    },
];

/// Words that stand nowhere in `jobs/`: no I/O, no clock, no luck, no waiting.
pub const IMPURE: [&str; 17] = [
    "tokio",
    "sqlx",
    "reqwest",
    "lettre",
    "poem",
    "rand",
    "async",
    "await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Utc::now",
    "println!",
];

/// What is wrong with one file.
pub fn faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let mut tell = |what: String| faults.push(format!("{}: {what}", source.path));
    let code = source.code();
    for wall in WALLS
        .iter()
        .filter(|wall| !wall.only_in.iter().any(|place| source.is_under(place)))
    {
        for word in wall.words.iter().filter(|word| has_word(&code, word)) {
            tell(format!("names {word}: {}", wall.why));
        }
    }
    if source.is_under("jobs") {
        for word in IMPURE.iter().filter(|word| has_word(&code, word)) {
            tell(format!(
                "names {word}: jobs/ does no I/O and reads no clock"
            ));
        }
    }
    for name in forbidden_names(source) {
        tell(format!("names {name}, which is not below it"));
    }
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        tell(format!(
            "{lines} lines, {LINES_MAX} at most: it holds more than one idea"
        ));
    }
    if source.path.ends_with(".rs") {
        // Put together, so that this file does not trip over itself.
        let ignored = concat!("#[", "ignore");
        if source.text.contains(ignored) {
            tell("ignores a test: a test that does not run promises nothing".to_owned());
        }
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            if has_word(&source.text, mark) {
                tell(format!("says {mark}: do it, or write an issue"));
            }
        }
    }
    faults
}

/// The module a file of `src/` belongs to: `src/http/receiver/mod.rs` is of `http`.
pub fn module(source: &Source) -> Option<&str> {
    let rest = source.path.strip_prefix("src/")?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first)).filter(|module| *module != "lib")
}

fn forbidden_names(source: &Source) -> Vec<String> {
    let Some(module) = module(source) else {
        return Vec::new();
    };
    let is_allowed = |name: &str| {
        let floor_of = |module: &str| FLOORS.iter().position(|floor| floor.contains(&module));
        match (module, name) {
            _ if name == module => true,
            (_, SANDBOX) => module == "cli",
            (SANDBOX, _) => SANDBOX_MAY_NAME.contains(&name),
            (RECEIVER, _) => !RECEIVER_NEVER_NAMES.contains(&name),
            (_, RECEIVER) => ["cli", "main"].contains(&module),
            _ => match (floor_of(module), floor_of(name)) {
                (Some(own), Some(other)) => other <= own,
                // A macro or a type at the root of the crate.
                (Some(_), None) => true,
                (None, _) => false,
            },
        }
    };
    source
        .names()
        .into_iter()
        .filter(|name| !is_allowed(name))
        .collect()
}

/// A job of `jobs/`: its type and its kind.
fn job(source: &Source) -> Option<(String, String)> {
    let code = source.code();
    let (_, rest) = code.split_once("impl Job for ")?;
    let name = rest.split_whitespace().next()?;
    let (_, rest) = rest.split_once("const KIND: &'static str = \"")?;
    Some((name.to_owned(), rest.split('"').next()?.to_owned()))
}

/// What a job lacks. `register` is the text of `src/worker.rs`, `exists` looks for a file.
pub fn missing_parts(
    source: &Source,
    register: &str,
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let Some((name, kind)) = job(source) else {
        return Vec::new();
    };
    let mut missing = Vec::new();
    let file = Path::new(&source.path)
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap();
    if file != kind {
        missing.push(format!(
            "the file {file} holds the job {kind}: one name everywhere"
        ));
    }
    for part in [
        format!("src/work/{kind}.rs"),
        format!("tests/it/golden/jobs/{kind}.json"),
    ] {
        if !exists(&part) {
            missing.push(format!("the job {kind} has no {part}"));
        }
    }
    if !has_word(register, &format!("with::<{name}>")) {
        missing.push(format!(
            "the job {kind} is not in the register of src/worker.rs: it would never run"
        ));
    }
    missing
}
