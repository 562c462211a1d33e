use proptest::prelude::*;

use super::*;
use crate::plans::BUILT_IN;

const START: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("in range");

fn period(days: i64) -> Span {
    Span {
        starts_at: START,
        ends_at: START + TimeDelta::days(days),
    }
}

#[track_caller]
fn check(period: Span, left: TimeDelta, prices: (i64, i64), expected: (i64, i64, i64)) {
    let found = estimate(prices.0, prices.1, period, period.ends_at - left).unwrap();
    assert_eq!(
        (
            found.unused_credit_minor,
            found.prorated_charge_minor,
            found.net_minor
        ),
        expected,
        "{left} of {period:?}"
    );
}

#[test]
fn half_a_month_from_secretary_to_manager_is_120_dollars() {
    check(
        period(30),
        TimeDelta::days(15),
        (4_000, 28_000),
        (2_000, 14_000, 12_000),
    );
}

#[test]
fn a_change_down_gives_back() {
    check(
        period(30),
        TimeDelta::days(15),
        (28_000, 4_000),
        (14_000, 2_000, -12_000),
    );
    check(
        period(30),
        TimeDelta::days(10),
        (4_000, 0),
        (1_333, 0, -1_333),
    );
}

#[test]
fn a_started_day_is_a_whole_one() {
    let prices = (0, 30_000);
    let micro = TimeDelta::microseconds(1);
    for (left, charge) in [
        (micro, 1_000),
        (TimeDelta::days(1), 1_000),
        (TimeDelta::days(1) + micro, 2_000),
        (TimeDelta::days(30) - micro, 30_000),
    ] {
        check(period(30), left, prices, (0, charge, charge));
    }
}

#[test]
fn no_period_is_empty_and_no_time_is_left_twice() {
    let prices = (4_000, 28_000);
    let nothing = (0, 0, 0);
    let everything = (4_000, 28_000, 24_000);
    check(period(30), TimeDelta::days(-3), prices, nothing);
    check(period(30), TimeDelta::zero(), prices, nothing);
    check(period(30), TimeDelta::days(45), prices, everything);
    check(period(0), TimeDelta::zero(), prices, nothing);
    check(period(0), TimeDelta::days(2), prices, everything);
    check(period(-5), TimeDelta::days(2), prices, everything);
}

#[test]
fn stripe_counts_seconds() {
    let of = |left: i64| {
        by_seconds(
            4_000,
            28_000,
            period(30),
            period(30).ends_at - TimeDelta::seconds(left),
        )
    };
    let half = of(15 * 86_400).unwrap();
    assert_eq!(half.net_minor, 12_000);
    let second_less = of(15 * 86_400 - 1).unwrap();
    assert_eq!(second_less.unused_credit_minor, 2_000);
    assert_eq!(second_less.prorated_charge_minor, 14_000);
    // 324 s are half a cent of the smaller price, and half up.
    assert_eq!(of(324).unwrap().unused_credit_minor, 1);
    assert_eq!(of(323).unwrap().unused_credit_minor, 0);
    assert_eq!(of(-1).unwrap().net_minor, 0);
}

#[track_caller]
fn check_target(product: &str, current: &str, name: &str, expected: Result<&str, &str>) {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    let found = target(&catalogue, product, current, name);
    let found = found.as_ref().map(|tier| tier.id.as_str());
    assert_eq!(
        found.map_err(Refusal::code),
        expected,
        "{current} to {name}"
    );
}

#[test]
fn only_a_change_with_two_known_prices_is_estimated() {
    let up = "ai_project_manager";
    check_target("ai", "ai_secretary", up, Ok(up));
    check_target("ai", "ai_secretary", "Professional ", Ok(up));
    check_target("ai", "ai_secretary", "free", Ok("ai_buddy"));
    check_target("ai", "ai_secretary", "ai_cto", Err("CUSTOM_PRICE"));
    check_target("ai", "ai_secretary", "enterprise", Err("CUSTOM_PRICE"));
    check_target("ai", "ai_secretary", "admin", Err("TIER_NOT_FOR_SALE"));
    check_target("ai", "ai_secretary", "personal", Err("SAME_TIER"));
    check_target("ai", "ai_secretary", "gold", Err("UNKNOWN_TIER"));
    check_target("ai", "ai_secretary", "repx3", Err("UNKNOWN_TIER"));
    check_target("repx", "free", "premium", Ok("repx3"));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    let refusal = target(&catalogue, "ai", "ai_secretary", "ai_cto").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the price of ai_cto is agreed with each customer, so there is nothing to estimate from"
    );
}

#[test]
fn a_price_is_that_of_the_interval() {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    let price = |tier: &str, every| price_minor(catalogue.tier(tier).unwrap(), every);
    assert_eq!(price("repx1", Interval::Month), Ok(9_700));
    assert_eq!(price("repx1", Interval::Year), Ok(97_000));
    assert_eq!(price("ai_buddy", Interval::Month), Ok(0));
    assert_eq!(
        price("ai_cto", Interval::Month),
        Err(Refusal::CustomPrice("ai_cto".to_owned()))
    );
    assert_eq!(
        price("ai_secretary", Interval::Year),
        Err(Refusal::NotForSale("ai_secretary".to_owned()))
    );
}

proptest! {
    #[test]
    fn no_share_is_more_than_the_price_or_less_than_nothing(
        price in 0..=i64::MAX,
        days in -3..400i64,
        left in -40_000_000..40_000_000i64,
    ) {
        let period = period(days);
        let now = period.ends_at - TimeDelta::seconds(left);
        for found in [estimate(price, price, period, now)?, by_seconds(price, price, period, now)?] {
            prop_assert!((0..=price).contains(&found.unused_credit_minor));
            prop_assert_eq!(found.net_minor, 0);
        }
    }
}
