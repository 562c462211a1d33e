//! One request, with the rights and windows it falls under.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tollkeeper_jobs::{
    plans::Window,
    usage::{
        Allowance, Entitlement, MicroUnits, Span,
        allowance::{self, decide, warning},
    },
};
use uuid::Uuid;

use super::super::{
    Account, Receipt, Request, Rules, Verdict, judge::used, notice::Crossing, outcome::Grounds,
};
use crate::db::usage::{
    counters::{self, Count, CounterKey},
    events::NewEvent,
    holds::Hold,
    keys::NewKey,
};

pub(super) struct Line<'a> {
    pub request: &'a Request,
    /// Of the event or the hold that it may become.
    pub id: Uuid,
    entitlement: Entitlement<'a>,
    allowance: Allowance,
    window: Window,
    span: Span,
    day: NaiveDate,
    day_span: Span,
    occurred_at: DateTime<Utc>,
}

impl<'a> Line<'a> {
    pub fn of(
        request: &'a Request,
        account: &Account,
        rules: &'a Rules,
        now: DateTime<Utc>,
    ) -> Line<'a> {
        let entitlement = rules.entitlement(account);
        let occurred_at = request.occurred_at.unwrap_or(now);
        let (allowance, window) = allowance::of_feature(entitlement.tier, &request.feature);
        let calendar = account.calendar(entitlement.cycle);
        let found = (window, calendar.span(window, occurred_at));
        let (window, span) = request.window.unwrap_or(found);
        let (mut day, mut day_span) = calendar.day(occurred_at);
        if window == Window::Day {
            (day, day_span) = (calendar.day(span.starts_at).0, span);
        }
        Line {
            request,
            id: Uuid::now_v7(),
            allowance,
            window,
            span,
            day,
            day_span,
            occurred_at,
            entitlement,
        }
    }

    pub fn key(&self) -> Option<NewKey> {
        let key = self.request.key.as_ref()?;
        let feature = match key.is_per_feature {
            true => self.request.feature.clone(),
            false => String::new(),
        };
        Some(NewKey {
            account_id: self.request.account_id.clone(),
            source: self.request.source,
            source_id: key.source_id.clone(),
            feature,
            event_id: self.id,
            request_sha256: key.request_sha256.to_vec(),
        })
    }

    /// The counter of the window its limit is for.
    pub fn counter(&self) -> CounterKey {
        self.counter_of(self.window, self.span)
    }

    fn counter_of(&self, window: Window, span: Span) -> CounterKey {
        CounterKey {
            account_id: self.request.account_id.clone(),
            per: window.as_str().to_owned(),
            starts_at: span.starts_at,
            feature: self.request.feature.clone(),
        }
    }

    /// Every counter that it changes.
    pub fn windows(&self) -> impl Iterator<Item = counters::Window> {
        let day = counters::Window {
            key: self.counter_of(Window::Day, self.day_span),
            ends_at: self.day_span.ends_at,
            day: Some(self.day),
        };
        let other = (self.window != Window::Day).then(|| counters::Window {
            key: self.counter(),
            ends_at: self.span.ends_at,
            day: None,
        });
        [Some(day), other].into_iter().flatten()
    }

    pub fn judge(&self, count: Count) -> Verdict {
        let (used, requested) = (used(count), self.request.quantity);
        let decision = decide(self.allowance, self.entitlement.lost, used, requested);
        let grounds = Grounds {
            tier: &self.entitlement.tier.id,
            feature: &self.request.feature,
            allowance: self.allowance,
            window: self.window,
            resets_at: self.span.ends_at,
        };
        Verdict::of(&grounds, used, requested, decision)
    }

    pub fn event(&self) -> NewEvent {
        let request = self.request;
        let source_id = match &request.key {
            Some(key) => key.source_id.clone(),
            None => self.id.to_string(),
        };
        NewEvent {
            event_id: self.id,
            account_id: request.account_id.clone(),
            feature: request.feature.clone(),
            source: request.source.to_owned(),
            source_id,
            quantity: request.quantity.0,
            occurred_at: self.occurred_at,
            per: self.window.as_str().to_owned(),
            window_starts_at: self.span.starts_at,
            window_ends_at: self.span.ends_at,
            day: self.day,
            day_starts_at: self.day_span.starts_at,
            day_ends_at: self.day_span.ends_at,
            tier: self.entitlement.tier.id.clone(),
            app_name: request.app_name.clone(),
            metadata: request.metadata.clone(),
            reversal_of: None,
        }
    }

    pub fn hold(&self, now: DateTime<Utc>, lasts: Duration) -> Hold {
        let lasts = TimeDelta::from_std(lasts).unwrap_or(TimeDelta::MAX);
        Hold {
            hold_id: self.id,
            account_id: self.request.account_id.clone(),
            feature: self.request.feature.clone(),
            per: self.window.as_str().to_owned(),
            window_starts_at: self.span.starts_at,
            quantity: self.request.quantity.0,
            state: "held".to_owned(),
            created_at: now,
            expires_at: now + lasts,
            settled_quantity: None,
            ended_at: None,
            made_by: self.request.source.to_owned(),
            app_name: self.request.app_name.clone(),
            metadata: self.request.metadata.clone(),
            window_ends_at: Some(self.span.ends_at),
        }
    }

    /// `used` of its window, this use included.
    pub fn receipt(&self, used: MicroUnits, now: DateTime<Utc>) -> Receipt {
        Receipt {
            event_id: self.id,
            feature: self.request.feature.clone(),
            quantity: self.request.quantity,
            tier: self.entitlement.tier.id.clone(),
            at: now,
            warning: warning(&self.request.feature, self.allowance, used),
        }
    }

    /// The thresholds that lie between two counts of its window.
    pub fn crossings(&self, before: MicroUnits, after: MicroUnits) -> Vec<Crossing> {
        allowance::crossed(self.allowance, before, after)
            .map(|percent| Crossing {
                account_id: self.request.account_id.clone(),
                feature: self.request.feature.clone(),
                tier: self.entitlement.tier.id.clone(),
                window: self.window,
                span: self.span,
                percent,
                used: after,
                limit: self.allowance.limit().unwrap_or_default(),
                is_billable: matches!(self.allowance, Allowance::Billable { .. }),
            })
            .collect()
    }
}
