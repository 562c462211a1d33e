//! Compare what stands on an invoice with what should, before anybody is asked to pay it.
//!
//! Enqueued by `attach_charges` and `raise_usage_invoice` once their lines are there, and by `reconcile_account`. Safe to
//! run twice: it reads, and what is surplus on a draft is deleted through the journal. What is missing or altered is no work of ours: the account
//! is parked, with a finding, until a person has looked. Asks for `finalize_invoice` where the invoice is ours.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, Lane, RetryPolicy, billing::matching::Difference};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareInvoice {
    pub invoice_id: Uuid,
}

impl Job for CompareInvoice {
    const KIND: &'static str = "compare_invoice";
    const LANE: Lane = Lane::Money;
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 100,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        self.invoice_id.to_string()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is as it should be.
    Matched,
    /// Delete these lines, then look again.
    Delete(Vec<String>),
    /// A person must look.
    Park(Vec<Difference>),
}

/// What to do about the differences. Surplus lines can only be deleted from a draft.
pub fn decide(differences: Vec<Difference>, is_draft: bool) -> Plan {
    if differences.is_empty() {
        return Plan::Matched;
    }
    let surplus: Option<Vec<String>> = differences
        .iter()
        .map(|one| one.surplus().map(str::to_owned))
        .collect();
    match surplus {
        Some(items) if is_draft => Plan::Delete(items),
        _ => Plan::Park(differences),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surplus_lines_of_a_draft_are_deleted_and_everything_else_is_a_persons() {
        let surplus = Difference::Foreign {
            item_ref: "ii_1".into(),
        };
        let missing = Difference::Missing {
            charge_id: "a".into(),
        };
        assert_eq!(decide(vec![], false), Plan::Matched);
        assert_eq!(
            decide(vec![surplus.clone()], true),
            Plan::Delete(vec!["ii_1".into()])
        );
        assert!(matches!(
            decide(vec![surplus.clone()], false),
            Plan::Park(_)
        ));
        assert!(matches!(
            decide(vec![surplus, missing], true),
            Plan::Park(_)
        ));
    }
}
