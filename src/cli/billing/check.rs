//! `tollkeeper billing check`: every invariant, asked of the tables.

use anyhow::bail;
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::check_billing::sampled_since;

use super::{Program, progress::Progress};
use crate::{
    billing::check::{Broken, check},
    clock::Clock,
    db::billing::invariants::INVARIANTS,
};

/// See whether the books are right in themselves; fail when they are not. Nothing is changed.
#[derive(Debug, Args)]
pub struct Check {
    /// Everything, however old; without it what changed in the last two days.
    #[arg(long)]
    full: bool,
}

impl Check {
    pub async fn run(self, program: &Program, conn: &mut PgConnection) -> anyhow::Result<()> {
        let now = Clock::default().now();
        let since = (!self.full).then(|| sampled_since(now));
        let mut progress = Progress::of(INVARIANTS.len());
        let mut broken: Vec<Broken> = Vec::new();
        for invariant in &INVARIANTS {
            broken.extend(check(conn, invariant, since, now).await?);
            progress.step(invariant.says);
        }
        drop(progress);
        let answer = json!({ "since": since, "broken": broken });
        program.output.print(&answer, |_| told(&broken));
        if !broken.is_empty() {
            bail!(
                "{} things in the books are not as they must be",
                broken.len()
            );
        }
        Ok(())
    }
}

fn told(broken: &[Broken]) -> String {
    let lines = INVARIANTS.iter().map(|invariant| {
        let mut lines = vec![
            match broken.iter().any(|one| one.invariant == invariant.id) {
                true => format!("{:4} BROKEN: {}", invariant.id, invariant.says),
                false => format!("{:4} {}", invariant.id, invariant.says),
            },
        ];
        let of_it = broken.iter().filter(|one| one.invariant == invariant.id);
        lines.extend(of_it.map(|one| {
            let offence = &one.offence;
            format!(
                "       {}  {}: {}",
                offence.account_id, offence.subject, offence.what
            )
        }));
        lines.join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}
