//! Tokens as the services before this one stored them: AES-256-CBC, or no encryption at all.
//!
//! Only ever read, by `tollkeeper secrets import`. The old form has no authentication: a changed byte
//! may go unnoticed, so what was imported is checked with the provider before it is relied on.

use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{SealError, decode_key};

const BLOCK_HEX: usize = 32;

/// Whether the text has the old encrypted form, `hex(iv):hex(blocks)`. Any other text is a token in
/// plain: rows were written that way when the old service had no key.
pub fn is_encrypted(text: &str) -> bool {
    let is_blocks = |hex: &str| {
        !hex.is_empty()
            && hex.len().is_multiple_of(BLOCK_HEX)
            && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    };
    text.split_once(':')
        .is_some_and(|(iv, blocks)| iv.len() == BLOCK_HEX && is_blocks(iv) && is_blocks(blocks))
}

/// Open a text for which [`is_encrypted`] holds. `key` is the old service's ENCRYPTION_KEY, 64 hex.
pub fn open(key: &SecretString, text: &str) -> Result<SecretString, SealError> {
    if !is_encrypted(text) {
        return Err(SealError::Malformed);
    }
    let key = decode_key(key.expose_secret())
        .map(Zeroizing::new)
        .ok_or_else(|| {
            SealError::Key("LEGACY_ENCRYPTION_KEY is not 64 hexadecimal digits".to_owned())
        })?;
    let (iv, blocks) = text.split_once(':').ok_or(SealError::Malformed)?;
    let iv = hex::decode(iv).map_err(|_| SealError::Malformed)?;
    let mut blocks = Zeroizing::new(hex::decode(blocks).map_err(|_| SealError::Malformed)?);
    let plain = cbc::Decryptor::<aes::Aes256>::new_from_slices(&*key, &iv)
        .map_err(|_| SealError::Malformed)?
        .decrypt_padded::<Pkcs7>(&mut blocks)
        .map_err(|_| SealError::DoesNotOpen)?;
    let text = std::str::from_utf8(plain).map_err(|_| SealError::DoesNotOpen)?;
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const PLAIN: &str = "0123456789abcdef0123456789abcdef";
    const STORED: &str = "0f0e0d0c0b0a09080706050403020100:7862a071da19f3286dcd4ca7ca9c6e3e9ff51c02f1f343d7f7a3dc6285921f53b80f026c8b3d8b0160e6baccd74dab70";

    #[test]
    fn a_row_of_the_old_service_opens_with_its_key() {
        assert!(is_encrypted(STORED));
        let opened = open(&SecretString::from(KEY), STORED).unwrap();
        assert_eq!(opened.expose_secret(), PLAIN);
    }

    #[test]
    fn another_key_does_not_open_an_old_row() {
        let other = SecretString::from(KEY.replace('0', "f"));
        assert!(open(&other, STORED).is_err());
    }

    #[test]
    fn whatever_has_not_the_old_form_is_taken_for_plain_text() {
        let iv = &STORED[..32];
        for plain in [
            PLAIN.to_owned(),
            String::new(),
            format!("{iv}:"),
            format!("{iv}:{}", &STORED[33..64]),
            STORED.to_uppercase(),
            format!("{STORED}:00"),
            format!("{iv}{STORED}"),
        ] {
            assert!(!is_encrypted(&plain), "{plain}");
        }
    }
}
