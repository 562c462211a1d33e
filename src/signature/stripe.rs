//! `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`: HMAC-SHA256 over `{t}.{raw body}`,
//! keyed with the whole secret, `whsec_` included.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{SignatureError, is_blank, is_same};

/// How old a signature may be, in seconds. Stripe signs each delivery attempt anew.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Check a delivery against every active secret; the answer is the index of the one that signed.
///
/// `now` is in unix seconds; an age of exactly `tolerance` is accepted, and 0 checks no age. Only the
/// past is checked: Stripe's clock may be ahead of ours. Several `v1` are there while a secret is
/// rolled, any may match. Exactly one `t` is read, in plain digits, and signed as it was received.
pub fn verify(
    header: &str,
    body: &[u8],
    secrets: &[&str],
    now: i64,
    tolerance: i64,
) -> Result<usize, SignatureError> {
    if header.is_empty() {
        return Err(SignatureError::MissingHeader);
    }
    if secrets.iter().all(|secret| is_blank(secret)) {
        return Err(SignatureError::MissingSecret);
    }
    let signed = Signed::read(header)?;
    if signed.signatures.is_empty() {
        return Err(SignatureError::NoV1Signature);
    }
    let signer = secrets
        .iter()
        .position(|secret| !is_blank(secret) && signed.is_by(secret, body))
        .ok_or(SignatureError::NoMatchingSignature)?;
    // After the signature: a forged header learns nothing about our clock.
    if tolerance > 0 && now.saturating_sub(signed.at) > tolerance {
        return Err(SignatureError::TimestampTooOld);
    }
    Ok(signer)
}

/// The header Stripe would send for this body at this time (unix seconds).
pub fn sign(secret: &str, body: &[u8], at: i64) -> String {
    format!("t={at},v1={}", signature(secret, &at.to_string(), body))
}

struct Signed<'a> {
    at: i64,
    at_text: &'a str,
    signatures: Vec<&'a str>,
}

impl<'a> Signed<'a> {
    fn read(header: &'a str) -> Result<Signed<'a>, SignatureError> {
        let mut at_text = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.split_once('=') {
                Some(("t", _)) if at_text.is_some() => return Err(SignatureError::MalformedHeader),
                Some(("t", text)) => at_text = Some(text),
                Some(("v1", text)) => signatures.push(text),
                // v0 is a scheme of test events, and there may be more: none of them counts.
                _ => {}
            }
        }
        let at_text = at_text.ok_or(SignatureError::MalformedHeader)?;
        let digits = at_text.strip_prefix('-').unwrap_or(at_text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::MalformedHeader);
        }
        let at = at_text
            .parse()
            .map_err(|_| SignatureError::MalformedHeader)?;
        Ok(Signed {
            at,
            at_text,
            signatures,
        })
    }

    fn is_by(&self, secret: &str, body: &[u8]) -> bool {
        let wanted = signature(secret, self.at_text, body);
        self.signatures
            .iter()
            .any(|signature| is_same(signature, &wanted))
    }
}

fn signature(secret: &str, at: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("an HMAC takes a key of any length");
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
