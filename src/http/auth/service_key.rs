//! The keys of apps: made here, shown once, and known afterwards by their digest alone.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const START: &str = "tk_live_";
const SECRET_BYTES: usize = 32;
/// How much of a key its row keeps in the clear, to tell keys apart in a list.
const SHOWN_SECRET_LENGTH: usize = 4;

/// `tk_live_` and 64 hexadecimal digits: 256 random bits, so a plain SHA-256 keeps them safe at
/// rest and looking a key up by its digest leaks nothing through timing.
pub struct ServiceKey(SecretString);

impl ServiceKey {
    /// A new key, from the operating system's randomness.
    pub fn generate() -> ServiceKey {
        let secret: [u8; SECRET_BYTES] = rand::random();
        ServiceKey(format!("{START}{}", hex::encode(secret)).into())
    }

    /// None when the text cannot be one of our keys, so that nothing is looked up for it.
    pub fn parse(text: &str) -> Option<ServiceKey> {
        let secret = text.strip_prefix(START)?;
        let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        (secret.len() == SECRET_BYTES * 2 && secret.bytes().all(is_hex))
            .then(|| ServiceKey(text.into()))
    }

    /// Whether a credential is meant to be a key and no token.
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with("tk_")
    }

    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.expose_secret().as_bytes()).into()
    }

    pub fn shown_prefix(&self) -> &str {
        &self.0.expose_secret()[..START.len() + SHOWN_SECRET_LENGTH]
    }

    /// The key itself, for the one moment it is shown.
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_keeps_its_digest() {
        let key = ServiceKey::generate();
        let text = key.0.expose_secret().to_owned();

        let read = ServiceKey::parse(&text).unwrap();

        assert_eq!(read.sha256(), key.sha256());
        assert_eq!(read.shown_prefix(), &text[..12]);
        assert_ne!(ServiceKey::generate().sha256(), key.sha256());
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        let good = ServiceKey::generate();
        let good = good.0.expose_secret();
        for bad in [
            "",
            "tk_live_",
            "tk_live_abc",
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace("live", "test"),
        ] {
            assert!(ServiceKey::parse(bad).is_none(), "{bad}");
        }
    }
}
