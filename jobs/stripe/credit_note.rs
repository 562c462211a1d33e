//! A credit note: how much of a finalized invoice is taken back, and where it went.

use chrono::{
    DateTime, Utc,
    serde::{ts_seconds, ts_seconds_option},
};
use serde::Deserialize;

use super::{Reference, or_default};

#[derive(Debug, Clone, Deserialize)]
pub struct CreditNote {
    pub id: String,
    #[serde(with = "ts_seconds")]
    pub created: DateTime<Utc>,
    /// `issued` or `void`.
    #[serde(default)]
    status: Option<String>,
    #[serde(default, with = "ts_seconds_option")]
    pub voided_at: Option<DateTime<Utc>>,
    /// Minor units, off what was still to be paid.
    #[serde(default)]
    pub pre_payment_amount: i64,
    /// Minor units, of what was paid already.
    #[serde(default)]
    pub post_payment_amount: i64,
    /// Minor units of that, given back outside of Stripe.
    #[serde(default, deserialize_with = "or_default")]
    pub out_of_band_amount: i64,
    #[serde(default)]
    customer_balance_transaction: Option<Reference>,
    /// Since 2025-03-31; earlier a credit note names its one refund without an amount.
    #[serde(default, deserialize_with = "or_default")]
    refunds: Vec<Refunded>,
}

#[derive(Debug, Clone, Deserialize)]
struct Refunded {
    #[serde(default)]
    amount_refunded: i64,
}

impl CreditNote {
    pub fn is_void(&self) -> bool {
        self.status.as_deref() == Some("void")
    }

    /// Minor units that the customer's balance was given: what was paid, and neither refunded nor given back
    /// elsewhere.
    pub fn to_balance(&self) -> i64 {
        if self.customer_balance_transaction.is_none() {
            return 0;
        }
        let refunded = self.refunds.iter().map(|refund| refund.amount_refunded);
        refunded
            .chain([self.out_of_band_amount])
            .fold(self.post_payment_amount, i64::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, to_balance: i64, is_void: bool) {
        let json = format!(r#"{{"id":"cn_1","created":1,{fields}}}"#);
        let note: CreditNote = serde_json::from_str(&json).unwrap();
        assert_eq!((note.to_balance(), note.is_void()), (to_balance, is_void));
    }

    #[test]
    fn the_balance_is_given_what_was_not_given_back_otherwise() {
        let balance = r#""customer_balance_transaction":"cbtxn_1","post_payment_amount":900"#;
        let refunds =
            r#""refunds":[{"amount_refunded":300,"refund":"re_1"}],"out_of_band_amount":100"#;
        check(balance, 900, false);
        check(&format!("{balance},{refunds}"), 500, false);
        check(r#""post_payment_amount":900,"refund":"re_1""#, 0, false);
        check(
            r#""pre_payment_amount":900,"status":"void","out_of_band_amount":null"#,
            0,
            true,
        );
    }
}
