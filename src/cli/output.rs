//! What commands print: lines for people, JSON for programs.

use clap::ValueEnum;
use serde::Serialize;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

impl Output {
    /// One document on standard output: as JSON, or as the text that `lines` makes of it.
    pub fn print<T: Serialize>(self, document: &T, lines: impl FnOnce(&T) -> String) {
        match self {
            Output::Text => println!("{}", lines(document)),
            Output::Json => {
                let json = serde_json::to_string(document).expect("a report is plain data");
                println!("{json}");
            }
        }
    }
}
