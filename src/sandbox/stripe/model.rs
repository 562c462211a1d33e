//! What the sandbox's Stripe remembers. Instants are Unix seconds, amounts minor units.

use std::collections::BTreeMap;

use chrono::{DateTime, Months};
use rand::{RngExt, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::shelf::Object;

pub type Metadata = BTreeMap<String, String>;

const DAY: i64 = 24 * 60 * 60;

/// The two shapes of Stripe's objects that live integrations meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiVersion {
    /// 2025-02-24.acacia: periods on the subscription, `invoice.subscription`.
    Old,
    /// 2026-10-28.endive: periods on the items, `invoice.parent`.
    #[default]
    New,
}

impl ApiVersion {
    /// The version's name, dated.
    pub fn name(self) -> &'static str {
        match self {
            ApiVersion::Old => "2025-02-24.acacia",
            ApiVersion::New => "2026-10-28.endive",
        }
    }

    /// The shape in force at a dated version: basil moved the fields.
    pub fn of(name: &str) -> ApiVersion {
        if name < "2025-03-31" {
            ApiVersion::Old
        } else {
            ApiVersion::New
        }
    }
}

/// Makes ids that look like Stripe's, the same ones for the same seed.
pub struct Ids(StdRng);

impl Ids {
    pub fn new(seed: u64) -> Ids {
        Ids(StdRng::seed_from_u64(seed))
    }

    pub fn next(&mut self, prefix: &str, length: usize) -> String {
        let letters = (&mut self.0)
            .sample_iter(Alphanumeric)
            .take(length)
            .map(char::from);
        format!("{prefix}_{}", letters.collect::<String>())
    }
}

#[derive(Debug, Clone)]
pub struct Customer {
    pub id: String,
    pub created: i64,
    pub email: Option<String>,
    pub name: Option<String>,
    pub metadata: Metadata,
    pub default_payment_method: Option<String>,
    /// Whether charges succeed; a sandbox's own setting.
    pub pays: bool,
    pub is_deleted: bool,
    /// Minor units: below zero a credit, above it a debt.
    pub balance: i64,
    /// How many invoices have a number already.
    pub invoices_numbered: u32,
}

impl Customer {
    /// Nothing is known of one but its id.
    pub fn new(id: String, created: i64) -> Customer {
        Customer {
            id,
            created,
            email: None,
            name: None,
            metadata: Metadata::new(),
            default_payment_method: None,
            pays: true,
            is_deleted: false,
            balance: 0,
            invoices_numbered: 0,
        }
    }

