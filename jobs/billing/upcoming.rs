//! What the next invoice of a customer will be.

use chrono::{DateTime, TimeDelta, Utc};

use super::lines::money_text;
use crate::{
    money::{MoneyError, major_text},
    plans::{Interval, Tier},
    usage::Span,
};

/// A line of an invoice that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub description: String,
    /// Minor units; negative for a credit.
    pub amount_minor: i64,
}

/// The renewal of a subscription, without usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The period that ends when it renews.
    pub period: Span,
    pub lines: Vec<Line>,
    /// Minor units; what the lines come to, with taxes and discounts.
    pub total_minor: i64,
    /// Minor units; below zero what the customer has to their credit.
    pub balance_minor: i64,
    /// None: nothing will be collected by itself.
    pub collected_at: Option<DateTime<Utc>>,
}

/// The next invoice. Its lines may come to more than what is due, where the customer has credit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    pub period: Span,
    pub lines: Vec<Line>,
    /// Minor units, never below zero.
    pub due_minor: i64,
    /// None: nothing will be collected by itself.
    pub collected_at: Option<DateTime<Utc>>,
}

/// A renewal's draft stays open for so long before it is finalized and collected.
const DRAFT_STAYS_OPEN: TimeDelta = TimeDelta::hours(1);

impl Renewal {
    /// By the price of the catalogue. `tier` is the one that the subscription renews as, at `price_minor`.
    pub fn at_price(
        tier: &Tier,
        price_minor: i64,
        every: Interval,
        currency: &str,
        period: Span,
    ) -> Renewal {
        let price = money_text(currency, &major_text(price_minor, currency));
        let line = Line {
            description: format!("1 × {} (at {price} / {})", tier.name, every.as_str()),
            amount_minor: price_minor,
        };
        Renewal {
            period,
            lines: vec![line],
            total_minor: price_minor,
            balance_minor: 0,
            collected_at: Some(period.ends_at + DRAFT_STAYS_OPEN),
        }
    }
}

/// The next invoice, from the renewal that is to come (None: none will), what is owed for usage, and the billing period
/// that runs.
///
/// A billing period is a month at most. What is owed for one that ends before the subscription renews comes on an
/// invoice of its own.
pub fn upcoming(
    renewal: Option<Renewal>,
    owed: Vec<Line>,
    running: Span,
) -> Result<Upcoming, MoneyError> {
    let owed_minor = sum(owed.iter().map(|line| line.amount_minor))?;
    let is_with_it =
        |renewal: &Renewal| owed.is_empty() || renewal.period.ends_at <= running.ends_at;
    let Some(renewal) = renewal.filter(is_with_it) else {
        let is_due = owed_minor > 0;
        return Ok(Upcoming {
            period: running,
            lines: owed,
            due_minor: owed_minor.max(0),
            collected_at: is_due.then_some(running.ends_at),
        });
    };
    let due_minor = sum([renewal.total_minor, renewal.balance_minor, owed_minor])?;
    let mut lines = renewal.lines;
    lines.extend(owed);
    Ok(Upcoming {
        period: renewal.period,
        lines,
        due_minor: due_minor.max(0),
        collected_at: renewal.collected_at,
    })
}

fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, MoneyError> {
    let mut amounts = amounts.into_iter();
    amounts
        .try_fold(0_i64, i64::checked_add)
        .ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{BUILT_IN, Catalogue};

    const START: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

    fn days(days: i64) -> Span {
        Span {
            starts_at: START,
            ends_at: START + TimeDelta::days(days),
        }
    }

    fn line(amount_minor: i64) -> Line {
        let description = format!("a line of {amount_minor}");
        Line {
            description,
            amount_minor,
        }
    }

    fn renewal(period: Span) -> Renewal {
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let tier = catalogue.tier("ai_secretary").unwrap();
        Renewal::at_price(tier, 4_000, Interval::Month, "usd", period)
    }

    #[test]
    fn the_next_invoice_is_the_price_and_what_is_owed_for_usage() {
        let found = upcoming(Some(renewal(days(30))), vec![line(65), line(-5)], days(30)).unwrap();

        assert_eq!(found.due_minor, 4_060);
        assert_eq!(
            found.lines[0].description,
            "1 × AI Secretary (at $40.00 / month)"
        );
        assert_eq!(found.lines[1..], [line(65), line(-5)]);
        assert_eq!(found.period, days(30));
        let an_hour_later = days(30).ends_at + TimeDelta::hours(1);
        assert_eq!(found.collected_at, Some(an_hour_later));
    }

    #[test]
    fn what_the_customer_has_to_their_credit_is_taken_off_and_nothing_is_due_below_zero() {
        let with_credit = |balance_minor| Renewal {
            balance_minor,
            ..renewal(days(30))
        };
        let due = |balance| {
            upcoming(Some(with_credit(balance)), vec![line(100)], days(30))
                .unwrap()
                .due_minor
        };
        assert_eq!(due(-1_000), 3_100);
        assert_eq!(due(-9_000), 0);
        assert_eq!(due(50), 4_150);
    }

    #[test]
    fn usage_of_a_month_does_not_wait_for_the_renewal_of_a_year() {
        let year = || Some(renewal(days(365)));

        let found = upcoming(year(), vec![line(65)], days(30)).unwrap();
        assert_eq!((found.due_minor, found.period), (65, days(30)));
        assert_eq!(found.collected_at, Some(days(30).ends_at));

        let found = upcoming(year(), vec![], days(30)).unwrap();
        assert_eq!((found.due_minor, found.period), (4_000, days(365)));
    }

    #[test]
    fn without_a_renewal_only_what_is_owed_comes_and_nothing_where_nothing_is() {
        let found = upcoming(None, vec![line(65)], days(30)).unwrap();
        assert_eq!(
            (found.due_minor, found.collected_at),
            (65, Some(days(30).ends_at))
        );

        let found = upcoming(None, vec![], days(30)).unwrap();
        assert_eq!((found.due_minor, found.collected_at), (0, None));
    }

    #[test]
    fn more_than_an_amount_can_be_is_an_error() {
        let found = upcoming(None, vec![line(i64::MAX), line(1)], days(30));
        assert_eq!(found, Err(MoneyError::Overflow));
    }
}
