//! README leaves nothing out that an operator has.

use std::{collections::BTreeSet, fs, process::Command};

use crate::support::source::{Source, root};

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// What stands between quotes right after one of these.
fn quoted_after(code: &str, marks: &[&str]) -> BTreeSet<String> {
    let after = marks.iter().flat_map(|mark| code.split(mark).skip(1));
    let quoted = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_figure_is_told() {
    let readme = readme();
    let macros = ["counter!(", "gauge!(", "histogram!("];
    let figures: BTreeSet<String> = Source::all()
        .iter()
        .flat_map(|source| quoted_after(&source.code(), &macros))
        .collect();
    assert!(figures.len() > 10, "{figures:?}");
    let untold = figures.iter().filter(|name| {
        let [bare, labelled] = [format!("`{name}`"), format!("`{name}{{")];
        !readme.contains(&bare) && !readme.contains(&labelled)
    });
    assert_eq!(untold.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_verb_of_the_program_is_told() {
    let readme = readme();
    let help = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        let output = command.args(arguments).arg("--help").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, commands) = text.split_once("Commands:\n").unwrap_or_default();
        let lines = commands.lines().take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| line.split_whitespace().next());
        let names = names.filter(|name| *name != "help").map(str::to_owned);
        names.collect::<Vec<String>>()
    };
    let mut untold = Vec::new();
    for command in help(&[]) {
        for verb in help(&[&command]) {
            let in_full = format!("tollkeeper {command} {verb}");
            if !readme.contains(&in_full) && !readme.contains(&format!("`{verb}`")) {
                untold.push(in_full);
            }
        }
    }
    assert_eq!(untold, Vec::<String>::new());
}
