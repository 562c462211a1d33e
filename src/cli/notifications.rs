//! `tollkeeper notifications …`: what apps and customers were told, and whether it arrived.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    DeliverNotification, Job, NotifyCustomer, deliver_notification::keys_begin_with,
};
use uuid::Uuid;

use super::{Database, Program, jobs_text, signed::Signed};
use crate::{
    db::notifications::{self, Filter, Notification},
    notify::operate,
    queue::look::{self, JobRow},
};

/// What apps were told, and whether it arrived.
#[derive(Debug, Args)]
pub struct Notifications {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest notifications that match.
    List {
        #[arg(long)]
        account: Option<String>,
        #[arg(long = "type")]
        kind: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: i64,
        /// Only notifications older than this one: the id of the last one seen.
        #[arg(long)]
        before: Option<Uuid>,
    },
    /// One notification with its deliveries; `tollkeeper jobs show` tells every attempt of one.
    Show { id: Uuid },
    /// Deliver it again, also where it arrived or was given up.
    Replay {
        id: Uuid,
        /// Only to this endpoint, whatever types it wants.
        #[arg(long)]
        endpoint: Option<Uuid>,
        #[command(flatten)]
        by: Signed,
    },
}

/// A notification and the jobs that deliver it, by mail too.
#[derive(Serialize)]
struct Story {
    #[serde(flatten)]
    notification: Notification,
    deliveries: Vec<JobRow>,
}

impl Notifications {
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
        match self {
            Verb::List {
                account: account_id,
                kind,
                limit,
                before,
            } => {
                let filter = Filter { account_id, kind };
                let found = notifications::list(conn, &filter, before, limit).await?;
                output.print(&found, |found| list(found));
            }
            Verb::Show { id } => {
                let Some(notification) = notifications::load(conn, id).await? else {
                    bail!(
                        "there is no notification {id}: `tollkeeper notifications list` shows the ids"
                    );
                };
                let begin = keys_begin_with(id);
                let mut deliveries =
                    look::with_keys(conn, DeliverNotification::KIND, &begin).await?;
                let mail = NotifyCustomer {
                    notification_id: id,
                };
                deliveries.extend(look::with_keys(conn, NotifyCustomer::KIND, &mail.key()).await?);
                let story = Story {
                    notification,
                    deliveries,
                };
                output.print(&story, text);
            }
            Verb::Replay { id, endpoint, by } => {
                let told = operate::replay(conn, id, endpoint, by.by()).await?;
                let done = format!("notification {id} goes to {told} endpoints again");
                output.print(&json!({ "done": done }), |_| done.clone());
            }
        }
        Ok(())
    }
}

fn list(found: &[Notification]) -> String {
    if found.is_empty() {
        return "no notification matches".into();
    }
    let lines = found.iter().map(|one| {
        let at = one.created_at.format("%F %T");
        format!(
            "{}  {at}  {:24}  {:24}  {}",
            one.notification_id, one.kind, one.account_id, one.occasion
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn text(story: &Story) -> String {
    let Story {
        notification: told,
        deliveries,
    } = story;
    let deliveries = match deliveries.as_slice() {
        [] => "nobody was told yet".to_owned(),
        deliveries => jobs_text::list(deliveries),
    };
    let mailed = told.mailed_at.map_or(String::new(), |at| {
        format!("\n  mailed     {}", at.format("%F %T%.3f"))
    });
    format!(
        "{} {}\n  account    {}\n  occasion   {}\n  announced  {}{mailed}\n  data       {}\n{deliveries}",
        told.kind,
        told.notification_id,
        told.account_id,
        told.occasion,
        told.created_at.format("%F %T%.3f"),
        told.data
    )
}
