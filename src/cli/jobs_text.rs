//! Jobs as text for a terminal.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::queue::look::{Control, Depth, JobRow, JobStory};

pub fn list(jobs: &[JobRow]) -> String {
    if jobs.is_empty() {
        return "no job matches".into();
    }
    let mut out = row(["ID", "KIND", "KEY", "STATE", "ATTEMPT", "NOTE"]);
    for job in jobs {
        let attempt = format!("{}", job.attempt);
        let note = job.note.as_deref().unwrap_or_default();
        out += &row([
            &job.id.to_string(),
            &job.kind,
            &short(&job.key, 38),
            &job.state,
            &attempt,
            &short(note, 60),
        ]);
    }
    out.trim_end().to_owned()
}

fn row([id, kind, key, state, attempt, note]: [&str; 6]) -> String {
    format!("{id:36}  {kind:26}  {key:38}  {state:9}  {attempt:>7}  {note}")
        .trim_end()
        .to_owned()
        + "\n"
}

pub fn story(story: &JobStory) -> String {
    let job = &story.job;
    let mut out = format!("{} {}\n", job.kind, job.id);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:10} {value}");
    };
    line("key", &job.key);
    line("account", &job.account_id);
    line("lane", &job.lane);
    line("state", &job.state);
    line(
        "runs",
        &format!(
            "{} ({} of {} failures, {} crashes)",
            job.attempt, job.failures, job.attempts_max, job.crashes
        ),
    );
    line("stored", &time(job.created_at));
    line("due", &time(job.run_at));
    if let Some(note) = &job.note {
        line("note", note);
    }
    line("payload", &job.payload.to_string());
    for attempt in &story.attempts {
        let took = (attempt.finished_at - attempt.started_at).num_milliseconds();
        let error = attempt.error.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "  attempt {}  {}  {took:>6} ms  {:10}  {error}",
            attempt.attempt,
            time(attempt.started_at),
            attempt.outcome
        );
    }
    for action in &story.actions {
        let _ = writeln!(
            out,
            "  {} by {} at {}: {}",
            action.action,
            action.who,
            time(action.at),
            action.why
        );
    }
    out.trim_end().to_owned()
}

pub fn stats(depth: &[Depth], controls: &[Control]) -> String {
    let mut out = format!("{:8}  {:8}  {:>8}  OLDEST\n", "LANE", "STATE", "JOBS");
    for row in depth {
        let _ = writeln!(
            out,
            "{:8}  {:8}  {:>8}  {:.1} s",
            row.lane, row.state, row.jobs, row.oldest_seconds
        );
    }
    for control in controls {
        if let Some(at) = control.paused_at {
            let _ = writeln!(
                out,
                "{} {} is paused since {}",
                control.scope,
                control.name,
                time(at)
            );
        }
        if let Some(max) = control.running_max {
            let _ = writeln!(
                out,
                "{} {} runs at most {max} at once",
                control.scope, control.name
            );
        }
    }
    out.trim_end().to_owned()
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}
