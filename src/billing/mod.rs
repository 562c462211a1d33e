//! Billing: the periods of accounts, what is owed for them, and where it goes.
//!
//! Everything here is done within a transaction of its caller's that has locked the account, and asks no provider.

mod close;
mod givebacks;
mod history;
mod ledger;
mod periods;
mod place;
mod rate;

pub use close::{Closed, close};
pub use givebacks::{post_dispute, post_refunds};
pub use history::tell_of_subscription;
pub use ledger::post_invoice;
pub use periods::align;
pub use place::{Owing, Placed, draft, owing, put_on};
