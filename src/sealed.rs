//! Sealing of provider tokens.
pub struct Keyring;
