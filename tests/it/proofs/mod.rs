//! The promises of the service, each with a test that would fail without it and a figure: short in
//! `make test`, at full size in `make soak`.

mod billing_kills;
mod canaries;
mod ciphertexts;
mod copies;
mod crash_points;
mod customers;
mod drip;
mod fuzz;
mod hostile;
mod isolation;
mod kills;
mod noisy_tenant;
mod old_names;
mod old_rows;
mod poison;
mod postgres_gone;
mod recording_memory;
mod renewal_crashes;
mod renewals;
mod restarts;
mod row_security;
mod standby;
mod timetable;
mod zombies;
