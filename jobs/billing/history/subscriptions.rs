//! What is told of a subscription: from what was stored of it and what Stripe says now.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Amount, NewEvent, second};
use crate::stripe::{Status, Subscription};

/// A subscription of a customer whom we know.
#[derive(Debug, Clone)]
pub struct SubscriptionNews<'a> {
    pub said: &'a Subscription,
    /// What it is for now. None: no price of it was ever known.
    pub tier: Option<&'a str>,
    /// None: it is seen for the first time.
    pub before: Option<Before<'a>>,
    /// In which amounts are.
    pub currency: &'a str,
    pub now: DateTime<Utc>,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Before<'a> {
    pub status: &'a Status,
    pub tier: Option<&'a str>,
    pub ends_with_period: bool,
}

/// Stripe tells three days ahead that a trial ends; its clock and ours may differ by a little.
const TRIAL_TOLD_AHEAD: TimeDelta = TimeDelta::hours(3 * 24 + 1);

impl<'a> SubscriptionNews<'a> {
    /// When it ends without being renewed.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        if self.said.status.is_terminal() {
            return None;
        }
        let period_ends_at = self.said.period().map(|(_, ends_at)| ends_at);
        let with_period = period_ends_at.filter(|_| self.said.ends_with_period());
        self.said.cancel_at.or(with_period)
    }

    /// When its trial ends, where that is soon and it goes on afterwards.
    pub fn trial_ends_at(&self) -> Option<DateTime<Utc>> {
        let is_soon = |at: &DateTime<Utc>| self.now < *at && *at - self.now <= TRIAL_TOLD_AHEAD;
        let ends_at = self.said.trial_end.filter(is_soon);
        ends_at.filter(|_| self.said.status == Status::Trialing && self.ends_at().is_none())
    }

    /// The tiers before and now, where they differ.
    pub fn tier_change(&self) -> Option<(&'a str, &'a str)> {
        let before = self.before.as_ref()?.tier?;
        let now = self.tier?;
        (before != now && !self.said.status.is_terminal()).then_some((before, now))
    }

    fn was_ever_paid_for(&self) -> bool {
        !matches!(
            self.said.status,
            Status::Incomplete | Status::IncompleteExpired
        )
    }

    /// Whether somebody changed their mind: it was to end and is not any more, or it was paused.
    fn is_back(&self) -> bool {
        let Some(before) = &self.before else {
            return false;
        };
        let goes_on = matches!(self.said.status, Status::Active | Status::Trialing);
        let was_to_end = before.ends_with_period && !self.said.ends_with_period();
        goes_on && (was_to_end || *before.status == Status::Paused)
    }

    fn event(
        &self,
        event_type: &'static str,
        occasion: Option<String>,
        description: String,
    ) -> NewEvent {
        let id = &self.said.id;
        NewEvent {
            event_type,
            occasion: occasion.map_or_else(|| id.clone(), |more| format!("{id}:{more}")),
            amount: None,
            description,
            occurred_at: self.now,
        }
    }
}

/// Everything there is to tell of a subscription as it is now.
pub fn of_subscription(news: &SubscriptionNews) -> Vec<NewEvent> {
    let said = news.said;
    let now = second(news.now);
    let mut events = Vec::new();
    if let Some(tier) = news.tier.filter(|_| news.was_ever_paid_for()) {
        let text = format!("Subscription created: {tier}");
        let mut created = news.event("subscription_created", None, text);
        created.amount = Some(Amount::of(0, news.currency));
        created.occurred_at = said.created.unwrap_or(news.now);
        events.push(created);
    }
    if let Some(at) = news.trial_ends_at().map(second) {
        let text = format!("Trial ends on {at}");
        events.push(news.event("trial_ending", Some(at), text));
    }
    if let Some(at) = news.ends_at().map(second) {
        let text = format!("Subscription scheduled for cancellation on {at}");
        events.push(news.event("subscription_cancel_scheduled", Some(at), text));
    }
    if let Some((from, to)) = news.tier_change() {
        let occasion = format!("{from}:{to}:{now}");
        let text = format!("Plan changed from {from} to {to}");
        events.push(news.event("subscription_tier_changed", Some(occasion), text));
    }
    if news.is_back() {
        let text = "Subscription reactivated".to_owned();
        events.push(news.event("subscription_reactivated", Some(now), text));
    }
    if said.status == Status::Canceled {
        let text = "Subscription cancelled, downgraded to free tier".to_owned();
        let mut deleted = news.event("subscription_deleted", None, text);
        deleted.occurred_at = said.ended_at.or(said.canceled_at).unwrap_or(news.now);
        events.push(deleted);
    }
    events
}
