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
    /// `pre_payment`, `post_payment` or `mixed`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Minor units.
    #[serde(default)]
    amount: i64,
    #[serde(default)]
    pre_payment_amount: Option<i64>,
    #[serde(default)]
    post_payment_amount: Option<i64>,
    /// Minor units, given back outside of Stripe.
    #[serde(default, deserialize_with = "or_default")]
    pub out_of_band_amount: i64,
    /// Until 2025-02-24, its one refund, without an amount.
    #[serde(default)]
    refund: Option<Reference>,
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

    /// Minor units, off what was still to be paid.
    pub fn before_payment(&self) -> i64 {
        let is_before = self.kind.as_deref() == Some("pre_payment");
        let whole = if is_before { self.amount } else { 0 };
        self.pre_payment_amount.unwrap_or(whole)
    }

    /// Minor units that the customer's balance was given: what was paid, and neither refunded nor given back
    /// elsewhere. Nothing where a refund does not say how much it is.
    pub fn to_balance(&self) -> i64 {
        if self.refund.is_some() && self.refunds.is_empty() {
            return 0;
        }
        let refunded = self.refunds.iter().map(|refund| refund.amount_refunded);
        let paid = self.amount.saturating_sub(self.before_payment());
        refunded.chain([self.out_of_band_amount]).fold(
            self.post_payment_amount.unwrap_or(paid),
            i64::saturating_sub,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &str, before_payment: i64, to_balance: i64, is_void: bool) {
        let json = format!(r#"{{"id":"cn_1","created":1,"amount":900,{fields}}}"#);
        let note: CreditNote = serde_json::from_str(&json).unwrap();
        let found = (note.before_payment(), note.to_balance(), note.is_void());
        assert_eq!(found, (before_payment, to_balance, is_void), "{fields}");
    }

    #[test]
    fn the_balance_is_given_what_was_paid_and_not_given_back_otherwise() {
        let refunds =
            r#""refunds":[{"amount_refunded":300,"refund":"re_1"}],"out_of_band_amount":100"#;
        let mixed = r#""type":"mixed","pre_payment_amount":200,"post_payment_amount":700"#;
        check(r#""type":"post_payment""#, 0, 900, false);
        check(
            &format!(r#""type":"post_payment",{refunds}"#),
            0,
            500,
            false,
        );
        check(r#""type":"post_payment","refund":"re_1""#, 0, 0, false);
        check(
            r#""type":"pre_payment","status":"void","out_of_band_amount":null"#,
            900,
            0,
            true,
        );
        check(mixed, 200, 700, false);
        check(&format!("{mixed},{refunds}"), 200, 300, false);
    }
}
