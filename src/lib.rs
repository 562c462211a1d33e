//! Tollkeeper: webhooks in, finished work out, once. ARCHITECTURE.md is the map.

pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod context;
pub mod crash;
pub mod db;
pub mod http;
pub mod journal;
pub mod postgres;
pub mod queue;
pub mod sandbox;
pub mod scheduler;
pub mod sealed;
pub mod signature;
pub mod telemetry;
pub mod work;
pub mod worker;

/// Webhooks and runs are many small allocations that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
