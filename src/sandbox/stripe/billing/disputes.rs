//! Disputes: a bank takes a charge back until it is decided who is right.

use serde_json::{Value, json};

use super::super::{
    Stripe, errors,
    events::{Both, Snapshot},
    shelf::Object,
};
use crate::sandbox::wire::Reply;

/// So long is there time to answer.
const ANSWER_WITHIN: i64 = 7 * 24 * 60 * 60;

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Dispute {
    pub id: String,
    pub created: i64,
    pub amount: i64,
    pub currency: String,
    pub charge: String,
    pub payment_intent: Option<String>,
    pub status: &'static str,
}

impl Object for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Dispute {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": [],
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence_details": {
                "due_by": self.created + ANSWER_WITHIN,
                "has_evidence": false,
                "past_due": false,
                "submission_count": 0,
            },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "payment_intent": self.payment_intent,
            "reason": "fraudulent",
            "status": self.status,
        })
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::from(Both::render(|_| self.json()))
    }
}

impl Stripe {
    /// The customer's bank disputes a charge, or only inquires about it. Returns the dispute's id; none without such a
    /// charge.
    pub(in crate::sandbox) fn open_dispute(
        &mut self,
        at: i64,
        charge_id: &str,
        is_inquiry: bool,
    ) -> Option<String> {
        let charge = self.charges.get_mut(charge_id)?;
        charge.is_disputed = true;
        let charge = charge.clone();
        let dispute = Dispute {
            id: self.ids.next("du", 24),
            created: at,
            amount: charge.amount,
            currency: charge.currency,
            charge: charge.id,
            payment_intent: charge.payment_intent,
            status: match is_inquiry {
                true => "warning_needs_response",
                false => "needs_response",
            },
        };
        let (id, object) = (dispute.id.clone(), dispute.snapshot());
        self.disputes.add(dispute);
        self.emit(at, "charge.dispute.created", object, None);
        Some(id)
    }

    /// An inquiry becomes a dispute: the bank takes the money. False when there is no inquiry of that id.
    pub(in crate::sandbox) fn escalate_dispute(&mut self, at: i64, id: &str) -> bool {
        let inquiry = self.disputes.get_mut(id);
        let Some(dispute) = inquiry.filter(|one| one.status == "warning_needs_response") else {
            return false;
        };
        let before = dispute.snapshot();
        dispute.status = "needs_response";
        let (updated, withdrawn) = (dispute.snapshot(), dispute.snapshot());
        self.emit(at, "charge.dispute.updated", updated, Some(before));
        self.emit(at, "charge.dispute.funds_withdrawn", withdrawn, None);
        true
    }

    /// Decide an open dispute. False when there is none of that id.
    pub(in crate::sandbox) fn close_dispute(&mut self, at: i64, id: &str, is_won: bool) -> bool {
        let open = self.disputes.get_mut(id);
        let Some(dispute) = open.filter(|dispute| dispute.status == "needs_response") else {
            return false;
        };
        let before = dispute.snapshot();
        dispute.status = if is_won { "won" } else { "lost" };
        let after = dispute.snapshot();
        self.emit(at, "charge.dispute.closed", after, Some(before));
        true
    }

    pub(super) fn get_dispute(&self, id: &str) -> Result<Value, Reply> {
        let dispute = self.disputes.get(id);
        dispute
            .map(Dispute::json)
            .ok_or_else(|| errors::no_such("dispute", id))
    }
}
