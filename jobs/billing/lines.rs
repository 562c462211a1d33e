//! What the lines on an invoice say. The customer's own number is the only personal thing in them.

use chrono::{DateTime, Datelike, Utc};

use super::{
    charges::Revision,
    rating::NUMBER,
    terms::{Step, Terms},
};
use crate::{
    money::{major_text, rate_text},
    usage::{MicroUnits, Span},
};

/// One line: a revision and what it takes to say it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub revision: &'a Revision,
    pub terms: &'a Terms,
    /// E.164, where the revision is about a number.
    pub number: Option<&'a str>,
    /// The period, where it is not the one that the invoice is for.
    pub late_for: Option<Span>,
}

/// The text. A later revision says what it starts from, so that its amount can be worked out from it.
pub fn line_text(line: &Line) -> String {
    let Line {
        revision, terms, ..
    } = line;
    let mut text = match revision.meter.as_str() {
        NUMBER => number_text(line.number),
        meter => overage_text(meter, revision.beyond, terms),
    };
    if revision.previous_rated_minor != 0 {
        let before = money_text(
            &terms.currency,
            &major_text(revision.previous_rated_minor, &terms.currency),
        );
        text += &format!(", less {before} billed before");
    }
    if let Some(period) = line.late_for {
        text += &format!(" (correction for {})", period_text(period));
    }
    text
}

fn number_text(number: Option<&str>) -> String {
    let told = number.map(|number| format!(": {number}"));
    format!("Phone number{}", told.unwrap_or_default())
}

fn overage_text(meter: &str, beyond: MicroUnits, terms: &Terms) -> String {
    let words = words(meter);
    let units = if beyond == MicroUnits::of_units(1) {
        words.unit.clone()
    } else {
        format!("{}s", words.unit)
    };
    let text = format!("{} overage: {beyond} {units}", words.name);
    // Of several rates none is the rate.
    match terms.meter(meter).rates.as_slice() {
        [Step { rate, .. }] => {
            let rate = money_text(&terms.currency, &rate_text(*rate));
            format!("{text} @ {rate}/{}", words.short_unit)
        }
        _ => text,
    }
}

struct Words {
    name: String,
    unit: String,
    short_unit: String,
}

fn words(meter: &str) -> Words {
    let of = |name: &str, unit: &str, short_unit: &str| Words {
        name: name.to_owned(),
        unit: unit.to_owned(),
        short_unit: short_unit.to_owned(),
    };
    match meter {
        "voice_minutes" => of("Voice", "minute", "min"),
        "sms" => of("SMS", "message", "msg"),
        other => {
            let spaced = other.replace('_', " ");
            let first = spaced.chars().take(1).flat_map(char::to_uppercase);
            let name: String = first.chain(spaced.chars().skip(1)).collect();
            of(&name, "unit", "unit")
        }
    }
}

pub(super) fn money_text(currency: &str, number: &str) -> String {
    match currency {
        "usd" => format!("${number}"),
        other => format!("{} {number}", other.to_ascii_uppercase()),
    }
}

/// In UTC, with the bounds as Stripe prints them: "Sep 15 - Oct 15, 2026".
fn period_text(period: Span) -> String {
    let day = |at: DateTime<Utc>| at.format("%b %-d").to_string();
    let with_year = |at: DateTime<Utc>| at.format("%b %-d, %Y").to_string();
    let is_one_year = period.starts_at.year() == period.ends_at.year();
    let start = if is_one_year { day } else { with_year };
    format!(
        "{} - {}",
        start(period.starts_at),
        with_year(period.ends_at)
    )
}

#[cfg(test)]
mod tests;
