//! Secrets at rest: sealed with AES-256-GCM, bound to the place where they are stored.
//!
//! The text form is `v1.<key id>.<base64url of nonce and ciphertext>`. The place and the key id are
//! authenticated with it, so a value that is copied to another row, or relabelled, does not open.

pub mod legacy;

use std::fmt;

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Generate, Payload, consts::U12},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Where a sealed value lives. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub account_id: &'a str,
    /// The row's primary key, as text.
    pub row: &'a str,
}

impl<'a> Place<'a> {
    /// `twilio_subaccounts.auth_token_sealed`, whose row is the account's.
    pub fn subaccount_token(account_id: &'a str) -> Place<'a> {
        Place {
            table: "twilio_subaccounts",
            column: "auth_token_sealed",
            account_id,
            row: account_id,
        }
    }

    /// `notification_endpoints.secret_sealed`; an endpoint is no account's.
    pub fn endpoint_secret(endpoint_id: &'a str) -> Place<'a> {
        Place {
            table: "notification_endpoints",
            column: "secret_sealed",
            account_id: "",
            row: endpoint_id,
        }
    }

    /// A text about a recording: `recordings.transcript_sealed` or `analysis_sealed`.
    pub fn of_recording(
        column: &'static str,
        account_id: &'a str,
        recording_ref: &'a str,
    ) -> Place<'a> {
        Place {
            table: "recordings",
            column,
            account_id,
            row: recording_ref,
        }
    }

    /// `speech_answers.answer_sealed`.
    pub fn speech_answer(account_id: &'a str, subject: &'a str) -> Place<'a> {
        Place {
            table: "speech_answers",
            column: "answer_sealed",
            account_id,
            row: subject,
        }
    }

    /// `notification_endpoints.previous_secret_sealed`.
    pub fn previous_endpoint_secret(endpoint_id: &'a str) -> Place<'a> {
        Place {
            column: "previous_secret_sealed",
            ..Place::endpoint_secret(endpoint_id)
        }
    }
}

/// The encryption keys: the first seals, all of them open. Each seals at most 2^32 values, by far
/// more than there are tokens; rotate long before.
pub struct Keyring {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("{0}")]
    Key(String),
    #[error("a sealed value does not open: wrong key, wrong place or changed bytes")]
    DoesNotOpen,
    #[error("a sealed value names the key {0:?}, which ENCRYPTION_KEY does not hold")]
    UnknownKey(String),
    #[error("not a sealed value")]
    Malformed,
}

const VERSION: &str = "v1";
const NONCE_BYTES: usize = 12;

impl Keyring {
    /// From `id:hex` entries (a lone 64-hex entry has the id `1`). At least one, no id twice.
    pub fn new(entries: &[SecretString]) -> Result<Keyring, SealError> {
        let mut keys: Vec<Key> = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            // The text of a bad entry is never part of the error: it may be a key with one typo.
            let position = position + 1;
            let key = parse_entry(entry.expose_secret()).map_err(|why| {
                SealError::Key(format!("entry {position} of ENCRYPTION_KEY {why}"))
            })?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(SealError::Key(format!(
                    "entry {position} of ENCRYPTION_KEY repeats the id {:?}: give every key its own",
                    key.id
                )));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(SealError::Key(
                "ENCRYPTION_KEY is not set: make one with `openssl rand -hex 32`".to_owned(),
            ));
        }
        Ok(Keyring { keys })
    }

    /// Seal under the first key, with a nonce of its own.
    pub fn seal(&self, plain: &SecretString, place: Place<'_>) -> String {
        let key = &self.keys[0];
        let nonce = Nonce::<U12>::generate();
        let aad = place.authenticated(&key.id);
        let payload = Payload {
            msg: plain.expose_secret().as_bytes(),
            aad: &aad,
        };
        let ciphertext = key
            .cipher
            .encrypt(&nonce, payload)
            .expect("a secret is shorter than 64 GiB");
        let bytes = [nonce.as_slice(), &ciphertext].concat();
        format!(
            "{VERSION}.{}.{}",
            key.id,
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        )
    }

    /// The secret, if it was sealed for this place under a key of this ring.
    pub fn open(&self, sealed: &str, place: Place<'_>) -> Result<SecretString, SealError> {
        let (id, body) = split(sealed).ok_or(SealError::Malformed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| SealError::Malformed)?;
        let (nonce, ciphertext) = bytes
            .split_at_checked(NONCE_BYTES)
            .ok_or(SealError::Malformed)?;
        let nonce = Nonce::<U12>::try_from(nonce).map_err(|_| SealError::Malformed)?;
        let aad = place.authenticated(id);
        let plain = key
            .cipher
            .decrypt(
                &nonce,
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::DoesNotOpen)?;
        let plain = Zeroizing::new(plain);
        let text = std::str::from_utf8(&plain).map_err(|_| SealError::DoesNotOpen)?;
        Ok(SecretString::from(text))
    }

    /// Whether the value was sealed with another key than the first one.
    pub fn is_outdated(&self, sealed: &str) -> bool {
        split(sealed).is_none_or(|(id, _)| id != self.keys[0].id)
    }

    /// The same secret under the first key; none when it already is.
    pub fn reseal(&self, sealed: &str, place: Place<'_>) -> Result<Option<String>, SealError> {
        let plain = self.open(sealed, place)?;
        Ok(self.is_outdated(sealed).then(|| self.seal(&plain, place)))
    }

    /// The id of the key that seals.
    pub fn first_id(&self) -> &str {
        &self.keys[0].id
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

/// The key id a sealed value names; none when it has another form.
pub fn key_id(sealed: &str) -> Option<&str> {
    split(sealed).map(|(id, _)| id)
}

impl Place<'_> {
    /// Every part goes in with its length before it: no two places have the same bytes.
    fn authenticated(&self, key_id: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [
            VERSION,
            self.table,
            self.column,
            self.account_id,
            self.row,
            key_id,
        ] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

fn split(sealed: &str) -> Option<(&str, &str)> {
    sealed
        .strip_prefix(VERSION)?
        .strip_prefix('.')?
        .split_once('.')
}

fn parse_entry(entry: &str) -> Result<Key, &'static str> {
    let (id, hex) = entry.split_once(':').unwrap_or(("1", entry));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > 32 || !id.chars().all(is_plain) {
        return Err(
            "needs an id of letters, digits, _ or - before its colon, as in 2026a:<64 hex digits>",
        );
    }
    let bytes = Zeroizing::new(
        decode_key(hex)
            .ok_or("is not 64 hexadecimal digits (`openssl rand -hex 32` makes a key)")?,
    );
    let cipher = Aes256Gcm::new_from_slice(&*bytes).expect("a key of 32 bytes");
    Ok(Key {
        id: id.to_owned(),
        cipher,
    })
}

fn decode_key(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests;
