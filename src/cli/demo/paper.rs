//! How the demo is printed: aligned lines with the time since the start, colours on a terminal.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    path::Path,
};

use chrono::{DateTime, Utc};

use super::summary::Places;
use crate::config;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Like `println!`, and goes on when nobody reads any more: `demo | head` is no failure.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::demo::paper::print(format_args!($($text)*)) };
}
pub(super) use say;

pub(super) fn print(text: fmt::Arguments<'_>) {
    let _nobody_reads = writeln!(io::stdout(), "{text}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Of less interest.
    Quiet,
    /// Something went wrong, on purpose.
    Trouble,
    Good,
}

/// One thing that happened.
#[derive(Debug)]
pub struct Line {
    /// By the real clock.
    pub at: DateTime<Utc>,
    pub who: &'static str,
    /// webhook, job, twilio or stripe.
    pub what: &'static str,
    pub text: String,
    pub tone: Tone,
}

pub struct Paper {
    started_at: DateTime<Utc>,
    has_colours: bool,
}

impl Paper {
    pub fn new(started_at: DateTime<Utc>) -> Paper {
        // https://no-color.org: set and not empty.
        let is_refused = config::environment()
            .get("NO_COLOR")
            .is_some_and(|value| !value.is_empty());
        Paper {
            started_at,
            has_colours: io::stdout().is_terminal() && !is_refused,
        }
    }

    pub fn opening(&self) {
        say!(
            "{}\n",
            self.bold("Tollkeeper: from a payment to a phone number, exactly once")
        );
        say!(
            "Stripe and Twilio are stand-ins on this machine: nothing is bought, nobody is billed. Postgres, the\n\
             signed webhooks, the jobs and the workers are the real thing; only waits between tries are shorter."
        );
    }

    pub fn ready(&self, places: &Places, data_dir: &Path) {
        say!("");
        if let Some(port) = places.taken_port {
            say!(
                "  {}",
                self.trouble(&format!("port {port} is taken: here is another"))
            );
        }
        say!("  service     {}", places.service);
        say!("  stand-ins   {}", places.sandbox);
        say!("  Postgres    {}", data_dir.join("postgres").display());
    }

    /// What happens next, and what goes wrong with it.
    pub fn scene(&self, title: &str) {
        say!("\n{}", self.bold(title));
    }

    pub fn line(&self, line: &Line) {
        let seconds = (line.at - self.started_at).num_milliseconds().max(0) as f64 / 1000.0;
        let text = match line.tone {
            Tone::Plain => line.text.clone(),
            Tone::Quiet => self.dim(&line.text),
            Tone::Trouble => self.trouble(&line.text),
            Tone::Good => self.good(&line.text),
        };
        let (time, what) = (
            self.dim(&format!("{seconds:6.2} s")),
            format!("{:7}", line.what),
        );
        say!("{time}  {:4}  {what}  {text}", line.who);
    }

    pub fn bold(&self, text: &str) -> String {
        self.coloured(BOLD, text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.coloured(DIM, text)
    }

    pub fn good(&self, text: &str) -> String {
        self.coloured(GREEN, text)
    }

    pub fn trouble(&self, text: &str) -> String {
        self.coloured(YELLOW, text)
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.has_colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_a_text_stays_as_it_is() {
        let paper = |has_colours| Paper {
            started_at: DateTime::UNIX_EPOCH,
            has_colours,
        };
        assert_eq!(paper(false).good("fine"), "fine");
        assert_eq!(paper(true).good("fine"), "\x1b[32mfine\x1b[0m");
    }
}
