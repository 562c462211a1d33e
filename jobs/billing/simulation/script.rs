//! What happens to one account: its subscription, its plans, what it uses, and when we are told.

use std::sync::LazyLock;

use chrono::{DateTime, Months, TimeDelta, Utc};

use crate::{dice::Dice, plans::Catalogue, usage::MicroUnits};

pub const METERS: [&str; 2] = ["sms", "voice_minutes"];
pub const NUMBER_ID: &str = "PN1";

/// Small allowances, so that a few events go beyond them; rates that round; one plan without an end.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let toml = r#"
        currency = "usd"
        feature = [
            { id = "voice_minutes", unit = "minute", decimals = 6 },
            { id = "sms", unit = "message", decimals = 0 },
        ]
        [[tier]]
        id = "free"
        product = "repx"
        name = "Free"
        rank = 0
        auto_provision_number = false
        included = { voice_minutes = 0, sms = 0 }
        [[tier]]
        id = "small"
        product = "repx"
        name = "Small"
        rank = 1
        auto_provision_number = true
        included = { voice_minutes = 10, sms = 5 }
        overage.voice_minutes = [{ up_to = 20, rate = 13000 }, { rate = 7500 }]
        overage.sms = 7500
        number_fee_minor = 50
        [[tier]]
        id = "large"
        product = "repx"
        name = "Large"
        rank = 2
        auto_provision_number = true
        included = { voice_minutes = 30, sms = 12 }
        overage = { voice_minutes = 11000, sms = 6500 }
        number_fee_minor = 30
        [[tier]]
        id = "endless"
        product = "repx"
        name = "Endless"
        rank = 3
        auto_provision_number = true
        included = { voice_minutes = -1, sms = 12 }
    "#;
    Catalogue::load(toml, |_| None).expect("the catalogue of the simulation is right")
});

pub fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

/// Something that was used, or taken back.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    pub meter: &'static str,
    pub quantity: MicroUnits,
    pub occurred_at: DateTime<Utc>,
}

/// A draft that Stripe makes when a period ends and goes on.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    pub at: DateTime<Utc>,
    pub finalizes_at: DateTime<Utc>,
    pub told_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// The plan changes, or the subscription ends.
    Turn,
    /// A renewal's draft is there.
    Renewed,
    /// A fact is reported, for the first time or once more.
    Reported(usize),
}

#[derive(Debug)]
pub struct Script {
    pub began_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// The plans, each from its instant on; the first from the beginning.
    pub tiers: Vec<(DateTime<Utc>, &'static str)>,
    pub facts: Vec<Fact>,
    pub renewals: Vec<Renewal>,
    /// Held from, and until.
    pub number: (DateTime<Utc>, DateTime<Utc>),
    /// Where it began, and the ends of its months.
    pub bounds: Vec<DateTime<Utc>>,
    /// In order.
    pub agenda: Vec<(DateTime<Utc>, Happening)>,
}

const FIRST: DateTime<Utc> = DateTime::from_timestamp(1_893_456_000, 0).expect("in range");
/// More than any life has.
const MONTHS_MAX: u32 = 12;
/// Everything was told by then, counted from the last usage.
const ALL_IS_TOLD: TimeDelta = TimeDelta::days(45);

impl Script {
    pub fn new(dice: &mut Dice) -> Script {
        let began_at = FIRST + minutes(dice, 366 * 24 * 60);
        let months = 1 + dice.below(3) as u32;
        let used_until = nth_month(began_at, months);
        let mut script = Script {
            began_at,
            ended_at: None,
            tiers: vec![(began_at, tier(dice))],
            facts: Vec::new(),
            renewals: Vec::new(),
            number: (began_at + minutes(dice, 60 * 24 * 50), began_at),
            bounds: (0..MONTHS_MAX)
                .map(|nth| nth_month(began_at, nth))
                .collect(),
            agenda: Vec::new(),
        };
        script.number.1 = script.number.0 + minutes(dice, 60 * 24 * 50);
        script.number.1 = script.number.1.min(used_until);
        if dice.one_in(2) {
            script.ended_at = Some(script.instant_before(used_until, dice));
        }
        for _ in 0..dice.below(4) {
            let at = script.instant_before(used_until, dice);
            script.tiers.push((at, tier(dice)));
        }
        script.tiers.sort();
        for _ in 0..dice.below(14) + 4 {
            script.use_something(used_until, dice);
        }
        script.renew(used_until + ALL_IS_TOLD, dice);
        let turns = script.tiers[1..].iter().map(|(at, _)| *at);
        let turns = turns.chain(script.ended_at);
        let turns: Vec<_> = turns.map(|at| (at, Happening::Turn)).collect();
        script.agenda.extend(turns);
        script.agenda.sort();
        script
    }

