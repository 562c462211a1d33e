//! What telephony an account shall have, what a call or a message means, and how it is written down.

pub mod analysis;
pub mod callback;
pub mod calls;
pub mod costs;
pub mod countries;
pub mod desired;
pub mod e164;
pub mod fields;
pub mod inbound;
pub mod messages;
pub mod mp3;
pub mod outbound;
pub mod recordings;
pub mod reports;
pub mod segments;
pub mod settings;
pub mod twiml;
pub mod voipms;
mod words;
