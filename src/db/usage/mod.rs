//! Usage: what was reported, what of it counts in which window, and what is held.
//!
//! Every statement takes many accounts at once and names each in its rows: they are asked for in groups, as
//! the service and not as one account.

pub mod counters;
pub mod events;
pub mod facts;
pub mod holds;
pub mod keys;
pub mod recount;
pub mod retention;
