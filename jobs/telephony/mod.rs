//! What telephony an account shall have, and how its parts are written down.

pub mod desired;
pub mod e164;
