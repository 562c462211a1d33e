//! Standard Webhooks 1.0, by which we sign what we send: `webhook-signature: v1,<base64>[ v1,<base64>…]`,
//! each an HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{raw body}`.
//!
//! A secret is written `whsec_<base64>`; the key is what the base64 stands for, 24 to 64 bytes.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

const START: &str = "whsec_";
const KEY_BYTES: usize = 32;
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// A text that is no secret of this form. It is never part of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is not whsec_ and the base64 of 24 to 64 bytes")]
pub struct NoSecret;

/// A new secret, from the operating system's randomness.
pub fn generate() -> SecretString {
    let key: [u8; KEY_BYTES] = rand::random();
    format!("{START}{}", BASE64_STANDARD.encode(key)).into()
}

/// The header for this body at this time (unix seconds), with a signature of each secret.
pub fn sign(secrets: &[SecretString], id: &str, at: i64, body: &[u8]) -> Result<String, NoSecret> {
    let signatures = secrets.iter().map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?)
            .expect("an HMAC takes a key of any length");
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Ok(format!("v1,{signature}"))
    });
    Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn key(secret: &SecretString) -> Result<Zeroizing<Vec<u8>>, NoSecret> {
    let text = secret.expose_secret().strip_prefix(START);
    let key = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let key = Zeroizing::new(key.ok_or(NoSecret)?);
    match key.len() {
        KEY_BYTES_MIN..=KEY_BYTES_MAX => Ok(key),
        _ => Err(NoSecret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn check(secrets: &[&str]) -> Result<String, NoSecret> {
        let secrets: Vec<SecretString> = secrets.iter().map(|text| (*text).into()).collect();
        sign(&secrets, ID, 1_614_265_330, BODY)
    }

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        assert_eq!(check(&[SECRET]).as_deref(), Ok(SIGNATURE));
    }

    #[test]
    fn each_secret_signs_beside_the_others() {
        let other = generate();
        let both = check(&[SECRET, other.expose_secret()]).unwrap();
        let alone = check(&[other.expose_secret()]).unwrap();
        assert_eq!(both, format!("{SIGNATURE} {alone}"));
        assert_ne!(alone, SIGNATURE);
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        let short = format!("{START}{}", BASE64_STANDARD.encode([7; 23]));
        let long = format!("{START}{}", BASE64_STANDARD.encode([7; 65]));
        for bad in [
            "",
            "whsec_",
            &SECRET[6..],
            "whsec_not base64",
            &short,
            &long,
        ] {
            assert_eq!(check(&[bad]), Err(NoSecret), "{bad}");
        }
    }
}
