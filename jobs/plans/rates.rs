//! Rates as the catalogue writes them: one number, or a list of steps.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};

use crate::money::Rate;

/// A rate for a part of the units beyond the included ones; stored with the terms of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The last unit beyond the included ones that it is for. None: it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
    pub rate: Rate,
}

impl Step {
    /// So many micro-units of the major unit for every unit.
    pub fn flat(rate_micros: i64) -> Step {
        Step {
            up_to: None,
            rate: Rate(rate_micros),
        }
    }
}

/// Why these steps do not give every unit one price.
pub fn fault(steps: &[Step]) -> Option<String> {
    let Some((last, others)) = steps.split_last() else {
        return Some("there is no step; leave the meter out if nothing beyond is sold".to_owned());
    };
    if last.up_to.is_some() {
        return Some("the last step has no `up_to`, so that it has no end".to_owned());
    }
    let mut ends_before = 0;
    for step in others {
        match step.up_to {
            None => return Some("only the last step has no `up_to`".to_owned()),
            Some(end) if end <= ends_before => {
                return Some(format!(
                    "a step ends after the one before it: {end} after {ends_before}"
                ));
            }
            Some(end) => ends_before = end,
        }
    }
    let negative = steps.iter().find(|step| step.rate < Rate(0))?;
    Some(format!("a rate is zero or more, not {}", negative.rate.0))
}

/// The rates of each meter.
pub fn by_meter<'de, D>(deserializer: D) -> Result<BTreeMap<String, Vec<Step>>, D::Error>
where
    D: Deserializer<'de>,
{
    let written = BTreeMap::<String, Written>::deserialize(deserializer)?;
    let steps = written.into_iter().map(|(meter, rates)| (meter, rates.0));
    Ok(steps.collect())
}

struct Written(Vec<Step>);

/// As in the catalogue, where a word that is not known is a slip.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    up_to: Option<u64>,
    rate: i64,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(NumberOrSteps)
    }
}

/// Not an untagged enum: of that one would be told that no variant matches, and not what is wrong.
struct NumberOrSteps;

impl<'de> Visitor<'de> for NumberOrSteps {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate or a list of steps")
    }

    fn visit_i64<E>(self, rate_micros: i64) -> Result<Written, E> {
        Ok(Written(vec![Step::flat(rate_micros)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut written: A) -> Result<Written, A::Error> {
        let mut steps = Vec::new();
        while let Some(WrittenStep { up_to, rate }) = written.next_element()? {
            steps.push(Step {
                up_to,
                rate: Rate(rate),
            });
        }
        Ok(Written(steps))
    }
}
