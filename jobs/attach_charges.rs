//! Put what an account owes on its renewal's draft invoice.
//!
//! Enqueued by `record_invoice` when Stripe tells of such a draft, by `raise_usage_invoice` when more is owed while it is
//! still open, and by `sweep_charges` for what was begun. Safe to run twice: a charge is on one invoice only, and each
//! line is an effect of the journal. A draft that ends meanwhile gives back what does not stand on it. Asks for
//! `compare_invoice`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job, Lane, RetryPolicy,
    billing::placement::{Draft, takes_charges},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachCharges {
    pub invoice_ref: String,
}

impl Job for AttachCharges {
    const KIND: &'static str = "attach_charges";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.invoice_ref.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Put on it what is owed.
    Attach,
    /// What it ends is not rated yet.
    CloseFirst,
    /// It takes nothing more.
    Leave(&'static str),
}

/// What to do about a draft. `has_unrated`: a period that ends with it, or ended before, was not closed.
pub fn decide(draft: &Draft, has_unrated: bool, now: DateTime<Utc>) -> Plan {
    match takes_charges(draft, now) {
        Err(why) => Plan::Leave(why),
        Ok(()) if has_unrated => Plan::CloseFirst,
        Ok(()) => Plan::Attach,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_waits_for_the_rating_of_its_period_as_long_as_it_is_one() {
        let now = DateTime::UNIX_EPOCH;
        let draft = |status| Draft {
            status,
            billing_reason: "subscription_cycle",
            finalizes_at: None,
            period_ends_at: None,
            uncollected: None,
        };
        assert_eq!(decide(&draft("draft"), false, now), Plan::Attach);
        assert_eq!(decide(&draft("draft"), true, now), Plan::CloseFirst);
        assert!(matches!(decide(&draft("open"), true, now), Plan::Leave(_)));
    }
}
