//! The table at the end: medians of the rounds.

use std::path::{Path, PathBuf};

use crate::figures::{Figure, Goal};

/// What was measured so far.
pub struct Rows {
    /// How often each figure is measured.
    pub rounds: usize,
    figures: Vec<Figure>,
}

impl Rows {
    pub fn new(rounds: usize) -> Rows {
        Rows {
            rounds,
            figures: Vec::new(),
        }
    }

    /// A figure beside its reference, both of each round: the round with the median ratio stands for all.
    pub fn ratio(&mut self, name: &str, unit: &str, mut pairs: Vec<(f64, f64)>, goal: Goal) {
        pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (value, reference) = pairs[pairs.len() / 2];
        self.add(Figure::ratio(name, value, unit, reference, goal));
    }

    /// A figure that stands by itself.
    pub fn value(&mut self, name: &str, unit: &str, mut values: Vec<f64>, goal: Goal) {
        values.sort_by(f64::total_cmp);
        self.add(Figure::value(name, values[values.len() / 2], unit, goal));
    }

    fn add(&mut self, figure: Figure) {
        println!("{}", line(&figure));
        figure.write(&target().join("bench.json"));
        self.figures.push(figure);
    }

    /// As README shows it.
    pub fn print(&self) {
        println!("\n| what | measured | plain Postgres | ratio | goal | |");
        println!("|---|---:|---:|---:|---|---|");
        for figure in &self.figures {
            println!("{}", line(figure));
        }
    }
}

fn line(figure: &Figure) -> String {
    let number = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    format!(
        "| {} | {} {} | {} | {} | {} | {} |",
        figure.name.replace('_', " "),
        number(figure.value),
        figure.unit,
        optional(figure.reference),
        optional(figure.ratio),
        figure.goal,
        if figure.met { "met" } else { "missed" },
    )
}

/// The folder of the build.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}
