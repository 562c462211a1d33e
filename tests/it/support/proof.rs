//! Proofs of the promises: in `make test` short, in `make soak` at full size, from the same code.

use std::{path::PathBuf, sync::Mutex};

use super::figures::{Figure, Goal};

/// Figures are written one at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Whether this is `make soak`.
pub fn is_soak() -> bool {
    std::env::var_os("TOLLKEEPER_SOAK").is_some()
}

/// The size of a proof: in `make test`, and in `make soak`.
pub fn size<T>(short: T, full: T) -> T {
    if is_soak() { full } else { short }
}

/// What a proof's chance comes from: drawn anew for every run and printed, or `TOLLKEEPER_SEED`.
pub fn seed(proof: &str) -> u64 {
    let given = std::env::var("TOLLKEEPER_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| {
        seed.parse().expect("TOLLKEEPER_SEED is a number")
    });
    println!("{proof}: TOLLKEEPER_SEED={seed}");
    seed
}

/// Of `reference` cases, `value` held: all must have.
#[track_caller]
pub fn all_held(name: &str, value: usize, unit: &str, reference: usize) {
    let goal = Goal::Exactly(1.0);
    shown(Figure::ratio(
        name,
        value as f64,
        unit,
        reference as f64,
        goal,
    ));
}

/// Print the figure, keep it in `target/soak.json` if it is of full size, and fail if it missed its goal.
#[track_caller]
pub fn shown(figure: Figure) {
    println!("{figure:?}");
    if is_soak() {
        let _turn = WRITING.lock();
        figure.write(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/soak.json"));
    }
    assert!(
        figure.met,
        "{} missed its goal: {figure:?}; the seed is printed above",
        figure.name
    );
}
