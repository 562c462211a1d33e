//! What an account may use, and in which window a use of it counts.

pub mod allowance;
pub mod entitlement;
pub mod quantity;
pub mod windows;

pub use allowance::{Allowance, Code, Decision, Used};
pub use entitlement::{Entitlement, Lost, Subscribed};
pub use quantity::MicroUnits;
pub use windows::{Calendar, Cycle, Span};
