//! What a customer is told about billing: one constructor for each notification, so that whoever bills
//! calls a function, and what apps and mails say is in one place. README shows it to the apps.
//!
//! A notification is stored once for its account, type and occasion (`notify::announce`), so a
//! constructor may be called for every event and every run that sees the same thing. Its time parameters
//! are what Stripe says, never the moment at which we see it: they are part of what makes it this one.
//!
//! Types and fields are stored formats: an old row must parse.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::{NewNotification, money::major_text, usage::Span};

pub const TRIAL_ENDING: &str = "trial.ending";
pub const INVOICE_UPCOMING: &str = "invoice.upcoming";
pub const PAYMENT_FAILED: &str = "payment.failed";
pub const RECEIPT: &str = "payment.received";
pub const REFUNDED: &str = "payment.refunded";
pub const CANCELLATION_SCHEDULED: &str = "subscription.cancellation_scheduled";
pub const SUBSCRIBED: &str = "subscription.created";
pub const DOWNGRADED: &str = "subscription.downgraded";

/// An amount of money. It may be negative: a correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Minor units of the currency.
    pub minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// For people: `5.80 USD`.
    pub text: String,
}

impl Amount {
    pub fn of(minor: i64, currency: &str) -> Amount {
        Amount {
            minor,
            currency: currency.to_ascii_lowercase(),
            text: format!(
                "{} {}",
                major_text(minor, currency),
                currency.to_ascii_uppercase()
            ),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialEnding {
    pub user_id: String,
    pub subscription_id: String,
    pub trial_ends_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceUpcoming {
    pub user_id: String,
    pub subscription_id: String,
    pub period_starts_at: DateTime<Utc>,
    pub period_ends_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// What was used beyond the plan so far, all of it.
    pub overage: Amount,
    /// What that is made of.
    pub lines: Vec<OverageLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverageLine {
    /// As the invoice will say.
    pub text: String,
    pub amount: Amount,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    pub user_id: String,
    pub invoice_id: String,
    /// 1 for the first.
    pub attempt: u32,
    pub amount: Amount,
    /// None: Stripe tries no more by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the number falls silent if nothing is paid. None: it does not, or there is none.
    pub telephony_suspended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub user_id: String,
    pub invoice_id: String,
    /// As it stands on the invoice.
    pub number: Option<String>,
    pub amount: Amount,
    pub paid_at: DateTime<Utc>,
    /// Where the invoice can be seen.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refunded {
    pub user_id: String,
    pub invoice_id: String,
    /// By this refund.
    pub amount: Amount,
    /// By all refunds of the payment.
    pub refunded_in_all: Amount,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribed {
    pub user_id: String,
    pub subscription_id: String,
    /// Of the catalogue, by its id.
    pub tier: String,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancellationScheduled {
    pub user_id: String,
    pub subscription_id: String,
    pub ends_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Downgraded {
    pub user_id: String,
    pub subscription_id: String,
    /// Tiers of the catalogue, by their id.
    pub from_tier: String,
    pub to_tier: String,
    pub at: DateTime<Utc>,
}

/// The trial of a subscription ends soon. Once for each end: a trial that is prolonged ends again.
pub fn trial_ending(
    account_id: &str,
    subscription_ref: &str,
    trial_ends_at: DateTime<Utc>,
) -> NewNotification {
    let data = TrialEnding {
        user_id: account_id.to_owned(),
        subscription_id: subscription_ref.to_owned(),
        trial_ends_at,
    };
    let occasion = format!("{subscription_ref}/{}", second(trial_ends_at));
    NewNotification::of(account_id, TRIAL_ENDING, occasion, &data)
}

/// A period is about to be invoiced, with what was used beyond the plan so far (minor units). Once for a
/// period of a subscription: what is used afterwards is told by the invoice.
pub fn invoice_upcoming(
    account_id: &str,
    subscription_ref: &str,
    period: Span,
    due_at: DateTime<Utc>,
    overage_minor: i64,
    currency: &str,
    lines: &[(String, i64)],
) -> NewNotification {
    let lines = lines.iter().map(|(text, amount_minor)| OverageLine {
        text: text.clone(),
        amount: Amount::of(*amount_minor, currency),
    });
    let data = InvoiceUpcoming {
        user_id: account_id.to_owned(),
        subscription_id: subscription_ref.to_owned(),
        period_starts_at: period.starts_at,
        period_ends_at: period.ends_at,
        due_at,
        overage: Amount::of(overage_minor, currency),
        lines: lines.collect(),
    };
    let occasion = format!("{subscription_ref}/{}", second(period.starts_at));
    NewNotification::of(account_id, INVOICE_UPCOMING, occasion, &data)
}

/// An attempt to be paid failed. Once for each attempt of an invoice (Stripe's `attempt_count`).
pub fn payment_failed(
    account_id: &str,
    invoice_ref: &str,
    attempt: u32,
    amount_minor: i64,
    currency: &str,
    next_attempt_at: Option<DateTime<Utc>>,
    telephony_suspended_at: Option<DateTime<Utc>>,
) -> NewNotification {
    let data = PaymentFailed {
        user_id: account_id.to_owned(),
        invoice_id: invoice_ref.to_owned(),
        attempt,
        amount: Amount::of(amount_minor, currency),
        next_attempt_at,
        telephony_suspended_at,
    };
    let occasion = format!("{invoice_ref}/{attempt}");
    NewNotification::of(account_id, PAYMENT_FAILED, occasion, &data)
}

/// An invoice is paid. Once for an invoice.
pub fn receipt(
    account_id: &str,
    invoice_ref: &str,
    number: Option<&str>,
    amount_minor: i64,
    currency: &str,
    paid_at: DateTime<Utc>,
    url: Option<&str>,
) -> NewNotification {
    let data = Receipt {
        user_id: account_id.to_owned(),
        invoice_id: invoice_ref.to_owned(),
        number: number.map(str::to_owned),
        amount: Amount::of(amount_minor, currency),
        paid_at,
        url: url.map(str::to_owned),
    };
    NewNotification::of(account_id, RECEIPT, invoice_ref.to_owned(), &data)
}

/// Part of what was paid for an invoice was given back, `refunded_minor` of it in all. Once for each sum of a charge.
pub fn refunded(
    account_id: &str,
    invoice_ref: &str,
    charge_ref: &str,
    amount_minor: i64,
    refunded_minor: i64,
    currency: &str,
) -> NewNotification {
    let data = Refunded {
        user_id: account_id.to_owned(),
        invoice_id: invoice_ref.to_owned(),
        amount: Amount::of(amount_minor, currency),
        refunded_in_all: Amount::of(refunded_minor, currency),
    };
    let occasion = format!("{charge_ref}/{refunded_minor}");
    NewNotification::of(account_id, REFUNDED, occasion, &data)
}

/// A subscription begins, with a plan of the catalogue. Once for each.
pub fn subscribed(
    account_id: &str,
    subscription_ref: &str,
    tier: &str,
    at: DateTime<Utc>,
) -> NewNotification {
    let data = Subscribed {
        user_id: account_id.to_owned(),
        subscription_id: subscription_ref.to_owned(),
        tier: tier.to_owned(),
        at,
    };
    NewNotification::of(account_id, SUBSCRIBED, subscription_ref.to_owned(), &data)
}

/// A subscription ends at a date and is not renewed. Once for each date.
pub fn cancellation_scheduled(
    account_id: &str,
    subscription_ref: &str,
    ends_at: DateTime<Utc>,
) -> NewNotification {
    let data = CancellationScheduled {
        user_id: account_id.to_owned(),
        subscription_id: subscription_ref.to_owned(),
        ends_at,
    };
    let occasion = format!("{subscription_ref}/{}", second(ends_at));
    NewNotification::of(account_id, CANCELLATION_SCHEDULED, occasion, &data)
}

/// A subscription has a smaller plan since `at`; both tiers by their id. Once for each such change.
pub fn downgraded(
    account_id: &str,
    subscription_ref: &str,
    from_tier: &str,
    to_tier: &str,
    at: DateTime<Utc>,
) -> NewNotification {
    let data = Downgraded {
        user_id: account_id.to_owned(),
        subscription_id: subscription_ref.to_owned(),
        from_tier: from_tier.to_owned(),
        to_tier: to_tier.to_owned(),
        at,
    };
    let occasion = format!("{subscription_ref}/{from_tier}/{to_tier}/{}", second(at));
    NewNotification::of(account_id, DOWNGRADED, occasion, &data)
}

/// Stripe's times are whole seconds: the same instant is always written alike.
fn second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
pub(crate) mod tests;
