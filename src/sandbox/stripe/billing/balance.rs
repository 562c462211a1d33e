//! The customer's balance: what an invoice leaves over goes there, and the next one takes it up.
//! Below zero the customer has a credit, above it a debt.

use serde_json::{Value, json};

use super::{
    super::{Stripe, errors, shelf::Object},
    Ask,
};
use crate::sandbox::wire::Reply;

/// One movement of a balance, `cbtxn_…`.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Movement {
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub invoice: Option<String>,
    pub kind: &'static str,
    pub amount: i64,
    pub ending_balance: i64,
}

impl Object for Movement {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

/// What of a total is due, and the balance afterwards: a total below nothing becomes credit, one too
/// small to be charged becomes debt.
pub(super) fn settle(total: i64, balance: i64, currency: &str) -> (i64, i64) {
    let sum = total.saturating_add(balance);
    if sum < minimum(currency) {
        (0, sum)
    } else {
        (sum, 0)
    }
}

/// The least that can be charged, in minor units.
fn minimum(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        _ => 50,
    }
}

impl Stripe {
    /// Move a customer's balance. Nothing is noted when nothing moves.
    pub(super) fn move_balance(
        &mut self,
        at: i64,
        customer_id: &str,
        invoice: Option<&str>,
        kind: &'static str,
        amount: i64,
    ) {
        let Some(customer) = self.customers.get_mut(customer_id) else {
            return;
        };
        if amount == 0 {
            return;
        }
        customer.balance = customer.balance.saturating_add(amount);
        let ending_balance = customer.balance;
        let id = self.ids.next("cbtxn", 24);
        self.movements.add(Movement {
            id,
            created: at,
            customer: customer_id.to_owned(),
            invoice: invoice.map(str::to_owned),
            kind,
            amount,
            ending_balance,
        });
    }

    /// `GET /v1/customers/{id}/balance_transactions`.
    pub(super) fn list_movements(&self, customer: &str, ask: Ask) -> Result<Value, Reply> {
        self.customers
            .get(customer)
            .ok_or_else(|| errors::no_such("customer", customer))?;
        let url = format!("/v1/customers/{customer}/balance_transactions");
        let render = |movement: &Movement| {
            json!({
                "id": movement.id,
                "object": "customer_balance_transaction",
                "amount": movement.amount,
                "created": movement.created,
                "credit_note": null,
                "currency": "usd",
                "customer": movement.customer,
                "description": null,
                "ending_balance": movement.ending_balance,
                "invoice": movement.invoice,
                "livemode": false,
                "metadata": {},
                "type": movement.kind,
            })
        };
        self.movements
            .page_of(Some(customer), ask.params, &url, |_| true, render)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_little_or_too_much_goes_to_the_balance() {
        for (total, balance, due, left) in [
            (2900, 0, 2900, 0),
            (49, 0, 0, 49),
            (50, 0, 50, 0),
            (0, 0, 0, 0),
            (-500, 0, 0, -500),
            (2900, -500, 2400, 0),
            (2900, 49, 2949, 0),
            (300, -500, 0, -200),
            (520, -500, 0, 20),
        ] {
            assert_eq!(
                settle(total, balance, "usd"),
                (due, left),
                "{total} {balance}"
            );
        }
        assert_eq!(settle(30, 0, "gbp"), (30, 0));
    }
}
