//! What Tollkeeper decides. No I/O and no clock: facts and `now` come in, decisions go out.
//!
//! One file per job: its payload, its promise (kind, key, lane, retries) and its decision. The same
//! name in the service's `src/work/` does what was decided here.

pub mod job;
pub mod mask;

pub use job::{Job, Lane, NewJob, RetryPolicy};
