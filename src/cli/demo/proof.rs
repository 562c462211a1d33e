//! The books of both sides, compared: what Twilio sold against what we hold, what Stripe sent
//! against what we stored.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::cast::{Customer, End};
use crate::{
    db::{
        findings, overview,
        webhooks::{self, Provider},
    },
    queue::look::{self, Filter, RunRow},
    sandbox::Sandbox,
};

/// What a customer got, by Twilio's books and by ours.
#[derive(Debug)]
pub struct Entry {
    pub account_id: String,
    /// Every purchase Twilio ever made for the customer, E.164.
    pub bought: Vec<String>,
    /// What Twilio holds for the customer now.
    pub held: Vec<String>,
    pub subaccounts: usize,
    /// Where our telephony stands.
    pub status: String,
}

#[derive(Debug)]
pub struct Books {
    pub entries: Vec<Entry>,
    pub events: usize,
    /// Of the events: how many came twice or more, and how many never.
    pub doubled: usize,
    pub lost: usize,
    pub calls: usize,
    pub runs: usize,
    pub retried: usize,
    /// What went wrong on purpose, by name.
    pub troubles: BTreeMap<&'static str, usize>,
    /// What does not hold.
    pub faults: Vec<String>,
}

pub async fn books(
    conn: &mut PgConnection,
    sandbox: &Sandbox,
    cast: &[Customer],
    runs: &[RunRow],
) -> anyhow::Result<Books> {
    let mut faults = Vec::new();
    let mut entries = Vec::new();
    for customer in cast {
        let entry = entry(conn, sandbox, customer).await?;
        check(&entry, customer.end, &mut faults);
        entries.push(entry);
    }
    let numbers: Vec<&String> = entries.iter().flat_map(|entry| &entry.bought).collect();
    if numbers.iter().collect::<BTreeSet<_>>().len() != numbers.len() {
        faults.push("a number was bought twice".to_owned());
    }

    let events: Vec<String> = sandbox.events().into_iter().map(|event| event.id).collect();
    let stored = webhooks::received(conn, Provider::Stripe, &events).await?;
    if stored.len() != events.len() {
        let missing = events.len().abs_diff(stored.len());
        faults.push(format!(
            "{missing} of {} events are not stored",
            events.len()
        ));
    }
    if stored.iter().any(|webhook| webhook.state == "stored") {
        faults.push("an event is stored and nothing came of it".to_owned());
    }
    let accounts: Vec<String> = cast
        .iter()
        .map(|customer| customer.account_id.clone())
        .collect();
    for finding in findings::open_lines(conn, &accounts).await? {
        faults.push(format!("a finding is open: {finding}"));
    }
    let dead = Filter {
        state: Some("dead".to_owned()),
        ..Filter::default()
    };
    for job in look::list(conn, &dead, None, 1000).await? {
        if runs.iter().any(|run| run.job_id == job.id) {
            faults.push(format!("the job {} {} is dead", job.kind, job.id));
        }
    }
    let mut arrivals: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in sandbox.deliveries() {
        let is_accepted = delivery.status.is_some_and(|status| status < 300);
        *arrivals.entry(delivery.event_id).or_default() += usize::from(is_accepted);
    }
    let mut troubles: BTreeMap<&'static str, usize> = BTreeMap::new();
    for fault in sandbox.calls().iter().filter_map(|call| call.fault) {
        *troubles.entry(fault).or_default() += 1;
    }
    Ok(Books {
        entries,
        events: events.len(),
        doubled: arrivals.values().filter(|times| **times > 1).count(),
        lost: events.len() - arrivals.len(),
        calls: sandbox.calls().len(),
        runs: runs.len(),
        retried: runs
            .iter()
            .filter(|run| matches!(run.outcome.as_str(), "retry" | "later" | "crash"))
            .count(),
        troubles,
        faults,
    })
}

async fn entry(
    conn: &mut PgConnection,
    sandbox: &Sandbox,
    customer: &Customer,
) -> anyhow::Result<Entry> {
    let telephony = overview::telephony(conn, &customer.account_id).await?;
    let ours = overview::subaccount(conn, &customer.account_id).await?;
    let name = ours.map(|ours| ours.friendly_name).unwrap_or_default();
    // By name, not by what we remember: a double that we forgot counts as well.
    let subaccounts: BTreeSet<String> = sandbox
        .subaccounts()
        .into_iter()
        .filter(|account| account.friendly_name == name)
        .map(|account| account.sid)
        .collect();
    let purchases = sandbox.numbers_ever_bought().into_iter();
    let numbers = sandbox.numbers().into_iter();
    Ok(Entry {
        account_id: customer.account_id.clone(),
        bought: purchases
            .filter(|purchase| subaccounts.contains(&purchase.account_sid))
            .map(|purchase| purchase.phone_number)
            .collect(),
        held: numbers
            .filter(|number| subaccounts.contains(&number.account_sid))
            .map(|number| number.phone_number)
            .collect(),
        subaccounts: subaccounts.len(),
        status: telephony
            .map(|telephony| telephony.status)
            .unwrap_or_default(),
    })
}

fn check(entry: &Entry, end: End, faults: &mut Vec<String>) {
    let name = &entry.account_id;
    if entry.subaccounts != 1 {
        faults.push(format!("{name} has {} subaccounts", entry.subaccounts));
    }
    if entry.bought.len() != 1 {
        faults.push(format!(
            "{} numbers were bought for {name}",
            entry.bought.len()
        ));
    }
    let (status, held) = match end {
        End::HasNumber => ("active", 1),
        End::GaveItBack => ("released", 0),
    };
    if entry.status != status || entry.held.len() != held {
        faults.push(format!(
            "{name} is {} with {} numbers, not {status} with {held}",
            entry.status,
            entry.held.len()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bought: &[&str], held: &[&str], status: &str) -> Entry {
        let owned = |numbers: &[&str]| numbers.iter().map(|number| number.to_string()).collect();
        Entry {
            account_id: "ann".to_owned(),
            bought: owned(bought),
            held: owned(held),
            subaccounts: 1,
            status: status.to_owned(),
        }
    }

    fn faults(entry: &Entry, end: End) -> usize {
        let mut faults = Vec::new();
        check(entry, end, &mut faults);
        faults.len()
    }

    #[test]
    fn one_number_of_ones_own_is_right_and_everything_else_is_not() {
        let good = entry(&["+1"], &["+1"], "active");
        assert_eq!(faults(&good, End::HasNumber), 0);
        assert_eq!(faults(&good, End::GaveItBack), 1, "it is still there");
        let returned = entry(&["+1"], &[], "released");
        assert_eq!(faults(&returned, End::GaveItBack), 0);
        assert_eq!(faults(&returned, End::HasNumber), 1, "it is gone");
        let twice = entry(&["+1", "+2"], &["+1"], "active");
        assert_eq!(faults(&twice, End::HasNumber), 1, "it was bought twice");
        assert_ne!(faults(&entry(&[], &[], "active"), End::HasNumber), 0);
        let doubled = Entry {
            subaccounts: 2,
            ..good
        };
        assert_eq!(faults(&doubled, End::HasNumber), 1, "a double subaccount");
    }
}
