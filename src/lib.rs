//! Tollkeeper: webhooks in, finished work out, once. ARCHITECTURE.md is the map.

pub mod clients;
pub mod clock;
pub mod config;
pub mod context;
pub mod db;
pub mod queue;
pub mod sandbox;
pub mod sealed;
pub mod signature;
pub mod work;
