//! The periods of an account: which time is billed, to whom and by what terms.
//!
//! A subscriber's periods are Stripe's, a month of them where they are years; without a subscription they are
//! the months of UTC. They tile time. What is not closed yet follows what Stripe says; what is closed stays.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{terms::Terms, waivers::Waiver};
use crate::{
    plans::{Catalogue, Tier, Window},
    usage::{
        entitlement::DEFAULT_PRODUCT,
        windows::{Calendar, Cycle, Span},
    },
};

/// Before this nothing was used and nobody owed anything: the first period of every account begins here.
pub const PREHISTORY: DateTime<Utc> = DateTime::from_timestamp(946_684_800, 0).expect("in range");

/// One subscription that was paid for at some time, as far as periods depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    pub subscription_ref: String,
    pub customer_ref: String,
    /// None: no price of it was ever known.
    pub tier: Option<String>,
    pub began_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// When a trial was put on it that it did not begin with.
    pub trial_put_on_at: Option<DateTime<Utc>>,
    /// The last one.
    pub pause: Option<Pause>,
    /// The period that runs, as Stripe said last.
    pub period: Option<Span>,
    /// Where its months are counted from.
    pub anchor_at: Option<DateTime<Utc>>,
    /// When Stripe said all this.
    pub told_at: DateTime<Utc>,
}

impl Subscribed {
    fn is_paused_at(&self, at: DateTime<Utc>) -> bool {
        self.pause.is_some_and(|pause| {
            pause.since <= at && pause.until.is_none_or(|resumed_at| at < resumed_at)
        })
    }
}

/// When a subscription stood still itself: nothing is owed for that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    pub since: DateTime<Utc>,
    /// None: it still does.
    pub until: Option<DateTime<Utc>>,
}

/// The last period that is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    pub period: Period,
    pub is_closed: bool,
}

/// A period as it is, or as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    pub span: Span,
    /// None: nobody pays for it.
    pub payer: Option<Payer>,
    pub terms: Terms,
    pub waiver: Option<Waiver>,
    /// When Stripe said what the terms follow from. Before the period's start: they are what was expected of it.
    /// None: nobody pays for it, or it was not kept.
    pub known_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    pub subscription_ref: String,
    pub customer_ref: String,
}

/// What has to change for the periods to tile time up to now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What the last period has to become; None: it is right, or closed.
    pub last: Option<Period>,
    /// What follows it, in order.
    pub following: Vec<Period>,
}

/// The periods of an account up to the one that contains `now`.
pub fn plan(
    catalogue: &Catalogue,
    last: Option<&Last>,
    subscriptions: &[Subscribed],
    now: DateTime<Utc>,
) -> Plan {
    let timeline = Timeline {
        catalogue,
        subscriptions,
    };
    let Some(last) = last else {
        let begins_at = timeline.begin_of_now(now);
        let prehistory = Period {
            span: Span {
                starts_at: PREHISTORY,
                ends_at: begins_at,
            },
            payer: None,
            terms: Terms::of(catalogue.free_tier(DEFAULT_PRODUCT), &catalogue.currency),
            waiver: None,
            known_at: None,
        };
        let mut following = vec![prehistory];
        following.extend(timeline.from(begins_at, now));
        return Plan {
            last: None,
            following,
        };
    };
    if last.is_closed {
        return Plan {
            last: None,
            following: timeline.from(last.period.span.ends_at, now).collect(),
        };
    }
    let begins_at = last.period.span.starts_at;
    let governing = timeline.governing(begins_at);
    let pause = governing.and_then(|one| one.pause);
    let mut wanted = timeline.from(begins_at, now);
    let first = wanted
        .next()
        .map(|first| continued(&last.period, first, pause, now));
    Plan {
        last: first.filter(|first| *first != last.period),
        following: wanted.collect(),
    }
}

/// What a period that has begun becomes: its allowance is the largest that was held in it. A plan that is news
/// only after its end is the next period's, and so is what is sold later under the same name. A plan that was only
/// expected of it was not held in it. `pause` is the last one of who pays.
fn continued(stored: &Period, wanted: Period, pause: Option<Pause>, now: DateTime<Utc>) -> Period {
    if stored.payer != wanted.payer {
        return wanted;
    }
    let begins_at = wanted.span.starts_at;
    let is_first_word = stored.known_at.is_some_and(|at| at < begins_at)
        && wanted.known_at.is_some_and(|at| at >= begins_at);
    let is_another_plan = stored.terms.tier != wanted.terms.tier;
    let terms = match is_another_plan && now < wanted.span.ends_at {
        true if is_first_word => wanted.terms,
        true => stored.terms.changed_to(&wanted.terms),
        false => stored.terms.clone(),
    };
    Period {
        terms,
        known_at: if is_first_word {
            wanted.known_at
        } else {
            stored.known_at
        },
        waiver: match pause {
            Some(pause) if pause.since <= begins_at => wanted.waiver,
            // The pause that waived it may have been one before.
            _ => stored.waiver.or(wanted.waiver),
        },
        ..wanted
    }
}

