//! Sees what happens while it happens: deliveries and calls from the stand-ins' own logs, runs and
//! webhooks from the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    cast::Customer,
    paper::{Line, Tone},
    words,
};
use crate::{
    clock::Clock,
    db::webhooks::{self, Provider},
    queue::look::{self, RunRow},
    sandbox::{Effect, Sandbox},
};

/// A run may be committed a little after its time.
const OVERLAP: TimeDelta = TimeDelta::seconds(2);

/// One event on its way in.
#[derive(Debug)]
struct Incoming {
    kind: &'static str,
    who: &'static str,
    seen_at: DateTime<Utc>,
    copies: usize,
    is_told: bool,
}

pub struct Watch {
    sandbox: Sandbox,
    clock: Clock,
    started_at: DateTime<Utc>,
    deliveries_seen: usize,
    calls_seen: usize,
    runs_seen: HashSet<(Uuid, i32)>,
    incoming: BTreeMap<String, Incoming>,
    /// Runs per webhook.
    handled_in: HashMap<String, usize>,
    /// Whose scene it is.
    pub who: &'static str,
    pub has_had_trouble: bool,
    /// Every run of this performance.
    pub runs: Vec<RunRow>,
}

impl Watch {
    pub fn new(sandbox: Sandbox, clock: Clock) -> Watch {
        Watch {
            started_at: clock.now(),
            sandbox,
            clock,
            deliveries_seen: 0,
            calls_seen: 0,
            runs_seen: HashSet::new(),
            incoming: BTreeMap::new(),
            handled_in: HashMap::new(),
            who: "",
            has_had_trouble: false,
            runs: Vec::new(),
        }
    }

    /// What happened since the last look, in the order of time.
    pub async fn look(
        &mut self,
        conn: &mut PgConnection,
        cast: &[Customer],
    ) -> sqlx::Result<Vec<Line>> {
        let mut lines = Vec::new();
        // The log of calls first: what a run asked for stands above the run.
        self.calls(&mut lines);
        self.deliveries(&mut lines);
        self.runs(conn, cast, &mut lines).await?;
        self.webhooks(conn, &mut lines).await?;
        lines.sort_by_key(|line| line.at);
        Ok(lines)
    }

    /// The sandbox's time without what it was moved by.
    fn real(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at - self.clock.offset()
    }

    fn calls(&mut self, lines: &mut Vec<Line>) {
        for call in self.sandbox.calls().into_iter().skip(self.calls_seen) {
            if call.effect == Effect::Pending {
                break;
            }
            self.calls_seen += 1;
            self.has_had_trouble |= call.fault.is_some();
            if let Some((what, text, tone)) = words::call(&call, self.has_had_trouble) {
                lines.push(Line {
                    at: self.real(call.at),
                    who: self.who,
                    what,
                    text,
                    tone,
                });
            }
        }
    }

    fn deliveries(&mut self, lines: &mut Vec<Line>) {
        let new = self.sandbox.deliveries().into_iter();
        for delivery in new.skip(self.deliveries_seen).collect::<Vec<_>>() {
            self.deliveries_seen += 1;
            let at = self.real(delivery.at);
            if !delivery
                .status
                .is_some_and(|status| (200..300).contains(&status))
            {
                continue;
            }
            let who = self.who;
            let event = self
                .incoming
                .entry(delivery.event_id)
                .or_insert_with(|| Incoming {
                    kind: delivery.event_type,
                    who,
                    seen_at: at,
                    copies: 0,
                    is_told: false,
                });
            event.copies += 1;
            if event.is_told {
                lines.push(Line {
                    at,
                    who: event.who,
                    what: "webhook",
                    text: format!("{:30} again: known, nothing stored", event.kind),
                    tone: Tone::Quiet,
                });
            }
        }
    }

    async fn runs(
        &mut self,
        conn: &mut PgConnection,
        cast: &[Customer],
        lines: &mut Vec<Line>,
    ) -> sqlx::Result<()> {
        let since = self.runs.last().map_or(self.started_at, |run| {
            (run.finished_at - OVERLAP).max(self.started_at)
        });
        for run in look::runs_since(conn, since).await? {
            if !self.runs_seen.insert((run.job_id, run.attempt)) {
                continue;
            }
            if run.kind == "handle_stripe_event" {
                *self.handled_in.entry(run.key.clone()).or_default() += 1;
            }
            let is_told = !matches!(
                run.kind.as_str(),
                "handle_stripe_event" | "sweep_expired_leases" | "prune_history"
            );
            if is_told {
                let owner = cast
                    .iter()
                    .find(|customer| customer.account_id == run.account_id);
                let (text, tone) = words::run(&run);
                lines.push(Line {
                    at: run.finished_at,
                    who: owner.map_or(self.who, |owner| owner.name),
                    what: "job",
                    text,
                    tone,
                });
            }
            self.runs.push(run);
        }
        Ok(())
    }

    /// A webhook is told once it is dealt with: how often it came, and what it led to.
    async fn webhooks(
        &mut self,
        conn: &mut PgConnection,
        lines: &mut Vec<Line>,
    ) -> sqlx::Result<()> {
        for event in self.sandbox.events() {
            let who = self.who;
            // Lost on the way: only the poll can bring it in.
            self.incoming.entry(event.id).or_insert_with(|| Incoming {
                kind: event.event_type,
                who,
                seen_at: self.clock.now() - self.clock.offset(),
                copies: 0,
                is_told: false,
            });
        }
        let untold: Vec<String> = self
            .incoming
            .iter()
            .filter(|(_, event)| !event.is_told)
            .map(|(id, _)| id.clone())
            .collect();
        if untold.is_empty() {
            return Ok(());
        }
        for row in webhooks::received(conn, Provider::Stripe, &untold).await? {
            let Some(event) = self.incoming.get_mut(&row.event_key) else {
                continue;
            };
            let runs = self
                .handled_in
                .get(&row.id.to_string())
                .copied()
                .unwrap_or_default();
            if row.state == "stored" || (row.state != "ignored" && runs == 0) {
                continue;
            }
            event.is_told = true;
            let came = match (row.endpoint.as_str(), event.copies) {
                ("poll", _) => "never came, fetched by the poll".to_owned(),
                (_, 0 | 1) => "came once, stored".to_owned(),
                (_, copies) => format!("came {copies} times, stored once"),
            };
            lines.push(Line {
                at: event.seen_at,
                who: event.who,
                what: "webhook",
                text: format!(
                    "{:30} {came}, {} in {}",
                    event.kind,
                    row.state,
                    words::count(runs, "run")
                ),
                tone: Tone::Plain,
            });
        }
        Ok(())
    }
}
