//! What Tollkeeper decides. No I/O and no clock: facts and `now` come in, decisions go out.
//!
//! One file per job: its payload, its promise (kind, key, lane, retries) and its decision. The same
//! name in the service's `src/work/` does what was decided here.

pub mod handle_stripe_event;
pub mod job;
pub mod mask;
pub mod provision_subaccount;
pub mod prune_history;
pub mod stripe_events;
pub mod sweep_expired_leases;
pub mod telephony;
pub mod timetable;

pub use handle_stripe_event::HandleStripeEvent;
pub use job::{Job, Lane, NewJob, RetryPolicy};
pub use provision_subaccount::ProvisionSubaccount;
