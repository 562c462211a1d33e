//! What is given back of what was paid: refunds, and disputes.

use chrono::{DateTime, Utc};

use super::{Account, Kind, Posted, Posting};
use crate::{money::MoneyError, stripe};

/// How much of a charge was refunded. Minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refunds<'a> {
    pub charge_ref: &'a str,
    /// By all refunds together, as Stripe says now.
    pub refunded_minor: i64,
    /// What is entered of that already.
    pub posted_minor: i64,
    /// When it was seen: a charge does not say when it was refunded.
    pub seen_at: DateTime<Utc>,
}

/// The difference to what is entered. A refund that failed has come back.
pub fn of_refunds(refunds: &Refunds, posted: &Posted) -> Result<Option<Posting>, MoneyError> {
    let change = i128::from(refunds.refunded_minor) - i128::from(refunds.posted_minor);
    let kind = match change {
        ..0 => Kind::RefundFailed,
        _ => Kind::Refunded,
    };
    let amounts = [(Account::Refunds, change), (Account::Cash, -change)];
    let subject = subject(refunds, kind, posted);
    Posting::of(kind, subject, refunds.seen_at, &amounts)
}

/// The sum that it comes to. One that it came to before, and fell below since, is told apart by a number.
fn subject(refunds: &Refunds, kind: Kind, posted: &Posted) -> String {
    let sum = format!("{}:{}", refunds.charge_ref, refunds.refunded_minor);
    let again = (2..).map(|time| format!("{sum}:{time}"));
    let mut all = std::iter::once(sum.clone()).chain(again);
    all.find(|subject| !posted.has(kind, subject))
        .expect("there are more numbers than transactions")
}

/// A payment that its customer's bank took back, as far as money moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute<'a> {
    pub dispute_ref: &'a str,
    /// Minor units.
    pub amount_minor: i64,
    pub status: &'a stripe::DisputeStatus,
    pub created_at: DateTime<Utc>,
    /// Stripe does not say when it was closed.
    pub seen_at: DateTime<Utc>,
}

/// What is still to be entered about a dispute. An inquiry moves nothing.
pub fn of_dispute(dispute: &Dispute, posted: &Posted) -> Result<Vec<Posting>, MoneyError> {
    use stripe::DisputeStatus::{Dropped, Inquiry, Lost, Open, Unknown, Won};
    let amount = i128::from(dispute.amount_minor);
    let closing = match dispute.status {
        Inquiry | Dropped | Unknown(_) => return Ok(Vec::new()),
        Open => None,
        Won => Some((Kind::DisputeWon, "won", Account::Cash)),
        Lost => Some((Kind::DisputeLost, "lost", Account::DisputeLosses)),
    };
    let subject = |word: &str| format!("{}:{word}", dispute.dispute_ref);
    let taken = [(Account::Disputes, amount), (Account::Cash, -amount)];
    let created = dispute.created_at;
    let mut all = vec![Posting::of(
        Kind::DisputeCreated,
        subject("created"),
        created,
        &taken,
    )?];
    if let Some((kind, word, to)) = closing {
        let ended = [(to, amount), (Account::Disputes, -amount)];
        all.push(Posting::of(kind, subject(word), dispute.seen_at, &ended)?);
    }
    let all = all.into_iter().flatten();
    Ok(all
        .filter(|posting| !posted.has(posting.kind, &posting.subject))
        .collect())
}
