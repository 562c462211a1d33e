//! The promises of the service, each with a test that would fail without it and a figure: short in
//! `make test`, at full size in `make soak`.

mod canaries;
mod drip;
mod hostile;
mod restarts;
