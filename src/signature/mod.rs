//! Webhook signatures: checked over the raw bytes, in constant time, before anything is parsed.
//!
//! There is no switch that turns a check off. Tests and the sandbox sign with the `sign` functions; what we
//! send ourselves is signed by `standard`.

pub mod standard;
pub mod stripe;
pub mod twilio;

use subtle::ConstantTimeEq;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature header is missing")]
    MissingHeader,
    #[error("no secret is configured to check the signature with")]
    MissingSecret,
    #[error("the signature header cannot be read")]
    MalformedHeader,
    #[error("the signature header holds no v1 signature")]
    NoV1Signature,
    #[error("no signature matches")]
    NoMatchingSignature,
    #[error("the signature is too old")]
    TimestampTooOld,
    #[error("nothing in the signed URL binds the body")]
    BodyNotBound,
    #[error("the signature's algorithm is unknown")]
    UnknownAlgorithm,
}

impl SignatureError {
    /// The label of metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            SignatureError::MissingHeader => "missing_header",
            SignatureError::MissingSecret => "missing_secret",
            SignatureError::MalformedHeader => "malformed_header",
            SignatureError::NoV1Signature => "no_v1_signature",
            SignatureError::NoMatchingSignature => "no_matching_signature",
            SignatureError::TimestampTooOld => "timestamp_too_old",
            SignatureError::BodyNotBound => "body_not_bound",
            SignatureError::UnknownAlgorithm => "unknown_algorithm",
        }
    }
}

/// Whether two texts are the same, in a time that tells nothing but their lengths.
pub fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// A blank key is no key: it would let anyone sign.
fn is_blank(key: &str) -> bool {
    key.trim().is_empty()
}
