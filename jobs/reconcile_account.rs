//! Compare the invoices of one account with Stripe's, both ways: each charge of ours stands there once, to the cent, and
//! whatever says there that it is ours is.
//!
//! Enqueued by `reconcile_invoices`. Safe to run twice: it reads, opens a finding for each invoice that differs and closes
//! the ones that hold no longer. It changes nothing at Stripe: a draft is `compare_invoice`'s to repair, and what is final
//! is a person's: the account is parked. What somebody is just working on is none of its business.

mod decision;

use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

pub use decision::{Drift, Drifted, Facts, OurInvoice, Plan, TheirInvoice, decide, is_settled};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileAccount {
    pub account_id: String,
}

impl Job for ReconcileAccount {
    const KIND: &'static str = "reconcile_account";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn account_id(&self) -> Option<&str> {
        Some(&self.account_id)
    }
}
