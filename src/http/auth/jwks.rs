//! An identity provider's keys, held for a while.
//!
//! The refresh rule: keys are good for [`RefreshRule::fresh`]; after that, and when a token names
//! a key that is not among them, they are fetched again, but at most once per
//! [`RefreshRule::pause`] whatever the callers send. When the provider cannot be reached, the keys
//! it gave last hold on for [`RefreshRule::stale_max`].

use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use tokio::sync::Mutex;

use crate::{clients::jwks::JwksClient, clock::Clock};

#[derive(Debug, Clone, Copy)]
pub struct RefreshRule {
    pub fresh: Duration,
    pub pause: Duration,
    pub stale_max: Duration,
}

impl Default for RefreshRule {
    fn default() -> RefreshRule {
        RefreshRule {
            fresh: Duration::from_secs(10 * 60),
            pause: Duration::from_secs(30),
            stale_max: Duration::from_secs(24 * 60 * 60),
        }
    }
}

pub struct Jwks {
    client: JwksClient,
    rule: RefreshRule,
    held: RwLock<Arc<Held>>,
    /// Held during a fetch, so that there is one at a time; readers of known keys never wait for it.
    fetching: Mutex<()>,
}

/// Why there is no key to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The provider does not have it: the token is not good.
    Unknown,
    /// The provider cannot be asked: nobody can say whether the token is good.
    Unreachable,
}

#[derive(Default)]
struct Held {
    keys: Vec<Jwk>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
    has_failed: bool,
}

impl Jwks {
    pub fn new(client: JwksClient, rule: RefreshRule) -> Jwks {
        Jwks {
            client,
            rule,
            held: RwLock::default(),
            fetching: Mutex::default(),
        }
    }

    /// The key a token's header asks for, fit for its algorithm.
    pub async fn key(&self, kid: Option<&str>, alg: Algorithm) -> Result<DecodingKey, NoKey> {
        let held = self.held();
        if is_within(held.fetched_at, self.rule.fresh)
            && let Some(key) = held.find(kid, alg)
        {
            return Ok(key);
        }
        self.refresh().await;
        let held = self.held();
        if is_within(held.fetched_at, self.rule.stale_max)
            && let Some(key) = held.find(kid, alg)
        {
            return Ok(key);
        }
        Err(if held.has_failed {
            NoKey::Unreachable
        } else {
            NoKey::Unknown
        })
    }

    async fn refresh(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        let before = self.held();
        if is_within(before.tried_at, self.rule.pause) {
            return;
        }
        let now = Some(Clock::instant());
        let after = match self.client.fetch().await {
            Ok(keys) => Held {
                keys,
                fetched_at: now,
                tried_at: now,
                has_failed: false,
            },
            Err(error) => {
                tracing::warn!(%error, "the keys that sign users' tokens could not be fetched");
                Held {
                    keys: before.keys.clone(),
                    fetched_at: before.fetched_at,
                    tried_at: now,
                    has_failed: true,
                }
            }
        };
        *self.held.write().expect(NEVER_POISONED) = Arc::new(after);
    }

    fn held(&self) -> Arc<Held> {
        self.held.read().expect(NEVER_POISONED).clone()
    }
}

const NEVER_POISONED: &str = "the lock is never held across a panic";

fn is_within(since: Option<Instant>, span: Duration) -> bool {
    since.is_some_and(|since| Clock::instant().duration_since(since) < span)
}

impl Held {
    /// A token without a `kid` is verified with the only key that fits, and refused when there are
    /// several.
    fn find(&self, kid: Option<&str>, alg: Algorithm) -> Option<DecodingKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| fits(key, alg))
            .filter(|key| kid.is_none() || key.common.key_id.as_deref() == kid);
        let key = fitting.next()?;
        if fitting.next().is_some() {
            return None;
        }
        DecodingKey::from_jwk(key).ok()
    }
}

/// Whether a key may verify this algorithm: its type, its curve and what it says about itself.
/// A symmetric key never fits: whoever can read a key set could sign with it.
fn fits(key: &Jwk, alg: Algorithm) -> bool {
    let type_fits = match (&key.algorithm, alg) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => {
            key.curve == EllipticCurve::P256
        }
        _ => false,
    };
    let algorithm_fits = key
        .common
        .key_algorithm
        .is_none_or(|named| named == KeyAlgorithm::from(alg));
    let use_fits = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    type_fits && algorithm_fits && use_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = r#""kty":"RSA","n":"u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw","e":"AQAB""#;

    fn check(jwk: &str, alg: Algorithm, expected: bool) {
        let key: Jwk = serde_json::from_str(jwk).unwrap();
        assert_eq!(fits(&key, alg), expected, "{jwk} for {alg:?}");
    }

    #[test]
    fn a_key_fits_only_the_algorithm_of_its_type() {
        let ec = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        let secret = r#"{"kty":"oct","k":"c2VjcmV0"}"#;

        check(&format!("{{{RSA}}}"), Algorithm::RS256, true);
        check(&format!("{{{RSA}}}"), Algorithm::ES256, false);
        check(&format!("{{{RSA}}}"), Algorithm::HS256, false);
        check(&format!("{{{ec}}}"), Algorithm::ES256, true);
        check(&format!("{{{ec}}}"), Algorithm::RS256, false);
        check(
            &format!("{{{}}}", ec.replace("P-256", "P-384")),
            Algorithm::ES256,
            false,
        );
        check(secret, Algorithm::HS256, false);
        check(secret, Algorithm::RS256, false);
    }

    #[test]
    fn a_key_that_says_it_is_for_something_else_does_not_fit() {
        check(
            &format!(r#"{{{RSA},"alg":"RS512"}}"#),
            Algorithm::RS256,
            false,
        );
        check(
            &format!(r#"{{{RSA},"use":"enc"}}"#),
            Algorithm::RS256,
            false,
        );
        check(
            &format!(r#"{{{RSA},"use":"sig","alg":"RS256"}}"#),
            Algorithm::RS256,
            true,
        );
    }

    #[test]
    fn a_token_without_a_kid_needs_the_only_fitting_key() {
        let key = |kid: &str| serde_json::from_str(&format!(r#"{{{RSA},"kid":"{kid}"}}"#)).unwrap();
        let one = Held {
            keys: vec![key("a")],
            ..Held::default()
        };
        let two = Held {
            keys: vec![key("a"), key("b")],
            ..Held::default()
        };

        assert!(one.find(None, Algorithm::RS256).is_some());
        assert!(two.find(None, Algorithm::RS256).is_none());
        assert!(two.find(Some("b"), Algorithm::RS256).is_some());
        assert!(two.find(Some("c"), Algorithm::RS256).is_none());
    }
}
