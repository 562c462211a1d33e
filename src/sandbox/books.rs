//! The books, and whoever's hand is in them: in code here, over HTTP as `/sandbox/…`.
//!
//! `GET books`; `POST invoices/{id}/items {"amount", "description"}`; `POST items/{id}/amount
//! {"amount"}`; `POST items/{id}/double`; `DELETE items/{id}`; `POST charges/{id}/dispute`;
//! `POST disputes/{id}/close {"won"}`.

use poem::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Sandbox,
    control::{Refusal, found, missing, read, unknown},
    stripe::BookedInvoice,
};

#[derive(Deserialize)]
struct Planted {
    amount: i64,
    description: String,
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

#[derive(Deserialize)]
struct Coupon {
    percent_off: i64,
}

#[derive(Deserialize)]
struct Decision {
    won: bool,
}

impl Sandbox {
    /// Everything that was ever billed, in the order the invoices were begun.
    pub fn books(&self) -> Vec<BookedInvoice> {
        self.shared.world().stripe.books().to_vec()
    }

    /// A coupon takes so much off every line of a draft that may be discounted. False when there is no such invoice.
    pub fn discount(&self, invoice_id: &str, percent_off: i64) -> bool {
        let mut world = self.shared.world();
        world.stripe.discount(invoice_id, percent_off)
    }

    /// Put an item nobody asked for on any invoice, a finalized one too. Returns the item's id; none
    /// when there is no such invoice.
    pub fn plant_item(&self, invoice_id: &str, amount: i64, description: &str) -> Option<String> {
        let at = self.now().timestamp();
        self.shared
            .world()
            .stripe
            .plant_item(at, invoice_id, amount, description)
    }

    /// Put an item on its invoice once more, under another id. Returns that one; none when the item
    /// is on no invoice.
    pub fn double_item(&self, item_id: &str) -> Option<String> {
        let at = self.now().timestamp();
        self.shared.world().stripe.double_item(at, item_id)
    }

    /// Take an item away, off a finalized invoice too. False when there is no such item.
    pub fn lose_item(&self, item_id: &str) -> bool {
        self.shared.world().stripe.lose_item(item_id)
    }

    /// Make an item cost something else, on a finalized invoice too. False when there is no such
    /// item.
    pub fn falsify_item(&self, item_id: &str, amount: i64) -> bool {
        self.shared.world().stripe.falsify_item(item_id, amount)
    }

    /// The customer's bank disputes a charge. Returns the dispute's id; none without such a charge.
    pub fn open_dispute(&self, charge_id: &str) -> Option<String> {
        let at = self.now().timestamp();
        let mut world = self.shared.world();
        world.stripe.open_dispute(at, charge_id, false)
    }

    /// It inquires about one, and takes nothing. Returns the dispute's id; none without such a charge.
    pub fn open_inquiry(&self, charge_id: &str) -> Option<String> {
        let at = self.now().timestamp();
        let mut world = self.shared.world();
        world.stripe.open_dispute(at, charge_id, true)
    }

    /// An inquiry becomes a dispute. False when there is no such one.
    pub fn escalate_dispute(&self, dispute_id: &str) -> bool {
        let at = self.now().timestamp();
        self.shared.world().stripe.escalate_dispute(at, dispute_id)
    }

    /// A customer's bank sends a refund back. False when there is no such one.
    pub fn fail_refund(&self, refund_id: &str) -> bool {
        let at = self.now().timestamp();
        self.shared.world().stripe.fail_refund(at, refund_id)
    }

    /// Decide an open dispute. False when there is no such one.
    pub fn close_dispute(&self, dispute_id: &str, is_won: bool) -> bool {
        let at = self.now().timestamp();
        let mut world = self.shared.world();
        world.stripe.close_dispute(at, dispute_id, is_won)
    }
}

pub(super) fn change(
    sandbox: &Sandbox,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Value, Refusal> {
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["invoices", id, "items"]) => {
            let Planted {
                amount,
                description,
            } = read(body)?;
            let item = sandbox.plant_item(id, amount, &description);
            Ok(json!({"id": item.ok_or_else(|| missing("invoice", id))?}))
        }
        ("POST", ["invoices", id, "discount"]) => {
            let Coupon { percent_off } = read(body)?;
            found(sandbox.discount(id, percent_off), "invoice", id)
        }
        ("POST", ["items", id, "amount"]) => {
            let Amount { amount } = read(body)?;
            found(sandbox.falsify_item(id, amount), "invoice item", id)
        }
        ("POST", ["items", id, "double"]) => {
            let item = sandbox.double_item(id);
            Ok(json!({"id": item.ok_or_else(|| missing("invoice item", id))?}))
        }
        ("DELETE", ["items", id]) => found(sandbox.lose_item(id), "invoice item", id),
        ("POST", ["charges", id, "dispute"]) => {
            let dispute = sandbox.open_dispute(id);
            Ok(json!({"id": dispute.ok_or_else(|| missing("charge", id))?}))
        }
        ("POST", ["charges", id, "inquiry"]) => {
            let dispute = sandbox.open_inquiry(id);
            Ok(json!({"id": dispute.ok_or_else(|| missing("charge", id))?}))
        }
        ("POST", ["disputes", id, "escalate"]) => {
            found(sandbox.escalate_dispute(id), "inquiry", id)
        }
        ("POST", ["refunds", id, "fail"]) => found(sandbox.fail_refund(id), "refund", id),
        ("POST", ["disputes", id, "close"]) => {
            let Decision { won } = read(body)?;
            found(sandbox.close_dispute(id, won), "open dispute", id)
        }
        _ => Err(unknown(method, path)),
    }
}