struct Timeline<'a> {
    catalogue: &'a Catalogue,
    subscriptions: &'a [Subscribed],
}

impl Timeline<'_> {
    /// The periods from `at` on, up to the one that contains `now`; none if `at` is still to come.
    fn from(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> impl Iterator<Item = Period> {
        let mut at = at;
        std::iter::from_fn(move || {
            if at > now {
                return None;
            }
            let period = self.period_from(at);
            at = period.span.ends_at;
            Some(period)
        })
    }

    /// Where the period begins that contains `now`, when nothing is known of what was before.
    fn begin_of_now(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let natural = self.natural(self.governing(now), now).starts_at;
        let turns = self.subscriptions.iter().flat_map(turns);
        turns
            .filter(|turn| *turn <= now)
            .fold(natural, DateTime::max)
    }

    fn period_from(&self, starts_at: DateTime<Utc>) -> Period {
        let governing = self.governing(starts_at);
        let natural = self.natural(governing, starts_at);
        let turns = self.subscriptions.iter().flat_map(turns);
        // Another subscription's turn cuts only where it changes who pays.
        let cuts = turns.filter(|turn| {
            let own = governing.is_some_and(|one| turns_of(one, *turn));
            *turn > starts_at && (own || self.governing(*turn) != governing)
        });
        let span = Span {
            starts_at,
            ends_at: cuts.fold(natural.ends_at, DateTime::min),
        };
        let mut terms = Terms::of(self.tier(governing), &self.catalogue.currency);
        let pause = governing.and_then(|one| one.pause);
        let goes_on = pause
            .is_some_and(|pause| pause.until == Some(starts_at) && pause.since > natural.starts_at);
        if goes_on {
            // The part of this month before the pause has it.
            terms.number_fee_minor = 0;
        }
        Period {
            span,
            payer: governing.map(|one| Payer {
                subscription_ref: one.subscription_ref.clone(),
                customer_ref: one.customer_ref.clone(),
            }),
            terms,
            waiver: governing
                .filter(|one| one.is_paused_at(starts_at))
                .map(|_| Waiver::Paused),
            known_at: governing.map(|one| one.told_at),
        }
    }

    fn natural(&self, governing: Option<&Subscribed>, at: DateTime<Utc>) -> Span {
        let cycle = governing.and_then(|one| {
            let current = one.period.filter(|span| span.starts_at < span.ends_at)?;
            Some(Cycle {
                began_at: one.began_at.min(current.starts_at),
                current,
                anchor_at: one.anchor_at,
            })
        });
        let zone = Tz::UTC;
        Calendar { zone, cycle }.span(Window::Cycle, at)
    }

    /// Who pays for an instant: of the subscriptions there were, one that did not stand still, whose plan bills
    /// usage, the best of those, and the newest of equals.
    fn governing(&self, at: DateTime<Utc>) -> Option<&Subscribed> {
        let there = self
            .subscriptions
            .iter()
            .filter(|one| one.began_at <= at && one.ended_at.is_none_or(|ended_at| at < ended_at));
        there.max_by(|a, b| self.worth(a, at).cmp(&self.worth(b, at)))
    }

    fn worth<'s>(
        &self,
        one: &'s Subscribed,
        at: DateTime<Utc>,
    ) -> (bool, bool, Option<u16>, DateTime<Utc>, &'s str) {
        let tier = one.tier.as_deref().and_then(|id| self.catalogue.tier(id));
        let bills = tier.is_some_and(|tier| !tier.overage.is_empty() || tier.number_fee_minor > 0);
        let rank = tier.map(|tier| tier.rank);
        let stands = !one.is_paused_at(at);
        (stands, bills, rank, one.began_at, &one.subscription_ref)
    }

    fn tier(&self, governing: Option<&Subscribed>) -> &Tier {
        governing
            .and_then(|one| self.catalogue.tier(one.tier.as_deref()?))
            .unwrap_or_else(|| self.catalogue.free_tier(DEFAULT_PRODUCT))
    }
}

/// The instants at which a subscription begins or ends to be owed for.
fn turns(one: &Subscribed) -> impl Iterator<Item = DateTime<Utc>> {
    let paused_at = one.pause.map(|pause| pause.since);
    let resumed_at = one.pause.and_then(|pause| pause.until);
    let all = [
        Some(one.began_at),
        one.ended_at,
        one.trial_put_on_at,
        paused_at,
        resumed_at,
    ];
    all.into_iter().flatten()
}

fn turns_of(one: &Subscribed, at: DateTime<Utc>) -> bool {
    turns(one).any(|turn| turn == at)
}

#[cfg(test)]
mod tests;
