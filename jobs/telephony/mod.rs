//! What telephony an account shall have, what a call or a message means, and how it is written down.

pub mod analysis;
pub mod callback;
pub mod calls;
pub mod desired;
pub mod e164;
pub mod fields;
pub mod messages;
pub mod mp3;
pub mod recordings;
pub mod reports;
pub mod twiml;
mod words;
