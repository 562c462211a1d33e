//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything here but `check` and `explain`, which read, and `operate`, which is for people, is done within a
//! transaction of its caller's that has locked the account. It asks no provider.

pub mod check;
mod close;
pub mod explain;
pub mod operate;
mod periods;
mod place;
mod rate;

use chrono::TimeDelta;
use tollkeeper_jobs::{billing::caps::Caps, plans::Catalogue};

use crate::context::Context;

pub use close::{Closed, close};
pub use periods::align;
pub use place::{Owing, Placed, draft, owing, put_on};

/// What decides about billing beside what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub catalogue: &'a Catalogue,
    /// How long what is on its way when a period ends is waited for.
    pub settles_for: TimeDelta,
    /// What parks an account.
    pub caps: &'a Caps,
}

impl Rules<'_> {
    pub fn of(ctx: &Context) -> Rules<'_> {
        let billing = &ctx.config.billing;
        Rules {
            catalogue: &ctx.catalogue,
            settles_for: TimeDelta::from_std(billing.settles_for).unwrap_or(TimeDelta::MAX),
            caps: &billing.caps,
        }
    }
}
