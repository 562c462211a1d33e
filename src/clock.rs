//! The only place that reads the time.
//!
//! A test, the demo or a simulation can move the clock; Postgres is told the same offset, so that
//! what is due is due on both sides. Leases are not moved: they measure real time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};

#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_micros: Arc<AtomicI64>,
}

impl Clock {
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset()
    }

    /// How far this clock is ahead of the real one. SQL that compares a due time adds it to `now()`.
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.offset_micros.load(Ordering::Relaxed))
    }

    /// Move the clock; for tests, the demo and simulations. Every clone moves along.
    pub fn advance(&self, by: TimeDelta) {
        let micros = by
            .num_microseconds()
            .expect("a clock moves by less than 292,000 years");
        self.offset_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The monotonic clock, for deadlines inside this process.
    pub fn instant() -> Instant {
        Instant::now()
    }
}
