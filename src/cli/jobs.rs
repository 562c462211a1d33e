//! `tollkeeper jobs …`: see the jobs and act on them; every act is remembered with who and why.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Database, Program, jobs_text as text, signed::Signed};
use crate::queue::{
    look::{self, Filter},
    operate::{self, Scope},
};

/// See the jobs and act on them.
#[derive(Debug, Args)]
pub struct Jobs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest jobs that match.
    List {
        #[command(flatten)]
        which: Which,
        #[arg(long, default_value_t = 50)]
        limit: i64,
        /// Only jobs older than this one: the id of the last one seen.
        #[arg(long)]
        before: Option<Uuid>,
    },
    /// One job with every attempt and everything done to it.
    Show { id: Uuid },
    /// How many jobs wait in each lane, and what is paused or capped.
    Stats,
    /// Run a dead job again, or a waiting one now.
    Retry {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Take a live job out; a run under way is stopped.
    Cancel {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Put a dead job away for good.
    Discard {
        id: Uuid,
        #[command(flatten)]
        by: Signed,
    },
    /// Run every dead or waiting job that matches.
    RetryAll {
        #[command(flatten)]
        which: Which,
        /// Only count them.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        by: Signed,
    },
    /// Claim nothing more of a kind or a lane.
    Pause {
        scope: ScopeName,
        name: String,
        #[command(flatten)]
        by: Signed,
    },
    /// Undo a pause.
    Resume {
        scope: ScopeName,
        name: String,
        #[command(flatten)]
        by: Signed,
    },
    /// Run at most so many of a kind at once; without a number, as many as there are slots.
    Cap {
        kind: String,
        max: Option<i32>,
        #[command(flatten)]
        by: Signed,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// ready, running, waiting, dead, done, skipped or cancelled
    #[arg(long)]
    state: Option<String>,
    #[arg(long)]
    kind: Option<String>,
    #[arg(long)]
    lane: Option<String>,
    #[arg(long)]
    account: Option<String>,
    /// A part of the last error or note.
    #[arg(long)]
    error: Option<String>,
}

impl From<Which> for Filter {
    fn from(which: Which) -> Filter {
        Filter {
            state: which.state,
            kind: which.kind,
            lane: which.lane,
            account_id: which.account,
            note: which.error,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeName {
    Kind,
    Lane,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Scope {
        match name {
            ScopeName::Kind => Scope::Kind,
            ScopeName::Lane => Scope::Lane,
        }
    }
}

impl Jobs {
    pub async fn run(self, program: Program) -> anyhow::Result<()> {
        Database::with(&program.settings.config, async |conn| {
            self.verb.run(&program, conn).await
        })
        .await
    }
}

impl Verb {
    async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let output = program.output;
        let done = |done: String| output.print(&json!({ "done": done }), |_| done.clone());
        match self {
            Verb::List {
                which,
                limit,
                before,
            } => {
                let jobs = look::list(conn, &which.into(), before, limit).await?;
                output.print(&jobs, |jobs| text::list(jobs));
            }
            Verb::Show { id } => match look::show(conn, id).await? {
                Some(story) => output.print(&story, text::story),
                None => bail!("there is no job {id}: `tollkeeper jobs list` shows the ids"),
            },
            Verb::Stats => {
                let (depth, controls) = (look::depth(conn).await?, look::controls(conn).await?);
                output.print(&json!({ "depth": depth, "controls": controls }), |_| {
                    text::stats(&depth, &controls)
                });
            }
            Verb::Retry { id, by } => {
                operate::retry(conn, id, by.by()).await?;
                done(format!("job {id} is ready to run"));
            }
            Verb::Cancel { id, by } => {
                operate::cancel(conn, id, by.by()).await?;
                done(format!("job {id} is cancelled"));
            }
            Verb::Discard { id, by } => {
                operate::discard(conn, id, by.by()).await?;
                done(format!("job {id} is put away"));
            }
            Verb::RetryAll {
                which,
                dry_run: true,
                ..
            } => {
                let jobs = operate::count_matching(conn, &which.into()).await?;
                done(format!("{jobs} jobs match; without --dry-run they run"));
            }
            Verb::RetryAll { which, by, .. } => {
                let jobs = operate::retry_matching(conn, &which.into(), by.by()).await?;
                done(format!("{jobs} jobs are ready to run"));
            }
            Verb::Pause { scope, name, by } => {
                operate::pause(conn, scope.into(), &name, by.by()).await?;
                done(format!(
                    "{name} is paused; what runs already runs to its end"
                ));
            }
            Verb::Resume { scope, name, by } => {
                operate::resume(conn, scope.into(), &name, by.by()).await?;
                done(format!("{name} is resumed"));
            }
            Verb::Cap { kind, max, by } => {
                operate::cap_kind(conn, &kind, max, by.by()).await?;
                done(max.map_or(format!("{kind} has no cap"), |max| {
                    format!("{kind} runs at most {max} at once")
                }));
            }
        }
        Ok(())
    }
}
