//! Near-valid input by the million: nothing panics, and no delivery is believed after a byte of it was
//! changed.
//!
//! What a provider signs is not always the bytes themselves. The changes that are rightly not noticed,
//! each by the rule that makes it so:
//!
//! * Stripe's header: parts that are neither the one `t` nor the signature (`v0=…`, a `v1` of another
//!   secret) and the order of parts do not count.
//! * A form: Twilio signs decoded pairs, in the order of their names, a repeated pair once. Other
//!   escapes for the same text, another order and a pair sent twice are the same form.
//! * A form: nothing separates a name from its value, or the URL from the first name, in what is
//!   signed. That is why `telephony::callback` reads ids only in their exact form.
//! * A URL: its scheme in capitals and the scheme's own port. What is behind a `#` is no part of a
//!   request: the HTTP library drops it before anybody reads it.
//! * Headers that are not signed: settings that leave the algorithm as it is, the charset of a form.

mod bodies;
mod change;
mod requests;
mod signatures;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use crate::support::proof::size;

/// Cases of all targets together.
fn cases() -> usize {
    size(20_000, 1_000_000)
}

/// Try so many cases; a failure is shrunk and shown. Answers how many were tried.
fn tried<S: Strategy>(
    cases: usize,
    seed: u64,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> usize {
    let config = Config {
        cases: cases as u32,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, chance);
    if let Err(error) = runner.run(strategy, test) {
        panic!("{error}");
    }
    cases
}
