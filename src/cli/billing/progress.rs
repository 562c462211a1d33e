//! How far a long run is, on standard error, where a person sees it.

use std::io::{IsTerminal, Write, stderr};

const WIDTH: usize = 40;

/// A bar that is gone when the run is over. Nothing is shown where nobody looks.
pub struct Progress {
    all: usize,
    done: usize,
    is_shown: bool,
}

impl Progress {
    pub fn of(all: usize) -> Progress {
        let is_shown = stderr().is_terminal();
        Progress {
            all,
            done: 0,
            is_shown,
        }
    }

    /// One more is done, and this is next.
    pub fn step(&mut self, next: &str) {
        self.done += 1;
        if self.is_shown {
            let full = WIDTH * self.done.min(self.all) / self.all.max(1);
            let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
            // That nobody can be shown how far it is does not end the run.
            let _ = write!(
                stderr(),
                "\r\x1b[K[{bar}] {}/{} {next}",
                self.done,
                self.all
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
