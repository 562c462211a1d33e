//! A preview of an invoice: what Stripe would write, and has not.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::Deserialize;

use super::{List, or_default};

#[derive(Debug, Clone, Deserialize)]
pub struct Preview {
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units; what its lines come to, with taxes and discounts.
    pub total: i64,
    /// Minor units; below zero what the customer has to their credit, above what they still owe.
    #[serde(default, deserialize_with = "or_default")]
    pub starting_balance: i64,
    #[serde(default, with = "ts_seconds_option")]
    pub period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    pub period_end: Option<DateTime<Utc>>,
    /// None: nothing will be collected by itself.
    #[serde(default, with = "ts_seconds_option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    /// The first ten.
    #[serde(default, deserialize_with = "or_default")]
    lines: List<PreviewLine>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PreviewLine {
    /// Minor units; negative for a credit.
    pub amount: i64,
    #[serde(default)]
    pub description: Option<String>,
    period: LinePeriod,
    /// Since 2025-03-31.
    #[serde(default)]
    parent: Option<Parent>,
    /// Until 2025-02-24.
    #[serde(default)]
    proration: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct LinePeriod {
    start: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_item_details: Option<Details>,
    #[serde(default)]
    invoice_item_details: Option<Details>,
}

#[derive(Debug, Clone, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "or_default")]
    proration: bool,
}

impl Preview {
    /// Its lines. None: there are more than a preview shows, so nothing can be said of them all.
    pub fn lines(&self) -> Option<&[PreviewLine]> {
        (!self.lines.has_more).then_some(self.lines.data.as_slice())
    }

    /// What a change at this instant gives back and charges, both zero or more, in minor units. Prorations of earlier
    /// changes that wait for the same invoice began at another instant. None: not all lines are known.
    pub fn prorated(&self, at: DateTime<Utc>) -> Option<(i64, i64)> {
        let of_change = self
            .lines()?
            .iter()
            .filter(|line| line.is_proration() && line.period.start == at.timestamp())
            .map(|line| line.amount);
        let credit: i64 = of_change.clone().filter(|amount| *amount < 0).sum();
        let charge: i64 = of_change.filter(|amount| *amount > 0).sum();
        Some((-credit, charge))
    }
}

impl PreviewLine {
    fn is_proration(&self) -> bool {
        let of_parent = self.parent.as_ref().and_then(|parent| {
            let details = parent.subscription_item_details.as_ref();
            details.or(parent.invoice_item_details.as_ref())
        });
        of_parent.map_or(self.proration.unwrap_or_default(), |details| {
            details.proration
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    fn new_line(amount: i64, start: i64, kind: &str, is_proration: bool) -> Value {
        json!({
            "amount": amount, "period": { "start": start, "end": 1_900_000_000 },
            "parent": { "type": kind, kind: { "proration": is_proration } },
        })
    }

    fn preview(lines: &[Value], has_more: bool) -> Preview {
        serde_json::from_value(json!({
            "currency": "usd", "total": 0, "lines": { "data": lines, "has_more": has_more },
        }))
        .unwrap()
    }

    #[test]
    fn only_the_prorations_of_the_change_count() {
        let of_item = "subscription_item_details";
        let lines = [
            new_line(-2_000, 1_800_000_000, of_item, true),
            new_line(14_000, 1_800_000_000, "invoice_item_details", true),
            // Of an earlier change, and the next period's price.
            new_line(777, 1_799_999_999, "invoice_item_details", true),
            new_line(28_000, 1_800_000_000, of_item, false),
        ];
        assert_eq!(preview(&lines, false).prorated(AT), Some((2_000, 14_000)));
    }

    #[test]
    fn the_older_shape_says_the_same() {
        let lines = [
            json!({ "amount": -5, "period": { "start": 1_800_000_000 }, "proration": true }),
            json!({ "amount": 9, "period": { "start": 1_800_000_000 }, "proration": false }),
        ];
        assert_eq!(preview(&lines, false).prorated(AT), Some((5, 0)));
    }

    #[test]
    fn of_a_preview_that_is_cut_off_nothing_is_said() {
        let preview = preview(&[], true);
        assert_eq!(preview.prorated(AT), None);
        assert!(preview.lines().is_none());
    }

    #[test]
    fn a_recorded_upcoming_invoice_is_a_preview() {
        let event =
            include_str!("../../tests/it/golden/webhooks/stripe/new/invoice.upcoming.no_id.json");
        let event: Value = serde_json::from_str(event).unwrap();
        let preview: Preview = serde_json::from_value(event["data"]["object"].clone()).unwrap();

        assert_eq!((preview.total, preview.starting_balance), (2_900, 0));
        let lines = preview.lines().unwrap();
        assert_eq!(lines[0].amount, 2_900);
        assert_eq!(
            preview.prorated(preview.period_start.unwrap()),
            Some((0, 0))
        );
    }
}
