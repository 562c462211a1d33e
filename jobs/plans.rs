//! The plan catalogue: what each tier costs, includes and limits, and which price sells it.
//!
//! `plans.toml` is the catalogue; price ids come from settings, so that a test account and the real
//! one sell the same tiers. A tier follows from a price id and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{billing::NUMBER, telephony::costs::ListPrices};

mod rates;

pub use rates::Step;

/// The catalogue this service is built with.
pub const BUILT_IN: &str = include_str!("plans.toml");

#[derive(Debug, Clone)]
pub struct Catalogue {
    /// ISO 4217, lower case; of every amount in it.
    pub currency: String,
    /// The provider's, of calls and messages.
    pub list_prices: ListPrices,
    features: Vec<Feature>,
    tiers: Vec<Tier>,
    /// Price id to position in `tiers`.
    by_price: BTreeMap<String, usize>,
}

/// Something that is counted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    pub id: String,
    /// One of it, as a person calls it.
    pub unit: String,
    /// How many decimal places a quantity of it may have, six at most.
    pub decimals: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub id: String,
    /// Tiers are compared and named within a product.
    pub product: String,
    pub name: String,
    /// Higher is better; of several subscriptions the best one counts.
    pub rank: u16,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Whether a paying subscriber is given a phone number without asking.
    pub auto_provision_number: bool,
    #[serde(default)]
    pub prices: Vec<Price>,
    /// By feature.
    #[serde(default)]
    pub limits: BTreeMap<String, Limit>,
    /// Units per cycle that cost nothing more, by meter.
    #[serde(default)]
    pub included: BTreeMap<String, Quantity>,
    /// What the units beyond the included ones cost, by meter. No entry: there are none beyond.
    #[serde(default, deserialize_with = "rates::by_meter")]
    pub overage: BTreeMap<String, Vec<Step>>,
    /// Minor units per number and cycle.
    #[serde(default)]
    pub number_fee_minor: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The environment variable that holds the price id.
    pub setting: String,
    /// None: agreed with each customer.
    pub amount_minor: Option<i64>,
    pub every: Interval,
    #[serde(skip)]
    pub price_ref: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    Month,
    Year,
}

impl Interval {
    /// As a person is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Interval::Month => "month",
            Interval::Year => "year",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub max: Quantity,
    pub per: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// A day where the account is; in UTC where nothing is said.
    Day,
    /// A UTC month.
    Month,
    /// The billing period, a month of it where it is a year; the UTC month for who has none.
    Cycle,
}

impl Window {
    /// As it is stored; none of those is a cycle.
    pub fn of_stored(text: &str) -> Window {
        match text {
            "day" => Window::Day,
            "month" => Window::Month,
            _ => Window::Cycle,
        }
    }

    /// As stored, and as apps are told.
    pub fn as_str(self) -> &'static str {
        match self {
            Window::Day => "day",
            Window::Month => "month",
            Window::Cycle => "cycle",
        }
    }
}

