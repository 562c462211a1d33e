//! What calls and messages cost at the provider: as it says itself, and until it does by its list prices.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::outbound::Carrier;
use crate::{money::Rate, usage::MicroUnits};

/// The currency of every cost: what the provider says in another one counts as not known.
pub const CURRENCY: &str = "USD";

/// What the providers list, for each unit that they bill; in the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPrices {
    pub inbound_minute: Rate,
    pub toll_free_inbound_minute: Rate,
    pub outbound_minute: Rate,
    pub message_segment: Rate,
    pub voipms_message_segment: Rate,
}

/// A price as Twilio writes it (`-0.00850`, negative: it is taken), in millionths. None: it is not known yet, or in
/// another currency.
pub fn read_price(price: Option<&str>, currency: Option<&str>) -> Option<i64> {
    currency.filter(|currency| currency.eq_ignore_ascii_case(CURRENCY))?;
    let price = price?.trim();
    let amount = price.strip_prefix('-').unwrap_or(price);
    MicroUnits::of_decimal(amount).map(|amount| amount.0)
}

/// What kind of use it was, by the names under which apps know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    CallMinutes,
    SmsSent,
    SmsReceived,
    MmsSent,
    MmsReceived,
}

impl Kind {
    pub const ALL: [Kind; 5] = [
        Kind::CallMinutes,
        Kind::SmsSent,
        Kind::SmsReceived,
        Kind::MmsSent,
        Kind::MmsReceived,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::CallMinutes => "call_minutes",
            Kind::SmsSent => "sms_sent",
            Kind::SmsReceived => "sms_received",
            Kind::MmsSent => "mms_sent",
            Kind::MmsReceived => "mms_received",
        }
    }

    pub fn of(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub fn is_call(self) -> bool {
        self == Kind::CallMinutes
    }

    pub fn is_inbound(self) -> bool {
        matches!(self, Kind::SmsReceived | Kind::MmsReceived)
    }

    pub fn has_media(self) -> bool {
        matches!(self, Kind::MmsSent | Kind::MmsReceived)
    }
}

/// Calls or messages that are alike: of one kind, one way, and either all of known cost or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub carrier: Carrier,
    pub is_call: bool,
    pub is_inbound: bool,
    pub has_media: bool,
    /// Of inbound calls: the number that was called.
    pub called: Option<String>,
    pub count: u64,
    /// Minutes or segments.
    pub quantity: MicroUnits,
    /// How long the calls were.
    pub seconds: u64,
    /// As the provider said.
    pub cost_micros: Option<i64>,
}

/// What something costs, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub micros: i64,
    /// The provider has not said it yet, or not of all of it.
    pub is_estimated: bool,
}

impl Used {
    pub fn kind(&self) -> Kind {
        match (self.is_call, self.has_media, self.is_inbound) {
            (true, ..) => Kind::CallMinutes,
            (false, false, false) => Kind::SmsSent,
            (false, false, true) => Kind::SmsReceived,
            (false, true, false) => Kind::MmsSent,
            (false, true, true) => Kind::MmsReceived,
        }
    }

    pub fn cost(&self, prices: &ListPrices) -> Cost {
        if let Some(micros) = self.cost_micros {
            return Cost {
                micros,
                is_estimated: false,
            };
        }
        let is_toll_free = self.called.as_deref().is_some_and(is_toll_free);
        let Rate(rate) = match (self.is_call, self.is_inbound) {
            (false, _) if self.carrier == Carrier::Voipms => prices.voipms_message_segment,
            (false, _) => prices.message_segment,
            (true, false) => prices.outbound_minute,
            (true, true) if is_toll_free => prices.toll_free_inbound_minute,
            (true, true) => prices.inbound_minute,
        };
        // What is billed is billed in whole units: nothing is rounded off.
        let micros = i128::from(self.quantity.0) * i128::from(rate) / 1_000_000;
        Cost {
            micros: i64::try_from(micros).unwrap_or(i64::MAX),
            is_estimated: true,
        }
    }
}

/// Numbers in North America that cost the one who is called.
fn is_toll_free(number: &str) -> bool {
    const AREAS: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];
    let area = number.strip_prefix("+1").and_then(|rest| rest.get(..3));
    area.is_some_and(|area| AREAS.contains(&area))
}

