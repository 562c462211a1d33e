//! `tollkeeper billing park`, `unpark` and `parked`: who is not billed until somebody has looked.

use clap::Args;
use serde_json::json;
use sqlx::PgConnection;

use super::{Program, Signed};
use crate::{
    billing::operate::{self, Approves},
    clock::Clock,
    db::billing::parks,
};

/// Bill nothing more for an account until it is unparked.
#[derive(Debug, Args)]
pub struct Park {
    account: String,
    #[command(flatten)]
    by: Signed,
}

/// Bill an account again; what was found about it is accepted as it is.
#[derive(Debug, Args)]
pub struct Unpark {
    account: String,
    /// Bill what it owes also where that is above a cap.
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    by: Signed,
}

/// Every parked account, and why.
#[derive(Debug, Args)]
pub struct Parked {}

impl Park {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let now = Clock::default().now();
        operate::park(conn, &self.account, self.by.by(), now).await?;
        let done = format!("{} is parked: nothing more is billed for it", self.account);
        program
            .output
            .print(&json!({ "done": done }), |_| done.clone());
        Ok(())
    }
}

impl Unpark {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let approves = match self.approve {
            true => Approves::WhatIsOwed,
            false => Approves::Nothing,
        };
        let now = Clock::default().now();
        let unparked = operate::unpark(conn, &self.account, approves, self.by.by(), now).await?;
        program.output.print(&unparked, |unparked| {
            format!(
                "{} is billed again; {} findings accepted, {} periods approved",
                unparked.account_id,
                unparked.accepted,
                unparked.approved.len()
            )
        });
        Ok(())
    }
}

impl Parked {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let parked = parks::all(conn).await?;
        program.output.print(&parked, |parked| list(parked));
        Ok(())
    }
}

fn list(parked: &[parks::Park]) -> String {
    if parked.is_empty() {
        return "nobody is parked".into();
    }
    let lines = parked.iter().map(|one| {
        let at = one.parked_at.format("%F %T");
        format!(
            "{}  {at}  {:20}  {}",
            one.account_id, one.parked_by, one.why
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
