//! What customers are told by e-mail: a plain text for each kind of notification that has one.
//!
//! The texts are the files of `mail/`: the subject in the first line, `{names}` filled in. Amounts and
//! times are written out, times in UTC. What comes from a provider may be anything, so it stays text: a
//! subject is one line, whatever is put into it.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    billing_notices::{
        CANCELLATION_SCHEDULED, CancellationScheduled, DOWNGRADED, Downgraded, INVOICE_UPCOMING,
        InvoiceUpcoming, PAYMENT_FAILED, PaymentFailed, RECEIPT, Receipt, TRIAL_ENDING,
        TrialEnding,
    },
    plans::Catalogue,
};

/// A mail, without whom it is from and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Lines that end in `\n`.
    pub body: String,
}

/// Why there is no mail. Never what the data says: that may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMail {
    #[error("nobody is told of it by e-mail")]
    NoTemplate,
    #[error("its data is not what its type has")]
    Unreadable,
}

/// Whether customers are told of this kind by e-mail.
pub fn has_template(kind: &str) -> bool {
    [
        TRIAL_ENDING,
        INVOICE_UPCOMING,
        PAYMENT_FAILED,
        RECEIPT,
        CANCELLATION_SCHEDULED,
        DOWNGRADED,
    ]
    .contains(&kind)
}

/// The mail about a notification of this kind with this data. Tiers are called by their names.
pub fn write(kind: &str, data: &Value, catalogue: &Catalogue) -> Result<Mail, NoMail> {
    match kind {
        TRIAL_ENDING => read(data).map(trial_ending),
        INVOICE_UPCOMING => read(data).map(invoice_upcoming),
        PAYMENT_FAILED => read(data).map(payment_failed),
        RECEIPT => read(data).map(receipt),
        CANCELLATION_SCHEDULED => read(data).map(cancellation_scheduled),
        DOWNGRADED => read(data).map(|told| downgraded(told, catalogue)),
        _ => Err(NoMail::NoTemplate),
    }
}

fn read<T: DeserializeOwned>(data: &Value) -> Result<T, NoMail> {
    T::deserialize(data).map_err(|_| NoMail::Unreadable)
}

fn trial_ending(told: TrialEnding) -> Mail {
    let text = include_str!("mail/trial_ending.txt");
    fill(
        text,
        &[
            ("ends_on", day(told.trial_ends_at)),
            ("ends_at", minute(told.trial_ends_at)),
        ],
    )
}

fn invoice_upcoming(told: InvoiceUpcoming) -> Mail {
    let text = include_str!("mail/invoice_upcoming.txt");
    let overage = match told.overage.minor {
        0 => "Nothing was used beyond your plan so far.".to_owned(),
        _ => format!("Used beyond your plan so far: {}", told.overage.text),
    };
    let lines = told
        .lines
        .iter()
        .map(|line| format!("  {}: {}", one_line(&line.text), line.amount.text));
    fill(
        text,
        &[
            ("due_on", day(told.due_at)),
            ("due_at", minute(told.due_at)),
            ("from", day(told.period_starts_at)),
            ("to", day(told.period_ends_at)),
            ("overage", overage),
            ("lines", lines.collect::<Vec<_>>().join("\n")),
        ],
    )
}

fn payment_failed(told: PaymentFailed) -> Mail {
    let text = include_str!("mail/payment_failed.txt");
    let next_attempt = match told.next_attempt_at {
        Some(at) => format!("We will try again on {}.", minute(at)),
        None => "We will not try again by ourselves.".to_owned(),
    };
    let telephony = told.telephony_suspended_at.map(|at| {
        let at = minute(at);
        format!("If it is not paid by {at}, your phone number stops working.")
    });
    fill(
        text,
        &[
            ("amount", told.amount.text),
            ("next_attempt", next_attempt),
            ("telephony", telephony.unwrap_or_default()),
        ],
    )
}

fn receipt(told: Receipt) -> Mail {
    let text = include_str!("mail/receipt.txt");
    let what = match &told.number {
        Some(number) => format!("invoice {number}"),
        None => told.amount.text.clone(),
    };
    let labelled = |label: &str, text: Option<String>| {
        text.map_or(String::new(), |text| {
            format!("{label}: {}", one_line(&text))
        })
    };
    fill(
        text,
        &[
            ("what", what),
            ("amount", told.amount.text),
            ("paid_at", minute(told.paid_at)),
            ("number", labelled("Invoice number", told.number)),
            ("url", labelled("Your invoice", told.url)),
        ],
    )
}

fn cancellation_scheduled(told: CancellationScheduled) -> Mail {
    let text = include_str!("mail/cancellation_scheduled.txt");
    fill(
        text,
        &[
            ("ends_on", day(told.ends_at)),
            ("ends_at", minute(told.ends_at)),
        ],
    )
}

fn downgraded(told: Downgraded, catalogue: &Catalogue) -> Mail {
    let text = include_str!("mail/downgraded.txt");
    let name = |id: &str| {
        let tier = catalogue.tier(id);
        one_line(tier.map_or(id, |tier| &tier.name))
    };
    fill(
        text,
        &[
            ("from_tier", name(&told.from_tier)),
            ("to_tier", name(&told.to_tier)),
            ("at", minute(told.at)),
        ],
    )
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y").to_string()
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// A template with its values. A line of nothing but values that are all empty is left out, and of
/// empty lines in a row only the first stays.
fn fill(template: &str, values: &[(&str, String)]) -> Mail {
    let (subject, body) = template.split_once('\n').unwrap_or((template, ""));
    let subject = subject.strip_prefix("Subject: ").unwrap_or(subject);
    let mut filled = String::new();
    for line in body.lines() {
        let text = put_in(line, values);
        let is_left_out = text.is_empty() && !line.is_empty();
        let is_second_gap = text.is_empty() && (filled.is_empty() || filled.ends_with("\n\n"));
        if !is_left_out && !is_second_gap {
            filled.push_str(&text);
            filled.push('\n');
        }
    }
    Mail {
        subject: one_line(&put_in(subject, values)),
        body: format!("{}\n", filled.trim_end()),
    }
}

/// In one pass: what is put in is not looked at again.
fn put_in(line: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => out.push_str(value),
            None => out.extend(["{", name, "}"]),
        }
        rest = after;
    }
    out + rest
}

/// Longer than any subject we write, shorter than what a mail server refuses.
const LINE_MAX: usize = 200;

/// Words with single blanks between. No character that ends a line or controls anything is left.
fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_whitespace() || c.is_control();
    let words: Vec<&str> = text.split(is_gap).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LINE_MAX).collect()
}

#[cfg(test)]
mod tests;
