//! What an invoice comes to in the ledger: from what Stripe says of it now, whatever was seen of it before.

use chrono::{DateTime, Utc};

use super::{Account, Kind, Posted, Posting};
use crate::{
    money::MoneyError,
    stripe::{CreditNote, Invoice},
};

/// What the ledger takes from an invoice. Minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceFacts {
    pub invoice_ref: String,
    pub total_minor: i64,
    /// How much of the total are lines of ours; what is left is the subscription's.
    pub usage_minor: i64,
    pub paid_minor: i64,
    /// What it took from the customer's balance; below zero what it put there.
    pub from_balance_minor: i64,
    pub finalized_at: Option<DateTime<Utc>>,
    /// Stays when it is paid or voided afterwards.
    pub marked_uncollectible_at: Option<DateTime<Utc>>,
    pub paid_at: Option<DateTime<Utc>>,
    pub voided_at: Option<DateTime<Utc>>,
    pub credits: Vec<Credit>,
}

/// A credit note, by where its amount went. What was refunded with it is not in it: the charge tells that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub credit_ref: String,
    pub created_at: DateTime<Utc>,
    pub voided_at: Option<DateTime<Utc>>,
    /// Off what is still to be paid.
    pub unpaid_minor: i64,
    pub to_balance_minor: i64,
    /// Given back otherwise, outside of Stripe.
    pub out_of_band_minor: i64,
}

impl InvoiceFacts {
    /// As Stripe says; `now` where it says no time. None: it has no id, a preview.
    pub fn of(
        said: &Invoice,
        usage_minor: i64,
        credits: &[CreditNote],
        now: DateTime<Utc>,
    ) -> Option<InvoiceFacts> {
        let status = said.status.as_deref().unwrap_or("draft");
        let transitions = &said.status_transitions;
        let made = said.created.unwrap_or(now);
        let when = |holds: bool, at: Option<DateTime<Utc>>| holds.then(|| at.unwrap_or(made));
        let marked_at = transitions.marked_uncollectible_at;
        let ending = said.ending_balance.unwrap_or(said.starting_balance);
        Some(InvoiceFacts {
            invoice_ref: said.id.clone()?,
            total_minor: said.total,
            usage_minor,
            paid_minor: said.amount_paid,
            from_balance_minor: ending.saturating_sub(said.starting_balance),
            finalized_at: when(status != "draft", transitions.finalized_at),
            marked_uncollectible_at: marked_at.or(when(status == "uncollectible", None)),
            paid_at: when(status == "paid", transitions.paid_at),
            voided_at: when(status == "void", transitions.voided_at),
            credits: credits.iter().map(Credit::of).collect(),
        })
    }

    /// Whether nobody expects it any more, and it was not paid after all.
    pub fn is_given_up(&self) -> bool {
        let is_over = self.marked_uncollectible_at.or(self.voided_at).is_some();
        is_over && self.paid_at.is_none()
    }

    /// What is still to be paid stands in one account, and in another from when nobody expects it any more. That is
    /// told in seconds: what was credited within the same one was credited before.
    fn holder(&self, at: DateTime<Utc>) -> Account {
        match self.marked_uncollectible_at {
            Some(marked_at) if marked_at < at => Account::BadDebt,
            _ => Account::Receivable,
        }
    }

    /// The same at the end: to be paid or voided is the last that happens to it.
    fn last_holder(&self) -> Account {
        match self.marked_uncollectible_at {
            Some(_) => Account::BadDebt,
            None => Account::Receivable,
        }
    }

    /// What is off it by credit notes, of those that `counts`.
    fn credited(&self, counts: impl Fn(&Credit) -> bool) -> i128 {
        let counted = self.credits.iter().filter(|credit| counts(credit));
        counted.map(|credit| i128::from(credit.unpaid_minor)).sum()
    }

    fn posting(
        &self,
        kind: Kind,
        at: DateTime<Utc>,
        amounts: &[(Account, i128)],
    ) -> Result<Option<Posting>, MoneyError> {
        Posting::of(kind, self.invoice_ref.clone(), at, amounts)
    }

    fn total(&self) -> i128 {
        i128::from(self.total_minor)
    }

    fn revenue(&self) -> [(Account, i128); 2] {
        let usage = i128::from(self.usage_minor);
        [
            (Account::UsageRevenue, -usage),
            (Account::SubscriptionRevenue, usage - self.total()),
        ]
    }
}

impl Credit {
    fn of(note: &CreditNote) -> Credit {
        Credit {
            credit_ref: note.id.clone(),
            created_at: note.created,
            voided_at: note.voided_at.or(note.is_void().then_some(note.created)),
            unpaid_minor: note.before_payment(),
            to_balance_minor: note.to_balance(),
            out_of_band_minor: note.out_of_band_amount,
        }
    }

    fn is_void(&self) -> bool {
        self.voided_at.is_some()
    }

    /// Whether it was there when the invoice was given up; see [`InvoiceFacts::holder`].
    fn stood_at(&self, at: DateTime<Utc>) -> bool {
        self.created_at <= at && self.voided_at.is_none_or(|voided_at| voided_at > at)
    }
}

