//! What is known of an account, as far as its rights and windows depend on it.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    stripe::Status,
    usage::{Calendar, Cycle, Span, Subscribed},
};

use crate::db::{
    subscriptions::Subscription,
    usage::facts::{self, Fact},
};

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub zone: Tz,
    /// The newest first.
    pub subscriptions: Vec<Subscribed>,
    /// Their ids at Stripe, in the same order.
    pub subscription_refs: Vec<String>,
}

impl Account {
    pub fn calendar(&self, cycle: Option<Cycle>) -> Calendar {
        Calendar {
            zone: self.zone,
            cycle,
        }
    }

    /// These accounts by their ids. One that nobody knows is there too, without any subscription.
    pub async fn load<'a>(
        conn: &mut PgConnection,
        account_ids: impl IntoIterator<Item = &'a str>,
    ) -> sqlx::Result<BTreeMap<String, Account>> {
        let wanted: BTreeSet<&str> = account_ids.into_iter().collect();
        let wanted: Vec<&str> = wanted.into_iter().collect();
        let mut accounts = BTreeMap::<String, Account>::new();
        for fact in facts::of_accounts(conn, &wanted).await? {
            let account = accounts.entry(fact.account_id.clone()).or_default();
            account.learn(fact);
        }
        Ok(accounts)
    }

    /// An account of which everything was read elsewhere.
    pub fn of(subscriptions: &[Subscription]) -> Account {
        Account {
            zone: Tz::UTC,
            subscription_refs: subscriptions
                .iter()
                .map(|one| one.subscription_ref.clone())
                .collect(),
            subscriptions: subscriptions.iter().map(subscribed).collect(),
        }
    }

    fn learn(&mut self, fact: Fact) {
        // A zone is checked before it is stored; one that a later release of the zones dropped is UTC.
        let zone = fact.time_zone.as_deref().map(str::parse);
        self.zone = zone.and_then(Result::ok).unwrap_or_default();
        let (Some(subscription_ref), Some(status), Some(created_at)) =
            (fact.subscription_ref, fact.status, fact.created_at)
        else {
            return;
        };
        let period = fact.period_starts_at.zip(fact.period_ends_at);
        self.subscription_refs.push(subscription_ref);
        self.subscriptions.push(Subscribed {
            status: Status::from(status.as_str()),
            tier: fact.tier,
            created_at,
            past_due_since: fact.past_due_since,
            period: period.map(|(starts_at, ends_at)| Span { starts_at, ends_at }),
            anchor_at: fact.anchor_at,
        });
    }
}

fn subscribed(subscription: &Subscription) -> Subscribed {
    let period = subscription
        .period_starts_at
        .zip(subscription.period_ends_at);
    Subscribed {
        status: Status::from(subscription.status.as_str()),
        tier: subscription.tier.clone(),
        created_at: subscription.created_at,
        past_due_since: subscription.past_due_since,
        period: period.map(|(starts_at, ends_at)| Span { starts_at, ends_at }),
        anchor_at: subscription.anchor_at,
    }
}
