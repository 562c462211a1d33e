//! Usage: may they, and it was done. Both are right at the limit, and count once.
//!
//! What apps ask is answered in groups: one look for all questions that came meanwhile, one commit for all
//! uses. `carry_out` does what is asked within a transaction of its caller's, for jobs too.

mod account;
mod carry_out;
mod corrections;
mod desk;
mod holds;
mod judge;
mod notice;
mod outcome;
mod recount;
mod request;

use std::sync::Arc;

use chrono::TimeDelta;
use tollkeeper_jobs::{
    plans::Catalogue,
    usage::{Entitlement, entitlement},
};

pub use account::Account;
pub use carry_out::{Answered, KeyReused, carry_out};
pub use corrections::{NotCorrected, correct};
pub use desk::Desk;
pub use holds::{HoldEnded, SettleError, Settled, release, renew, settle};
pub use judge::{Question, judge};
pub use outcome::{Effect, Outcome, Receipt, Verdict};
pub use recount::correct_counters;
pub use request::{How, Key, Request, SOURCE_APP, SOURCE_USER};

use crate::{clock::Clock, context::Context};

/// What decides about rights and windows beside what is stored.
#[derive(Clone)]
pub struct Rules {
    pub catalogue: Arc<Catalogue>,
    pub past_due_grace: TimeDelta,
    pub clock: Clock,
}

impl Rules {
    pub fn of(ctx: &Context) -> Rules {
        Rules {
            catalogue: ctx.catalogue.clone(),
            past_due_grace: TimeDelta::from_std(ctx.config.telephony.past_due_grace)
                .unwrap_or(TimeDelta::MAX),
            clock: ctx.clock.clone(),
        }
    }

    /// What an account has a right to now.
    pub fn entitlement(&self, account: &Account) -> Entitlement<'_> {
        entitlement::entitlement(
            &self.catalogue,
            &account.subscriptions,
            self.past_due_grace,
            self.clock.now(),
        )
    }
}
