//! Tell one customer one notification by e-mail.
//!
//! Enqueued by `announce_notification`, where a mail server is set and the kind has a template. Safe to run
//! twice: what was mailed is written down, and the next run finds it. It is written down after the mail was
//! accepted, not before: a mail has no idempotency, so one of two ways to go wrong must be chosen, and a
//! customer who is told of a failed payment twice is better off than one who is never told. A second copy
//! leaves only where a process dies between the two, or where the server accepted a mail and its answer was
//! lost. It is the same to the last byte, `Message-ID` and date too, so that many mailboxes show it once.
//!
//! It never logs or stores an address or a text: the payload is the notification's id, and both are read
//! when it runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Job, RetryPolicy,
    mail::{self, Mail, NoMail},
    plans::Catalogue,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyCustomer {
    pub notification_id: Uuid,
}

impl Job for NotifyCustomer {
    const KIND: &'static str = "notify_customer";
    /// About two days: from a minute at first (a server that does not know us yet wants us again in some)
    /// to four hours at most, each a random part of it.
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 32,
        base: Duration::from_secs(30),
        cap: Duration::from_secs(4 * 3600),
    };

    fn key(&self) -> String {
        self.notification_id.to_string()
    }
}

/// Whether there is a customer to be told of this kind by e-mail. The empty account is nobody's.
pub fn is_for(kind: &str, account_id: &str) -> bool {
    !account_id.is_empty() && mail::has_template(kind)
}

/// All the decision may look at.
pub struct Facts<'a> {
    pub kind: &'a str,
    pub data: &'a Value,
    pub mailed_at: Option<DateTime<Utc>>,
    /// The account's. None or empty: none is known.
    pub address: Option<&'a str>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Plan<'a> {
    Nothing(&'static str),
    /// A person must look at it.
    Stop(String),
    Send {
        to: &'a str,
        mail: Mail,
    },
}

pub fn decide<'a>(facts: &Facts<'a>, catalogue: &Catalogue) -> Plan<'a> {
    if facts.mailed_at.is_some() {
        return Plan::Nothing("it was mailed before");
    }
    let address = facts.address.map(str::trim);
    let Some(to) = address.filter(|address| !address.is_empty()) else {
        return Plan::Nothing("no address of the account is known");
    };
    match mail::write(facts.kind, facts.data, catalogue) {
        Ok(mail) => Plan::Send { to, mail },
        Err(NoMail::NoTemplate) => Plan::Nothing("nobody is told of it by e-mail"),
        Err(unreadable) => Plan::Stop(unreadable.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        billing_notices::{TRIAL_ENDING, trial_ending},
        plans::BUILT_IN,
    };

    #[track_caller]
    fn check(address: Option<&str>, mailed_at: Option<&str>, data: Value, expected: &str) {
        let facts = Facts {
            kind: TRIAL_ENDING,
            data: &data,
            mailed_at: mailed_at.map(|at| at.parse().unwrap()),
            address,
        };
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let said = match decide(&facts, &catalogue) {
            Plan::Nothing(why) => why.to_owned(),
            Plan::Stop(why) => format!("stop: {why}"),
            Plan::Send { to, mail } => format!("{to}: {}", mail.subject),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn a_customer_with_an_address_is_told_once() {
        let ends_at = "2026-12-03T10:00:00Z";
        let data = || trial_ending("ann", "sub_1", ends_at.parse().unwrap()).data;
        let told = "ann@example.com: Your trial ends on 3 December 2026";
        let ann = Some("ann@example.com");
        check(ann, None, data(), told);
        check(Some(" ann@example.com\n"), None, data(), told);
        check(ann, Some(ends_at), data(), "it was mailed before");
        for nothing in [None, Some(""), Some("  ")] {
            check(nothing, None, data(), "no address of the account is known");
        }
        check(
            ann,
            None,
            json!({}),
            "stop: its data is not what its type has",
        );
    }

    #[test]
    fn a_mail_is_for_somebody_and_about_what_has_a_text() {
        assert!(is_for("payment.failed", "ann"));
        assert!(!is_for("payment.failed", ""));
        assert!(!is_for("usage.threshold", "ann"));
    }

    #[test]
    fn a_server_that_never_answers_is_given_up_after_about_two_days() {
        let policy = NotifyCustomer::RETRY;
        let mean: Duration = (1..policy.attempts_max)
            .map(|failures| policy.delay(failures, 0.5))
            .sum();
        let hours = mean.as_secs() / 3600;
        assert!((44..=50).contains(&hours), "{hours} h");
    }
}
