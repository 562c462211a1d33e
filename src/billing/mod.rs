//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything that writes is done within a transaction of its caller's that has locked the account, but for `operate`,
//! which is for people. Nothing here asks a provider.

mod added;
pub mod check;
mod close;
pub mod explain;
mod givebacks;
mod history;
mod ledger;
pub mod operate;
mod periods;
mod place;
mod rate;
pub mod run;
mod statement;

use chrono::TimeDelta;
use tollkeeper_jobs::{billing::caps::Caps, plans::Catalogue};

use crate::{config::Config, context::Context};

pub use added::added;
pub use close::{Closed, UNKNOWN_PRICE, close};
pub use givebacks::{post_dispute, post_refunds};
pub use history::tell_of_subscription;
pub use ledger::post_invoice;
pub use periods::{align, pause};
pub use place::{Owing, Placed, draft, owing, put_on};
pub use statement::{RunningPeriod, StatementError, statement};

/// What decides about billing beside what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub catalogue: &'a Catalogue,
    /// How long what is on its way when a period ends is waited for.
    pub settles_for: TimeDelta,
    /// What parks an account.
    pub caps: &'a Caps,
}

impl<'a> Rules<'a> {
    pub fn of(ctx: &Context) -> Rules<'_> {
        Rules::of_config(&ctx.config, &ctx.catalogue)
    }

    pub fn of_config(config: &'a Config, catalogue: &'a Catalogue) -> Rules<'a> {
        let billing = &config.billing;
        Rules {
            catalogue,
            settles_for: TimeDelta::from_std(billing.settles_for).unwrap_or(TimeDelta::MAX),
            caps: &billing.caps,
        }
    }
}
