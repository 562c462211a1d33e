//! Our job store and the apalis backend over it.

mod enqueue;
mod lease;
mod verdict;
mod wake;

pub use enqueue::{Enqueued, enqueue, enqueue_all};
pub use lease::{HoldError, Lease, LeaseLost};
pub use verdict::{Failure, Outcome};
pub use wake::Wake;
