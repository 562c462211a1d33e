//! What a phone call or a message means to us, and what we answer.

pub mod callback;
pub mod twiml;
