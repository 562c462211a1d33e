//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything here is done within a transaction of its caller's that has locked the account, and asks no provider.

mod close;
mod ledger;
mod periods;
mod place;
mod rate;

pub use close::{Closed, close};
pub use ledger::post_invoice;
pub use periods::align;
pub use place::{Owing, Placed, draft, owing, put_on};