    /// What its invoices' numbers begin with.
    pub fn invoice_prefix(&self) -> String {
        let start = self.id.len().saturating_sub(8);
        self.id[start..].to_ascii_uppercase()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    pub id: String,
    pub created: i64,
    pub product: String,
    pub unit_amount: i64,
    pub currency: String,
    pub interval: Interval,
    pub interval_count: u32,
    pub metadata: Metadata,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

impl Price {
    /// The first boundary after `start`, counted from the anchor: 31 Jan, 28 Feb, 31 Mar.
    pub fn period_end(&self, anchor: i64, start: i64) -> i64 {
        let count = i64::from(self.interval_count.max(1));
        let fixed = |days: i64| {
            let length = days * DAY * count;
            anchor + ((start - anchor).div_euclid(length) + 1) * length
        };
        let months = match self.interval {
            Interval::Day => return fixed(1),
            Interval::Week => return fixed(7),
            Interval::Month => self.interval_count.max(1),
            Interval::Year => 12 * self.interval_count.max(1),
        };
        let anchored =
            DateTime::from_timestamp(anchor, 0).expect("an anchor lies within chrono's range");
        let boundary = |nth: u32| {
            let moved = anchored.checked_add_months(Months::new(nth * months));
            moved
                .expect("a boundary lies within chrono's range")
                .timestamp()
        };
        let mut nth = 0;
        while boundary(nth) <= start {
            nth += 1;
        }
        boundary(nth)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The first payment is still to come.
    #[default]
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused,
    Canceled,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: String,
    pub created: i64,
    pub price: Price,
    pub quantity: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub status: Status,
    pub items: Vec<Item>,
    pub metadata: Metadata,
    pub anchor: i64,
    pub period_start: i64,
    pub period_end: i64,
    pub trial_start: Option<i64>,
    pub trial_end: Option<i64>,
    pub trial_end_announced: bool,
    /// The end of the period whose renewal was announced last.
    pub announced_end: Option<i64>,
    /// `create_invoice`, `pause` or `cancel`: what a trial's end without a payment method does.
    pub missing_payment_method: String,
    pub default_payment_method: Option<String>,
    pub cancel_at_period_end: bool,
    pub canceled_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub cancellation_reason: Option<&'static str>,
    pub pause_behavior: Option<String>,
    pub paused_at: Option<i64>,
    /// How it came to be paused.
    pub pause_reason: &'static str,
    pub latest_invoice: Option<String>,
}

impl Status {
    /// A change in the middle of a period costs something.
    pub fn is_billed(self) -> bool {
        matches!(self, Status::Active | Status::PastDue)
    }
}

impl Subscription {
    /// How long its periods are: whoever changes that begins a new one.
    pub fn rhythm(&self) -> Option<(Interval, u32)> {
        let first = self.items.first();
        first.map(|item| (item.price.interval, item.price.interval_count))
    }
}

impl Item {
    pub fn amount(&self) -> i64 {
        self.price.unit_amount.saturating_mul(self.quantity)
    }
}

#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub created: i64,
    pub customer: Option<String>,
    pub customer_email: Option<String>,
    pub client_reference_id: Option<String>,
    pub price: Price,
    pub quantity: i64,
    pub trial_days: Option<i64>,
    pub metadata: Metadata,
    pub subscription_metadata: Metadata,
    pub success_url: Option<String>,
    pub subscription: Option<String>,
    pub invoice: Option<String>,
    pub is_complete: bool,
}

macro_rules! objects {
    ($($kind:ty),+) => {
        $(impl Object for $kind {
            fn id(&self) -> &str {
                &self.id
            }
        })+
    };
}

objects!(Customer, Price, Session);

impl Object for Subscription {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(interval: Interval, interval_count: u32) -> Price {
        Price {
            id: "price_x".to_owned(),
            created: 0,
            product: "prod_x".to_owned(),
            unit_amount: 2900,
            currency: "usd".to_owned(),
            interval,
            interval_count,
            metadata: Metadata::new(),
        }
    }

    fn check(interval: Interval, count: u32, anchor: &str, start: &str, end: &str) {
        let instant = |day: &str| {
            format!("{day}T12:00:00Z")
                .parse::<DateTime<chrono::Utc>>()
                .unwrap()
                .timestamp()
        };
        let actual = price(interval, count).period_end(instant(anchor), instant(start));
        assert_eq!(
            actual,
            instant(end),
            "{interval:?} {count} {anchor} {start}"
        );
    }

    #[test]
    fn a_period_ends_at_the_next_boundary_counted_from_the_anchor() {
        check(Interval::Month, 1, "2026-01-31", "2026-01-31", "2026-02-28");
        check(Interval::Month, 1, "2026-01-31", "2026-02-28", "2026-03-31");
        check(Interval::Month, 3, "2025-11-30", "2025-11-30", "2026-02-28");
        check(Interval::Year, 1, "2024-02-29", "2025-02-28", "2026-02-28");
        check(Interval::Year, 1, "2024-02-29", "2027-02-28", "2028-02-29");
        check(Interval::Week, 2, "2026-01-01", "2026-01-15", "2026-01-29");
        check(Interval::Day, 1, "2026-01-01", "2026-01-01", "2026-01-02");
    }

    proptest! {
        #[test]
        fn periods_tile_time(anchor in 0..2_000_000_000_i64, count in 1..5_u32, which in 0..4_usize) {
            let interval = [Interval::Day, Interval::Week, Interval::Month, Interval::Year][which];
            let price = price(interval, count);
            let mut start = anchor;
            for _ in 0..5 {
                let end = price.period_end(anchor, start);
                prop_assert!(end > start);
                // Any instant of the period ends with it.
                prop_assert_eq!(price.period_end(anchor, end - 1), end);
                start = end;
            }
        }
    }
}
