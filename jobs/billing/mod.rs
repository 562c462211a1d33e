//! What a period costs, and what becomes of it. Usage and terms come in, amounts go out; nothing is rounded
//! here but by [`crate::money`].

pub mod caps;
pub mod charges;
pub mod csv;
pub mod history;
pub mod ledger;
pub mod lines;
pub mod matching;
pub mod periods;
pub mod placement;
pub mod proration;
pub mod rating;
pub mod statement;
pub mod terms;
pub mod upcoming;
pub mod waivers;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod simulation;

pub use charges::{Last, Revision, revise};
pub use rating::{NUMBER, Rated, Used, rate};
pub use statement::Statement;
pub use terms::{Meter, Terms};
