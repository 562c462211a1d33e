//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything that writes is done within a transaction of its caller's that has locked the account. Nothing here asks a
//! provider.

mod close;
mod periods;
mod place;
mod rate;
mod statement;

pub use close::{Closed, close};
pub use periods::align;
pub use place::{Owing, Placed, draft, owing, put_on};
pub use statement::{RunningPeriod, StatementError, statement};
