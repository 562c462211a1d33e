//! Sees what happens while it happens: deliveries and calls from the stand-ins' own logs, runs and
//! webhooks from the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    cast::Customer,
    paper::{Line, Tone},
    words::{self, Asked},
};
use crate::{
    clock::Clock,
    db::webhooks::{self, Provider},
    queue::look::{self, RunRow},
    sandbox::{Call, Effect, Sandbox, twilio::AccountStatus},
};

/// A run may be committed a little after its time.
const OVERLAP: TimeDelta = TimeDelta::seconds(2);
/// Housekeeping that has nothing to do with the story.
const DULL: [&str; 14] = [
    "announce_notification",
    "check_billing",
    "close_due_periods",
    "close_period",
    "close_usage_windows",
    "poll_invoice_drafts",
    "prune_history",
    "reconcile_account",
    "reconcile_invoices",
    "reconcile_phone_logs",
    "recount_usage",
    "sweep_charges",
    "sweep_expired_leases",
    "raise_usage_invoice",
];
/// Of the house, not of a customer.
const OF_THE_HOUSE: [&str; 2] = ["poll_stripe_events", "sweep_provider_resources"];

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
    purchases_seen: usize,
    runs_seen: HashSet<(Uuid, i32)>,
    /// How each job's last run ended.
    ended: HashMap<Uuid, String>,
    incoming: BTreeMap<String, Incoming>,
    /// Per webhook: how many runs its job took, and when the last one ended.
    handled: HashMap<String, (usize, DateTime<Utc>)>,
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
            purchases_seen: 0,
            runs_seen: HashSet::new(),
            ended: HashMap::new(),
            incoming: BTreeMap::new(),
            handled: HashMap::new(),
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
            // One that is carried out late is told all the same; any other ends in a moment.
            if call.effect == Effect::Pending && call.fault.is_none() {
                break;
            }
            self.calls_seen += 1;
            self.has_had_trouble |= call.fault.is_some();
            let asked = Asked::by(&call);
            if call.fault.is_none() && !asked.is_told(self.has_had_trouble) {
                continue;
            }
            let subject = self.subject(&call, asked);
            let (text, tone) = words::call(&call, asked, &subject);
            lines.push(Line {
                at: self.real(call.at),
                who: self.who,
                what: asked.of(),
                text,
                tone,
            });
        }
    }

    /// What the path of a call does not tell: the number sold, the status wanted.
    fn subject(&mut self, call: &Call, asked: Asked) -> String {
        match asked {
            Asked::Purchase if call.effect == Effect::Done => {
                let purchases = self.sandbox.numbers_ever_bought();
                let sold = purchases.get(self.purchases_seen);
                self.purchases_seen += 1;
                sold.map(|sold| words::number(&sold.phone_number))
                    .unwrap_or_else(|| "what is ours".to_owned())
            }
            Asked::Purchase => "a number".to_owned(),
            Asked::SubaccountStatus => {
                let accounts = self.sandbox.subaccounts();
                let named = accounts
                    .iter()
                    .find(|account| call.path.contains(&account.sid));
                match named.map(|account| account.status) {
                    Some(AccountStatus::Active) => "active".to_owned(),
                    _ => "suspended".to_owned(),
                }
            }
            _ => String::new(),
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
            if event.copies == 0 {
                event.seen_at = at;
            }
            event.copies += 1;
            if event.is_told {
                lines.push(Line {
                    at,
                    who: event.who,
                    what: "webhook",
                    text: format!("{:30} came again: known, nothing to do", event.kind),
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
            let before = self.ended.insert(run.job_id, run.outcome.clone());
            if run.kind == "handle_stripe_event" {
                let handled = self.handled.entry(run.key.clone());
                let (runs, at) = handled.or_insert((0, run.finished_at));
                (*runs, *at) = (*runs + 1, run.finished_at);
            } else if !DULL.contains(&run.kind.as_str())
                && let Some(who) = self.owner(cast, &run)
            {
                let (text, tone) = words::run(&run, before.as_deref());
                lines.push(Line {
                    at: run.finished_at,
                    who,
                    what: "job",
                    text,
                    tone,
                });
            }
            self.runs.push(run);
        }
        Ok(())
    }

    /// Whose run it is. None: somebody's whom the scene is not about.
    fn owner(&self, cast: &[Customer], run: &RunRow) -> Option<&'static str> {
        let owner = cast
            .iter()
            .find(|customer| customer.account_id == run.account_id);
        match owner {
            Some(owner) => Some(owner.name).filter(|name| *name == self.who),
            None if OF_THE_HOUSE.contains(&run.kind.as_str()) => Some(""),
            None => Some(self.who),
        }
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
            let (runs, at) = match self.handled.get(&row.id.to_string()) {
                Some(handled) => *handled,
                None if row.state == "ignored" => (0, event.seen_at),
                None => continue,
            };
            if row.state == "stored" {
                continue;
            }
            event.is_told = true;
            let came = match (row.endpoint.as_str(), event.copies) {
                ("poll", _) => "never came: fetched",
                (_, 0 | 1) => "came once, stored",
                (_, 2) => "came twice, stored once",
                _ => "came often, stored once",
            };
            let led_to = match runs {
                0 => "nothing here wants it".to_owned(),
                1 => "handle_stripe_event: done".to_owned(),
                runs => format!("handle_stripe_event: done in {runs} runs"),
            };
            lines.push(Line {
                at,
                who: event.who,
                what: "webhook",
                text: format!("{:30} {came:24} → {led_to}", event.kind),
                tone: Tone::Plain,
            });
        }
        Ok(())
    }
}