/// What was used of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    pub count: u64,
    pub quantity: MicroUnits,
    pub seconds: u64,
    pub cost: Cost,
}

impl Total {
    fn plus(self, other: Total) -> Total {
        Total {
            count: self.count + other.count,
            quantity: self.quantity + other.quantity,
            seconds: self.seconds + other.seconds,
            cost: Cost {
                micros: self.cost.micros.saturating_add(other.cost.micros),
                is_estimated: self.cost.is_estimated || other.cost.is_estimated,
            },
        }
    }
}

/// By kind; of what was not used there is nothing.
pub fn totals(used: &[Used], prices: &ListPrices) -> BTreeMap<Kind, Total> {
    let mut totals = BTreeMap::<Kind, Total>::new();
    for used in used {
        let of_kind = totals.entry(used.kind()).or_default();
        *of_kind = of_kind.plus(Total {
            count: used.count,
            quantity: used.quantity,
            seconds: used.seconds,
            cost: used.cost(prices),
        });
    }
    totals
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICES: ListPrices = ListPrices {
        inbound_minute: Rate(8_500),
        toll_free_inbound_minute: Rate(22_000),
        outbound_minute: Rate(14_000),
        message_segment: Rate(8_300),
        voipms_message_segment: Rate(7_500),
    };

    fn call(is_inbound: bool, called: &str, minutes: u64, cost_micros: Option<i64>) -> Used {
        Used {
            carrier: Carrier::Twilio,
            is_call: true,
            is_inbound,
            has_media: false,
            called: Some(called.to_owned()),
            count: 1,
            quantity: MicroUnits::of_units(minutes),
            seconds: minutes * 60,
            cost_micros,
        }
    }

    #[test]
    fn a_price_is_read_as_the_provider_writes_it_and_never_guessed() {
        for (price, currency, expected) in [
            (Some("-0.00850"), Some("USD"), Some(8_500)),
            (Some("-0.0085"), Some("usd"), Some(8_500)),
            (Some("0"), Some("USD"), Some(0)),
            (Some("-12"), Some("USD"), Some(12_000_000)),
            (Some("-0.00000149"), Some("USD"), Some(1)),
            (None, Some("USD"), None),
            (Some("-0.0085"), Some("EUR"), None),
            (Some("-0.0085"), None, None),
            (Some(""), Some("USD"), None),
            (Some("-.5"), Some("USD"), None),
            (Some("-1e-3"), Some("USD"), None),
            (Some("-99999999999999999999"), Some("USD"), None),
        ] {
            assert_eq!(read_price(price, currency), expected, "{price:?}");
        }
    }

    #[test]
    fn what_the_provider_said_counts_and_until_then_its_list() {
        for (used, micros, is_estimated) in [
            (call(true, "+14155550100", 3, None), 25_500, true),
            (call(true, "+18005550100", 3, None), 66_000, true),
            (call(false, "+18005550100", 3, None), 42_000, true),
            (call(true, "+14155550100", 3, Some(24_000)), 24_000, false),
        ] {
            let expected = Cost {
                micros,
                is_estimated,
            };
            assert_eq!(used.cost(&PRICES), expected, "{used:?}");
        }
    }

    #[test]
    fn every_kind_reads_back_from_its_name_and_its_marks() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.as_str()), Some(kind));
            let used = Used {
                is_call: kind.is_call(),
                is_inbound: kind.is_inbound(),
                has_media: kind.has_media(),
                ..call(false, "", 1, None)
            };
            assert_eq!(used.kind(), kind);
        }
    }

    proptest! {
        /// However alike uses are put together, they come to the same.
        #[test]
        fn what_is_summed_first_costs_the_same(
            minutes in proptest::collection::vec(1u64..600, 1..9),
        ) {
            let single: Vec<Used> = minutes
                .iter()
                .map(|minutes| call(true, "+14155550100", *minutes, None))
                .collect();
            let sum = call(true, "+14155550100", minutes.iter().sum(), None);
            let together = Used { count: minutes.len() as u64, ..sum };
            prop_assert_eq!(totals(&single, &PRICES), totals(&[together], &PRICES));
        }
    }
}