/// How many units; written as a number, and as -1 where there is no end. The order is by how much it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    Units(u64),
    Unlimited,
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Quantity::Unlimited => serializer.serialize_i64(-1),
            Quantity::Units(units) => serializer.serialize_u64(*units),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        match i64::deserialize(deserializer)? {
            -1 => Ok(Quantity::Unlimited),
            units => u64::try_from(units).map(Quantity::Units).map_err(|_| {
                serde::de::Error::custom(format!("{units} is neither a quantity nor -1"))
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    currency: String,
    #[serde(default)]
    list_prices: ListPrices,
    feature: Vec<Feature>,
    tier: Vec<Tier>,
}

impl Catalogue {
    /// Read a catalogue and its price ids; `setting` looks one up by the variable's name. All faults
    /// are reported together.
    pub fn load(
        toml: &str,
        setting: impl Fn(&str) -> Option<String>,
    ) -> Result<Catalogue, Vec<String>> {
        let document: Document =
            toml::from_str(toml).map_err(|error| vec![format!("plan catalogue: {error}")])?;
        let mut tiers = document.tier;
        let mut by_price = BTreeMap::new();
        let mut faults = Vec::new();
        for (position, tier) in tiers.iter_mut().enumerate() {
            for price in &mut tier.prices {
                price.price_ref = setting(&price.setting)
                    .map(|value| value.trim().to_owned())
                    .filter(|value| !value.is_empty());
                let Some(price_ref) = &price.price_ref else {
                    continue;
                };
                if by_price.insert(price_ref.clone(), position).is_some() {
                    faults.push(format!(
                        "{}: the price {price_ref} is already sold under another setting",
                        price.setting
                    ));
                }
            }
        }
        check_tiers(&tiers, &mut faults);
        check_features(&document.feature, &tiers, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Catalogue {
            currency: document.currency,
            list_prices: document.list_prices,
            features: document.feature,
            tiers,
            by_price,
        })
    }

    /// The catalogue this service is built with, its price ids by the names of their settings.
    pub fn of_settings(price_ids: &BTreeMap<String, String>) -> Result<Catalogue, Vec<String>> {
        Catalogue::load(BUILT_IN, |setting| price_ids.get(setting).cloned())
    }

    /// Everything that is counted, in the order of the file.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The feature with this id.
    pub fn feature(&self, id: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.id == id)
    }

    /// The tier of a product that costs nothing: what an account has that pays for none.
    pub fn free_tier(&self, product: &str) -> &Tier {
        self.tiers
            .iter()
            .filter(|tier| tier.product == product)
            .min_by_key(|tier| tier.rank)
            .unwrap_or(&self.tiers[0])
    }

    /// Every tier, in the order of the file.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The tier with this id.
    pub fn tier(&self, id: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.id == id)
    }

    /// The tier that a price sells. None: no setting names that price.
    pub fn tier_of_price(&self, price_ref: &str) -> Option<&Tier> {
        self.by_price
            .get(price_ref)
            .map(|position| &self.tiers[*position])
    }

    /// Which of an account's subscriptions counts, given as (status, tier), newest first: one that
    /// runs before one that is past due, and that before an ended one; the best tier of those, and
    /// the newest of equals. None: there is none.
    pub fn counting(&self, subscriptions: &[(&str, Option<&str>)]) -> Option<usize> {
        let worth = |(status, tier): &(&str, Option<&str>)| {
            let standing = match *status {
                "active" | "trialing" => 2,
                "past_due" => 1,
                _ => 0,
            };
            let rank = tier.and_then(|tier| self.tier(tier)).map(|tier| tier.rank);
            (standing, rank)
        };
        // The last of equals is taken: counted from behind, that is the newest.
        (0..subscriptions.len())
            .rev()
            .max_by_key(|at| worth(&subscriptions[*at]))
    }

    /// The tier an app calls by this name: an id, or an alias within the product.
    pub fn tier_named(&self, product: &str, name: &str) -> Option<&Tier> {
        let name = name.trim().to_ascii_lowercase();
        self.tiers
            .iter()
            .find(|tier| tier.product == product && tier.id == name)
            .or_else(|| {
                self.tiers
                    .iter()
                    .find(|tier| tier.product == product && tier.aliases.contains(&name))
            })
            .or_else(|| self.tier(&name))
    }
}

/// What a tier limits or includes is something that is counted.
fn check_features(features: &[Feature], tiers: &[Tier], faults: &mut Vec<String>) {
    if tiers.is_empty() {
        faults.push("the catalogue has no tier".to_owned());
    }
    for feature in features {
        if feature.decimals > 6 {
            faults.push(format!("feature {}: at most six decimals", feature.id));
        }
        if feature.id == NUMBER {
            faults.push(format!(
                "feature {NUMBER}: the name is that of phone numbers on a bill"
            ));
        }
    }
    let is_known = |id: &String| features.iter().any(|feature| feature.id == *id);
    for tier in tiers {
        for named in tier.limits.keys().chain(tier.included.keys()) {
            if !is_known(named) {
                faults.push(format!("tier {}: there is no feature {named}", tier.id));
            }
        }
    }
}

fn check_tiers(tiers: &[Tier], faults: &mut Vec<String>) {
    let mut ids = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut ranks = BTreeSet::new();
    for tier in tiers {
        if !ids.insert(tier.id.as_str()) {
            faults.push(format!("tier {}: the id is used twice", tier.id));
        }
        if !ranks.insert((tier.product.as_str(), tier.rank)) {
            faults.push(format!(
                "tier {}: rank {} is used twice",
                tier.id, tier.rank
            ));
        }
        for name in tier.aliases.iter().chain([&tier.id]) {
            if !names.insert((tier.product.as_str(), name.as_str())) {
                faults.push(format!(
                    "tier {}: the name {name:?} is used twice in {}",
                    tier.id, tier.product
                ));
            }
        }
        for (meter, steps) in &tier.overage {
            if let Some(fault) = rates::fault(steps) {
                faults.push(format!("tier {}: {meter}: {fault}", tier.id));
            }
            if !tier.included.contains_key(meter) {
                faults.push(format!(
                    "tier {}: {meter} has a rate and no included units",
                    tier.id
                ));
            }
        }
        if tier.number_fee_minor < 0 {
            faults.push(format!("tier {}: the number fee is negative", tier.id));
        }
    }
}

#[cfg(test)]
mod tests;
