//! The simulated customers: what each does on which day. All luck comes from the seed.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper_jobs::usage::MicroUnits;

use crate::{
    cli::sandbox::monthly_price_id,
    sandbox::stripe::SignedUp,
    usage::{How, Key, Request, SOURCE_APP},
};

/// Two that bill usage, and one that does not.
const TIERS: [&str; 3] = ["ai_secretary", "ai_project_manager", "repx2"];
/// Everybody has signed up by then.
const JOIN_WITHIN: u32 = 28;
/// An app reports what was used once a week.
const REPORT_EVERY: u32 = 7;
const USES_OF_A_REPORT: usize = 5;
/// Of all reports: sent twice; with a use that is long past.
const TWICE: f64 = 0.1;
const LATE: f64 = 0.05;
const LATE_DAYS_MAX: i64 = 45;
/// Of all customers and days.
const LEAVES: f64 = 0.0007;
const CHANGES: f64 = 0.0007;
const CARD_FAILS: f64 = 0.001;
/// A new card is given after so many days, by most.
const NEW_CARD_AFTER: u32 = 6;
const GIVES_NEW_CARD: f64 = 0.8;

pub struct Person {
    pub account_id: String,
    pub tier: usize,
    joins_on: u32,
    pub signed_up: Option<(SignedUp, DateTime<Utc>)>,
    has_left: bool,
    new_card_on: Option<u32>,
    /// What is used at a time: minutes and messages.
    usual: [u64; 2],
    uses: u32,
}

/// What somebody does, beside using the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Leave,
    LeaveAtPeriodEnd,
    ChangeTo(usize),
    CardFails,
    NewCard,
}

pub struct People {
    pub all: Vec<Person>,
    dice: StdRng,
}

impl People {
    pub fn of_seed(seed: u64, count: usize) -> People {
        let mut dice = StdRng::seed_from_u64(seed);
        let all = (0..count).map(|nth| Person {
            account_id: format!("customer-{nth:05}"),
            tier: dice.random_range(0..TIERS.len()),
            joins_on: dice.random_range(0..JOIN_WITHIN),
            signed_up: None,
            has_left: false,
            new_card_on: None,
            usual: [dice.random_range(5..40), dice.random_range(2..30)],
            uses: 0,
        });
        People {
            all: all.collect(),
            dice,
        }
    }

    /// Who signs up on a day, and for which price.
    pub fn joining(&self, day: u32) -> Vec<(usize, String)> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, person)| person.joins_on == day)
            .map(|(nth, person)| (nth, price(person.tier)))
            .collect()
    }

    /// What the customers' apps report on a day, a list for each request.
    pub fn reports(&mut self, day: u32, now: DateTime<Utc>) -> Vec<Vec<Request>> {
        let mut reports = Vec::new();
        for (nth, person) in self.all.iter_mut().enumerate() {
            let is_day = (day + nth as u32).is_multiple_of(REPORT_EVERY);
            let Some((_, joined_at)) = person.signed_up.as_ref().filter(|_| is_day) else {
                continue;
            };
            if person.has_left {
                continue;
            }
            let (joined_at, dice) = (*joined_at, &mut self.dice);
            let mut report = Vec::new();
            for _ in 0..USES_OF_A_REPORT {
                let back = match dice.random_bool(LATE) {
                    true => TimeDelta::days(dice.random_range(1..=LATE_DAYS_MAX)),
                    false => TimeDelta::minutes(dice.random_range(0..7 * 24 * 60)),
                };
                report.push(person.use_at((now - back).max(joined_at), dice));
            }
            if dice.random_bool(TWICE) {
                reports.push(report.clone());
            }
            reports.push(report);
        }
        reports
    }

    /// What somebody does on a day beside that.
    pub fn acts(&mut self, day: u32) -> Vec<(usize, Act)> {
        let mut acts = Vec::new();
        for (nth, person) in self.all.iter_mut().enumerate() {
            if person.signed_up.is_none() || person.has_left {
                continue;
            }
            if let Some(act) = person.act(day, &mut self.dice) {
                acts.push((nth, act));
            }
        }
        acts
    }
}

impl Person {
    fn use_at(&mut self, at: DateTime<Utc>, dice: &mut StdRng) -> Request {
        self.uses += 1;
        let meter = dice.random_range(0..2);
        let units = dice.random_range(1..=2 * self.usual[meter]);
        Request {
            account_id: self.account_id.clone(),
            feature: ["voice_minutes", "sms"][meter].to_owned(),
            quantity: MicroUnits::of_units(units),
            how: How::Track,
            source: SOURCE_APP,
            key: Some(Key {
                source_id: format!("{} {}", self.account_id, self.uses),
                is_per_feature: false,
                request_sha256: [0; 32],
            }),
            occurred_at: Some(at),
            window: None,
            app_name: None,
            metadata: None,
        }
    }

    fn act(&mut self, day: u32, dice: &mut StdRng) -> Option<Act> {
        if self.new_card_on == Some(day) {
            self.new_card_on = None;
            return Some(Act::NewCard);
        }
        if dice.random_bool(LEAVES) {
            self.has_left = true;
            let at_once = dice.random_bool(0.5);
            return Some(if at_once {
                Act::Leave
            } else {
                Act::LeaveAtPeriodEnd
            });
        }
        if dice.random_bool(CHANGES) {
            self.tier = (self.tier + dice.random_range(1..TIERS.len())) % TIERS.len();
            return Some(Act::ChangeTo(self.tier));
        }
        if self.new_card_on.is_none() && dice.random_bool(CARD_FAILS) {
            let gives = dice.random_bool(GIVES_NEW_CARD);
            self.new_card_on = gives.then_some(day + NEW_CARD_AFTER);
            return Some(Act::CardFails);
        }
        None
    }
}

/// The price of a tier, a month at a time.
pub fn price(tier: usize) -> String {
    monthly_price_id(TIERS[tier])
}