/// Whether something is still to be entered that depends on which of its lines are ours.
pub fn needs_lines(facts: &InvoiceFacts, posted: &Posted) -> bool {
    let is_missing = |kind| !posted.has(kind, &facts.invoice_ref);
    (facts.finalized_at.is_some() && is_missing(Kind::Finalized))
        || (facts.voided_at.is_some() && is_missing(Kind::Voided))
}

/// What is still to be entered about an invoice, in the order in which it happened.
pub fn of_invoice(facts: &InvoiceFacts, posted: &Posted) -> Result<Vec<Posting>, MoneyError> {
    let Some(finalized_at) = facts.finalized_at else {
        return Ok(Vec::new());
    };
    let [usage, subscription] = facts.revenue();
    let receivable = (Account::Receivable, facts.total());
    let mut all = vec![facts.posting(
        Kind::Finalized,
        finalized_at,
        &[receivable, usage, subscription],
    )?];
    for credit in &facts.credits {
        all.push(credited(facts, credit)?);
        all.push(credit_voided(facts, credit)?);
    }
    all.push(marked_uncollectible(facts)?);
    all.push(paid(facts)?);
    all.push(voided(facts)?);
    let all = all.into_iter().flatten();
    Ok(all
        .filter(|posting| !posted.has(posting.kind, &posting.subject))
        .collect())
}

fn credited(facts: &InvoiceFacts, credit: &Credit) -> Result<Option<Posting>, MoneyError> {
    credit_entry(facts, credit, Kind::Credited, credit.created_at, 1)
}

fn credit_voided(facts: &InvoiceFacts, credit: &Credit) -> Result<Option<Posting>, MoneyError> {
    match credit.voided_at {
        Some(at) => credit_entry(facts, credit, Kind::CreditVoided, at, -1),
        None => Ok(None),
    }
}

fn credit_entry(
    facts: &InvoiceFacts,
    credit: &Credit,
    kind: Kind,
    at: DateTime<Utc>,
    sign: i128,
) -> Result<Option<Posting>, MoneyError> {
    let unpaid = sign * i128::from(credit.unpaid_minor);
    let to_balance = sign * i128::from(credit.to_balance_minor);
    let out_of_band = sign * i128::from(credit.out_of_band_minor);
    let subject = format!("{}:{}", facts.invoice_ref, credit.credit_ref);
    let amounts = [
        (Account::CreditNotes, unpaid + to_balance + out_of_band),
        (facts.holder(at), -unpaid),
        (Account::CustomerBalance, -to_balance),
        (Account::Cash, -out_of_band),
    ];
    Posting::of(kind, subject, at, &amounts)
}

/// Nobody expects it any more. What the customer's balance had covered stays covered.
fn marked_uncollectible(facts: &InvoiceFacts) -> Result<Option<Posting>, MoneyError> {
    let Some(at) = facts.marked_uncollectible_at else {
        return Ok(None);
    };
    let unpaid = facts.total() - facts.credited(|credit| credit.stood_at(at));
    let from_balance = i128::from(facts.from_balance_minor);
    let amounts = [
        (Account::BadDebt, unpaid - from_balance),
        (Account::CustomerBalance, from_balance),
        (Account::Receivable, -unpaid),
    ];
    facts.posting(Kind::MarkedUncollectible, at, &amounts)
}

/// What was not paid in money was settled with the customer's balance.
fn paid(facts: &InvoiceFacts) -> Result<Option<Posting>, MoneyError> {
    let Some(at) = facts.paid_at else {
        return Ok(None);
    };
    let unpaid = unpaid_now(facts);
    let cash = i128::from(facts.paid_minor);
    let amounts = [
        (Account::Cash, cash),
        (Account::CustomerBalance, unpaid - cash),
        (facts.last_holder(), -unpaid),
    ];
    facts.posting(Kind::Paid, at, &amounts)
}

/// As if it had never been: the other way round, and what it took from the customer's balance goes back.
fn voided(facts: &InvoiceFacts) -> Result<Option<Posting>, MoneyError> {
    let Some(at) = facts.voided_at else {
        return Ok(None);
    };
    let [(_, usage), (_, subscription)] = facts.revenue();
    let unpaid = unpaid_now(facts);
    let credited = facts.credited(|credit| !credit.is_void());
    let amounts = [
        (Account::UsageRevenue, -usage),
        (Account::SubscriptionRevenue, -subscription),
        (Account::CreditNotes, -credited),
        (Account::CustomerBalance, credited + unpaid - facts.total()),
        (facts.last_holder(), -unpaid),
    ];
    facts.posting(Kind::Voided, at, &amounts)
}

/// What its holder holds. Once written off, the customer's balance has given its part.
fn unpaid_now(facts: &InvoiceFacts) -> i128 {
    let unpaid = facts.total() - facts.credited(|credit| !credit.is_void());
    match facts.marked_uncollectible_at {
        Some(_) => unpaid - i128::from(facts.from_balance_minor),
        None => unpaid,
    }
}
