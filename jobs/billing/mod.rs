//! What a period costs. Usage and terms come in, amounts go out; nothing is rounded here but by
//! [`crate::money`].

pub mod rating;
pub mod terms;
pub mod voice;

#[cfg(test)]
mod arbitrary;

pub use rating::{NUMBER, Rated, Used, rate};
pub use terms::{Meter, Terms};
