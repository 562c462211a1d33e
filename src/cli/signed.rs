//! Who acts, and why: what every verb that changes something asks for.

use clap::Args;

use crate::queue::operate::By;

#[derive(Debug, Args)]
pub struct Signed {
    /// Why; kept with the action.
    #[arg(long, default_value = "")]
    why: String,
    /// Who; the user of this shell when left out.
    #[arg(long, env = "USER", default_value = "operator")]
    who: String,
}

impl Signed {
    pub fn by(&self) -> By<'_> {
        By {
            who: &self.who,
            why: &self.why,
        }
    }
}
