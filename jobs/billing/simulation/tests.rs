use std::{env, panic, thread};

use super::*;

/// How many histories; a million in `make soak`.
const COUNT_SETTING: &str = "TOLLKEEPER_HISTORIES";
/// One history to be told in full.
const SEED_SETTING: &str = "TOLLKEEPER_SEED";
const HISTORIES: u64 = 100_000;
/// Enough to show each fault.
const HISTORIES_OF_A_FAULT: u64 = 2_000;

fn setting(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn verdict(seed: u64, fault: Option<Fault>) -> Result<(), String> {
    let lived = panic::catch_unwind(|| {
        let mut history = History::new(seed, fault);
        history.live();
        history.verdict()
    });
    lived.unwrap_or_else(|_| Err("it panics".to_owned()))
}

/// The first few seeds of bad histories, with what is wrong, and how many there are.
fn bad(count: u64, fault: Option<Fault>) -> (u64, Vec<String>) {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let share = |nth: u64| {
        let verdicts = (nth..count).step_by(threads as usize);
        let bad = verdicts.filter_map(|seed| {
            let why = verdict(seed, fault).err()?;
            Some(format!("{SEED_SETTING}={seed}: {why}"))
        });
        let mut bad: Vec<String> = bad.collect();
        let found = bad.len() as u64;
        bad.truncate(3);
        (found, bad)
    };
    let shares: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|nth| scope.spawn(move || share(nth)))
            .collect();
        let done = running.into_iter().map(|one| one.join());
        done.map(|share| share.expect("panics are verdicts"))
            .collect()
    });
    let found = shares.iter().map(|(found, _)| found).sum();
    let told = shares.into_iter().flat_map(|(_, told)| told).collect();
    (found, told)
}

fn trace(seed: u64) -> Vec<String> {
    let mut history = History::new(seed, None);
    history.trace = Some(Vec::new());
    history.live();
    let mut trace = history.trace.take().unwrap_or_default();
    trace.push(format!("{:?}", history.verdict()));
    trace
}

#[test]
fn no_charge_is_lost_doubled_or_wrong_in_any_history() {
    if let Some(seed) = setting(SEED_SETTING) {
        println!("{}", trace(seed).join("\n"));
        assert_eq!(verdict(seed, None), Ok(()));
        return;
    }
    let count = setting(COUNT_SETTING).unwrap_or(HISTORIES);
    let (found, told) = bad(count, None);
    assert_eq!(
        found,
        0,
        "of {count} histories {found} are bad, to be told in full with\n{}",
        told.join("\n")
    );
    println!("{count} histories: none lost, doubled or wrong");
}

#[test]
fn every_fault_shows() {
    for fault in Fault::ALL {
        let (found, told) = bad(HISTORIES_OF_A_FAULT, Some(fault));
        println!(
            "{fault:?}: {found} of {HISTORIES_OF_A_FAULT} histories are bad, such as {}",
            told.first().map_or("none", String::as_str)
        );
        assert!(found > 20, "{fault:?} shows in {found} histories only");
    }
}

/// A history in which nothing happens proves nothing.
#[test]
fn every_kind_of_trouble_is_had_many_times() {
    let traces: Vec<String> = (0..1_000).map(|seed| trace(seed).join("\n")).collect();
    for trouble in [
        "it is a copy",
        "Turn",
        "amount_minor: -",
        "revision: 3",
        "meter: \"number\"",
        "is late",
        " Own",
        " Renewal(",
        "the worker dies",
        "a late answer",
        "may_be_stored: false",
        "may_be_stored: true",
        "NothingDone",
        "is found",
        "waits",
        ", 1, 0))",
        "invoice_not_editable",
        "is refused on",
    ] {
        let had = traces.iter().filter(|told| told.contains(trouble)).count();
        println!("{trouble:?}: in {had} of 1000 histories");
        assert!(had >= 20, "{trouble:?} is had in {had} histories only");
    }
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    let told: Vec<_> = (0..50).map(trace).collect();
    assert!(told.concat().len() > 500);
    assert_eq!(told, (0..50).map(trace).collect::<Vec<_>>());
}
