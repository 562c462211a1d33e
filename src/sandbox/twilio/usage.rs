//! Usage Records: what each day (GMT) came to by category. A category is listed beside the ones that it is made of, so
//! that whoever adds all of them up counts twice, as at Twilio.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Twilio, listing, phone_log::day};
use crate::sandbox::wire::{Reply, Request};

/// So long after its end a call is in no count yet. Then it is in that of the day it began on.
const COUNTED_AFTER: TimeDelta = TimeDelta::hours(6);

/// How many there were, and what is billed of them.
type Sum = (u32, u32);

/// A category and what it is measured in; the names of those that it is a part of are what its own begins with.
const CATEGORIES: [(&str, &str, &str); 9] = [
    ("calls", "calls", "minutes"),
    ("calls-inbound", "calls", "minutes"),
    ("calls-inbound-local", "calls", "minutes"),
    ("calls-outbound", "calls", "minutes"),
    ("sms", "messages", "segments"),
    ("sms-inbound", "messages", "segments"),
    (SMS_INBOUND, "messages", "segments"),
    ("sms-outbound", "messages", "segments"),
    (SMS_OUTBOUND, "messages", "segments"),
];
const SMS_INBOUND: &str = "sms-inbound-longcode";
const SMS_OUTBOUND: &str = "sms-outbound-longcode";

impl Twilio {
    /// A row for each day and category, those of which there was nothing too.
    pub(super) fn daily_usage(
        &self,
        account: usize,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let today = now.date_naive();
        let first = day(request, "StartDate").unwrap_or(today);
        let last = day(request, "EndDate").unwrap_or(today).min(today);
        let days = first.iter_days().take_while(|day| *day <= last);
        let rows = days.flat_map(|day| self.rows(account_sid, day, now));
        Ok(listing::page(request, "usage_records", rows.collect()))
    }

    fn rows(&self, account_sid: &str, day: NaiveDate, now: DateTime<Utc>) -> Vec<Value> {
        let leaves = self.leaves(account_sid, day, now - COUNTED_AFTER);
        let all = CATEGORIES.into_iter();
        all.map(|(category, count_unit, usage_unit)| {
            let parts = leaves.iter().filter(|(leaf, _)| {
                let rest = leaf.strip_prefix(category);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            });
            let (count, usage) =
                parts.fold((0, 0), |sum, (_, part)| (sum.0 + part.0, sum.1 + part.1));
            json!({
                "account_sid": account_sid,
                "category": category,
                "count": count.to_string(),
                "count_unit": count_unit,
                "usage": usage.to_string(),
                "usage_unit": usage_unit,
                "start_date": day,
                "end_date": day,
                "as_of": now.to_rfc3339(),
                "price_unit": "usd",
                "api_version": "2010-04-01",
            })
        })
        .collect()
    }

    fn leaves(
        &self,
        account_sid: &str,
        day: NaiveDate,
        until: DateTime<Utc>,
    ) -> BTreeMap<&'static str, Sum> {
        let is_counted = |began_at: Option<DateTime<Utc>>, ended_at: Option<DateTime<Utc>>| {
            began_at.is_some_and(|at| at.date_naive() == day)
                && ended_at.is_some_and(|at| at <= until)
        };
        let mut leaves = BTreeMap::<_, Sum>::new();
        let mut add = |leaf, units| {
            let sum = leaves.entry(leaf).or_default();
            *sum = (sum.0 + 1, sum.1 + units);
        };
        for call in &self.calls {
            if call.account_sid == account_sid && is_counted(call.began_at(), call.ended_at) {
                let leaf = match call.is_inbound() {
                    true => "calls-inbound-local",
                    false => "calls-outbound",
                };
                add(leaf, call.minutes());
            }
        }
        for message in &self.messages {
            if message.account_sid == account_sid && is_counted(message.sent_at, message.sent_at) {
                let leaf = match message.is_inbound() {
                    true => SMS_INBOUND,
                    false => SMS_OUTBOUND,
                };
                add(leaf, 1);
            }
        }
        leaves
    }
}