    pub fn tier_at(&self, at: DateTime<Utc>) -> &'static str {
        let before = self.tiers.iter().rfind(|(from, _)| *from <= at);
        before.map_or(self.tiers[0].1, |(_, tier)| tier)
    }

    /// Never on a bound: those are whole minutes.
    fn instant_before(&self, end: DateTime<Utc>, dice: &mut Dice) -> DateTime<Utc> {
        let length = (end - self.began_at).num_minutes() as u64;
        self.began_at + minutes(dice, length) + TimeDelta::microseconds(333)
    }

    fn use_something(&mut self, until: DateTime<Utc>, dice: &mut Dice) {
        let meter = METERS[dice.below(2) as usize];
        let quantity = match (meter, dice.below(2)) {
            ("sms", _) => MicroUnits::of_units(1 + dice.below(20)),
            (_, 0) => MicroUnits::of_units(1 + dice.below(30)),
            _ => MicroUnits(1 + dice.below(9_000_000) as i64),
        };
        let bound = self.bounds[1 + dice.below(3) as usize];
        let occurred_at = match dice.below(6) {
            0 => bound,
            1 => bound - TimeDelta::microseconds(1),
            _ => self.instant_before(until, dice),
        };
        let told_at = occurred_at + delay(dice);
        let fact = Fact {
            meter,
            quantity,
            occurred_at,
        };
        self.report(fact, told_at, dice);
        if dice.one_in(3) {
            let taken_back = Fact {
                quantity: -quantity,
                ..fact
            };
            self.report(taken_back, told_at + delay(dice), dice);
        }
    }

    fn report(&mut self, fact: Fact, at: DateTime<Utc>, dice: &mut Dice) {
        let reported = Happening::Reported(self.facts.len());
        self.facts.push(fact);
        self.agenda.push((at, reported));
        if dice.one_in(3) {
            self.agenda.push((at + delay(dice), reported));
        }
    }

    fn renew(&mut self, until: DateTime<Utc>, dice: &mut Dice) {
        let ended_at = self.ended_at.unwrap_or(until);
        let bounds = self.bounds[1..].iter();
        for at in bounds.copied().take_while(|at| *at < ended_at) {
            let open_for = match dice.below(5) {
                0 => TimeDelta::hours(1 + dice.below(72) as i64),
                _ => TimeDelta::hours(1),
            };
            let told_after = match dice.below(3) {
                0 => TimeDelta::minutes(dice.below(180) as i64),
                _ => TimeDelta::minutes(dice.below(10) as i64),
            };
            self.renewals.push(Renewal {
                at,
                finalizes_at: at + open_for,
                told_at: at + told_after,
            });
            self.agenda.push((at, Happening::Renewed));
        }
    }
}

pub fn minutes(dice: &mut Dice, below: u64) -> TimeDelta {
    TimeDelta::minutes(dice.below(below.max(1)) as i64)
}

/// Until something is reported, or reported once more: mostly soon, at worst after weeks.
fn delay(dice: &mut Dice) -> TimeDelta {
    match dice.below(8) {
        0 => minutes(dice, 20 * 24 * 60),
        1 => minutes(dice, 26 * 60),
        2 | 3 => minutes(dice, 120),
        _ => TimeDelta::seconds(dice.below(60) as i64),
    }
}

fn tier(dice: &mut Dice) -> &'static str {
    ["small", "large", "small", "large", "endless"][dice.below(5) as usize]
}

fn nth_month(anchor: DateTime<Utc>, nth: u32) -> DateTime<Utc> {
    let at = anchor.checked_add_months(Months::new(nth));
    at.expect("the simulation ends in this century")
}
