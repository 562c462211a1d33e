//! What the outside talks to. Stores and answers; never does the work itself.

pub mod api;
pub mod auth;
mod family;
pub mod health;
pub mod problem;
