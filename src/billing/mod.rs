//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything here but `check` and `explain`, which read, and `operate`, which is for people, is done within a transaction of its
//! caller's that has locked the account. It asks no provider.

pub mod check;
mod close;
pub mod explain;
pub mod operate;
mod periods;
mod place;
mod rate;

pub use close::{Closed, close};
pub use periods::align;
pub use place::{Owing, Placed, draft, owing, put_on};
