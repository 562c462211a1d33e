//! How a chapter of the story ends.

use std::{collections::BTreeSet, fmt};

/// A chapter that came to its end.
#[derive(Clone)]
pub struct Told {
    /// The points that were passed.
    pub reached: BTreeSet<String>,
    /// How everything stands, as far as a crash may not change it.
    pub state: Vec<String>,
}

/// A chapter that did not end as it should.
pub enum Untold {
    /// Nothing came to the armed point.
    NotPassed,
    /// Still waiting for that, and what the processes said.
    NoEnd(String),
}

impl fmt::Display for Untold {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Untold::NotPassed => write!(to, "the point was not passed"),
            Untold::NoEnd(why) => write!(to, "{why}"),
        }
    }
}
