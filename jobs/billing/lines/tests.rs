use super::*;
use crate::{
    money::Rate,
    plans::{BUILT_IN, Catalogue},
};

fn secretary() -> Terms {
    let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
    Terms::of(catalogue.tier("ai_secretary").unwrap(), "usd")
}

fn revision(meter: &str, beyond: MicroUnits, previous_rated_minor: i64) -> Revision {
    Revision {
        meter: meter.to_owned(),
        subject: String::new(),
        revision: 1,
        previous_rated_minor,
        rated_minor: previous_rated_minor + 4,
        amount_minor: 4,
        quantity: beyond,
        beyond,
    }
}

fn text(terms: &Terms, meter: &str, micros: i64, previous: i64, late_for: Option<Span>) -> String {
    line_text(&Line {
        revision: &revision(meter, MicroUnits(micros), previous),
        terms,
        number: (meter == NUMBER).then_some("+15005550006"),
        late_for,
    })
}

#[track_caller]
fn check(meter: &str, micros: i64, previous: i64, late_for: Option<Span>, expected: &str) {
    assert_eq!(
        text(&secretary(), meter, micros, previous, late_for),
        expected
    );
}

fn span(starts_at: &str, ends_at: &str) -> Option<Span> {
    Some(Span {
        starts_at: starts_at.parse().unwrap(),
        ends_at: ends_at.parse().unwrap(),
    })
}

#[test]
fn lines_say_what_the_contract_says() {
    check(
        "voice_minutes",
        50_000_000,
        0,
        None,
        "Voice overage: 50 minutes @ $0.0130/min",
    );
    check(
        "sms",
        20_000_000,
        0,
        None,
        "SMS overage: 20 messages @ $0.0075/msg",
    );
    check(NUMBER, 1_000_000, 0, None, "Phone number: +15005550006");
    check(
        "sms",
        1_000_000,
        0,
        None,
        "SMS overage: 1 message @ $0.0075/msg",
    );
    check(
        "voice_minutes",
        500_000,
        0,
        None,
        "Voice overage: 0.5 minutes @ $0.0130/min",
    );
}

#[test]
fn a_late_revision_says_so_and_what_it_starts_from() {
    check(
        "voice_minutes",
        53_000_000,
        65,
        span("2026-09-15T08:00:00Z", "2026-10-15T08:00:00Z"),
        "Voice overage: 53 minutes @ $0.0130/min, less $0.65 billed before \
         (correction for Sep 15 - Oct 15, 2026)",
    );
    check(
        "voice_minutes",
        3_000_000,
        0,
        span("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        "Voice overage: 3 minutes @ $0.0130/min (correction for Dec 1, 2026 - Jan 1, 2027)",
    );
    check(
        NUMBER,
        1_000_000,
        500,
        None,
        "Phone number: +15005550006, less $5.00 billed before",
    );
}

#[test]
fn a_number_nobody_knows_any_more_is_still_a_line() {
    let line = Line {
        revision: &revision(NUMBER, MicroUnits::of_units(1), 0),
        terms: &secretary(),
        number: None,
        late_for: None,
    };
    assert_eq!(line_text(&line), "Phone number");
}

#[test]
fn of_several_rates_none_is_named() {
    let mut terms = secretary();
    let rates = &mut terms.meters.get_mut("sms").unwrap().rates;
    rates.insert(
        0,
        Step {
            up_to: Some(10),
            rate: Rate(9_000),
        },
    );
    assert_eq!(
        text(&terms, "sms", 20_000_000, 0, None),
        "SMS overage: 20 messages"
    );
}

#[test]
fn other_currencies_and_meters_have_their_names() {
    let yen = Terms {
        currency: "jpy".to_owned(),
        ..secretary()
    };
    assert_eq!(
        text(&yen, "sms", 20_000_000, 65, None),
        "SMS overage: 20 messages @ JPY 0.0075/msg, less JPY 65 billed before"
    );
    assert_eq!(
        text(&yen, "ai_queries", 2_000_000, 0, None),
        "Ai queries overage: 2 units"
    );
}
