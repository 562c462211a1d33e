//! Tollkeeper: webhooks in, finished work out, once. ARCHITECTURE.md is the map.

pub mod billing;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod context;
pub mod crash;
pub mod db;
pub mod grouped;
pub mod http;
pub mod journal;
pub mod notify;
pub mod outbound;
pub mod postgres;
pub mod queue;
pub mod sandbox;
pub mod scheduler;
pub mod sealed;
pub mod signature;
pub mod telemetry;
pub mod turns;
pub mod usage;
pub mod work;
pub mod worker;

/// Webhooks and runs are many small allocations that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What a flood of clients took goes back within seconds, by a thread of the allocator's own: without it memory
/// stays with a process that has nothing to do. jemalloc reads its settings from this symbol.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";
