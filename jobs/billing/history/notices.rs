//! What customers are notified of, as the same things are learnt that their history tells.
//!
//! A history may be taken in long after it happened, when accounts are imported or Stripe is asked anew. Nobody is
//! notified of what is old.

use chrono::{DateTime, TimeDelta, Utc};

use super::{InvoiceNews, SubscriptionNews};
use crate::{NewNotification, billing_notices as notice, plans::Catalogue, stripe::Status};

/// What happened so long ago is no news: longer than Stripe delivers an event, and than we ask for lost ones.
const IS_NEWS_FOR: TimeDelta = TimeDelta::days(8);
/// Stripe tries to collect an invoice for two months at most.
const COLLECTED_FOR: TimeDelta = TimeDelta::days(62);

/// Of an invoice: its receipt, and the last attempt to collect it that failed. `suspends_at`: when telephony is
/// suspended if it stays unpaid.
pub fn of_invoice(
    news: &InvoiceNews,
    account_id: &str,
    suspends_at: Option<DateTime<Utc>>,
) -> Vec<NewNotification> {
    let (said, facts) = (news.said, news.facts);
    let Some(currency) = said.currency.as_deref() else {
        return Vec::new();
    };
    let id = &facts.invoice_ref;
    let mut notices = Vec::new();
    let paid_at = facts.paid_at.filter(|at| news.now - *at <= IS_NEWS_FOR);
    if let (Some(paid_at), 1..) = (paid_at, facts.paid_minor) {
        let number = said.number.as_deref();
        let url = said.hosted_invoice_url.as_deref();
        let amount = facts.paid_minor;
        notices.push(notice::receipt(
            account_id, id, number, amount, currency, paid_at, url,
        ));
    }
    let is_collected = said.status.as_deref() == Some("open")
        && facts
            .finalized_at
            .is_some_and(|at| news.now - at <= COLLECTED_FOR);
    if let (true, failed @ 1..) = (is_collected, news.attempts_failed()) {
        notices.push(notice::payment_failed(
            account_id,
            id,
            failed.unsigned_abs(),
            said.amount_due,
            currency,
            said.next_payment_attempt,
            suspends_at,
        ));
    }
    notices
}

/// Of a subscription: that it began, that its trial ends, that it ends, and that its plan is smaller than before.
/// `has_another`: the account has another one that goes on, so the end of this one takes nothing away.
pub fn of_subscription(
    news: &SubscriptionNews,
    catalogue: &Catalogue,
    account_id: &str,
    has_another: bool,
) -> Vec<NewNotification> {
    let id = &news.said.id;
    let begun = begun(news);
    let begun = begun.map(|(tier, at)| notice::subscribed(account_id, id, tier, at));
    let trial = news.trial_ends_at();
    let trial = trial.map(|at| notice::trial_ending(account_id, id, at));
    let ends = news.ends_at().filter(|at| news.now < *at);
    let ends = ends.map(|at| notice::cancellation_scheduled(account_id, id, at));
    let change = match news.said.status {
        Status::Canceled if has_another => None,
        Status::Canceled => ended(news, catalogue),
        _ => smaller(news, catalogue),
    };
    let smaller = change.map(|(from, to, at)| notice::downgraded(account_id, id, from, to, at));
    let notices = [begun, trial, ends, smaller];
    notices.into_iter().flatten().collect()
}

/// The plan of one that gives rights now and gave none before.
fn begun<'a>(news: &SubscriptionNews<'a>) -> Option<(&'a str, DateTime<Utc>)> {
    let gives_rights = |status: &Status| matches!(status, Status::Active | Status::Trialing);
    let gave_rights = news
        .before
        .as_ref()
        .is_some_and(|one| gives_rights(one.status));
    let at = news
        .said
        .created
        .filter(|at| news.now - *at <= IS_NEWS_FOR)?;
    let is_new = gives_rights(&news.said.status) && !gave_rights;
    is_new.then_some((news.tier?, at))
}

/// The plan before and the one without a subscription.
fn ended<'a>(
    news: &SubscriptionNews<'a>,
    catalogue: &'a Catalogue,
) -> Option<(&'a str, &'a str, DateTime<Utc>)> {
    let at = news.said.ended_at.or(news.said.canceled_at)?;
    let from = catalogue.tier(news.tier?)?;
    let to = catalogue.free_tier(&from.product);
    (news.now - at <= IS_NEWS_FOR).then_some((&from.id, &to.id, at))
}

/// The plans before and now, where the one now is the lesser of the same product.
fn smaller<'a>(
    news: &SubscriptionNews<'a>,
    catalogue: &'a Catalogue,
) -> Option<(&'a str, &'a str, DateTime<Utc>)> {
    let (from, to) = news.tier_change()?;
    let (from, to) = (catalogue.tier(from)?, catalogue.tier(to)?);
    let is_smaller = from.product == to.product && to.rank < from.rank;
    is_smaller.then_some((&from.id, &to.id, news.now))
}
