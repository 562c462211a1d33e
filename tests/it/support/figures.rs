//! What was measured or proven, as one row of `target/soak.json` or `target/bench.json`.

#![allow(dead_code, reason = "proofs and measurements each use a part of it")]

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

/// One row. `ratio` is `value / reference` where there is something to compare with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub reference: Option<f64>,
    pub ratio: Option<f64>,
    pub goal: String,
    pub met: bool,
}

/// What the ratio (or, without a reference, the value) is to be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Exactly(f64),
}

impl Figure {
    /// A value that is good or bad by itself.
    pub fn value(name: &str, value: f64, unit: &str, goal: Goal) -> Figure {
        Figure::of(name, value, unit, None, goal)
    }

    /// A value beside what it is compared with, in the same unit.
    pub fn ratio(name: &str, value: f64, unit: &str, reference: f64, goal: Goal) -> Figure {
        Figure::of(name, value, unit, Some(reference), goal)
    }

    fn of(name: &str, value: f64, unit: &str, reference: Option<f64>, goal: Goal) -> Figure {
        let ratio = reference.map(|reference| value / reference);
        let judged = ratio.unwrap_or(value);
        let (goal, met) = match goal {
            Goal::AtLeast(least) => (format!("≥ {least}"), judged >= least),
            Goal::AtMost(most) => (format!("≤ {most}"), judged <= most),
            Goal::Exactly(exactly) => (format!("= {exactly}"), judged == exactly),
        };
        Figure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            reference,
            ratio,
            goal,
            met,
        }
    }

    /// Put it into a file of figures, in the place of an older one of that name.
    pub fn write(&self, file: &Path) {
        let mut all: Vec<Figure> = fs::read(file).map_or_else(
            |_| Vec::new(),
            |json| serde_json::from_slice(&json).expect("the file holds figures"),
        );
        match all.iter_mut().find(|figure| figure.name == self.name) {
            Some(older) => *older = self.clone(),
            None => all.push(self.clone()),
        }
        let json = serde_json::to_vec_pretty(&all).expect("figures are JSON");
        fs::write(file, json).expect("target/ can be written to");
    }
}
