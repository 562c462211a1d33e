//! Users' tokens: who signed them, with which algorithm, and whose they are.
//!
//! Each algorithm has one source of keys: HS256 our own secret, RS256 and ES256 the identity
//! provider. A token's header picks a source, never a key of another one.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::{
    account_id::AccountId,
    jwks::{Jwks, NoKey, RefreshRule},
};
use crate::{clients::jwks::JwksClient, config::JwtConfig};

/// Two clocks may differ by so much.
const LEEWAY_SECONDS: f64 = 30.0;
/// No honest token is longer; a header line of more is not even decoded.
const LENGTH_MAX: usize = 8 * 1024;

pub struct TokenVerifier {
    secret: Option<DecodingKey>,
    provider: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    Invalid,
    /// The identity provider cannot be asked, so nobody can say.
    Undecided,
}

/// A claim of another type than here makes the whole token invalid: a text `exp` is none.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    #[serde(rename = "userId")]
    user_id: Option<String>,
    sub: Option<String>,
    /// Whatever it is: nothing is decided by it but whether they name themselves.
    #[serde(default)]
    email: Value,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub account_id: AccountId,
    /// The address that the identity provider knows them by.
    pub email: Option<String>,
}

impl TokenVerifier {
    pub fn new(config: &JwtConfig, rule: RefreshRule) -> TokenVerifier {
        TokenVerifier {
            secret: config
                .secret
                .as_ref()
                .map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())),
            provider: config
                .jwks_url
                .as_ref()
                .map(|url| Jwks::new(JwksClient::new(url.clone()), rule)),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }
    }

    /// Whose token it is, if it is good at `now`.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claimed, TokenError> {
        if token.len() > LENGTH_MAX {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenError::Invalid)?;
        // `crit` names extensions that must be understood, and none is.
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let key = self.key(header.alg, header.kid.as_deref()).await?;
        let claims: Claims = decode(token, &key, &self.validation(header.alg))
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if !claims.is_good_at(now) {
            return Err(TokenError::Invalid);
        }
        let email = claims.email.as_str().map(str::to_owned);
        let account_id = claims.account_id().ok_or(TokenError::Invalid)?;
        Ok(Claimed { account_id, email })
    }

    async fn key(&self, alg: Algorithm, kid: Option<&str>) -> Result<DecodingKey, TokenError> {
        match (alg, &self.secret, &self.provider) {
            (Algorithm::HS256, Some(secret), _) => Ok(secret.clone()),
            (Algorithm::RS256 | Algorithm::ES256, _, Some(provider)) => {
                provider.key(kid, alg).await.map_err(|no_key| match no_key {
                    NoKey::Unknown => TokenError::Invalid,
                    NoKey::Unreachable => TokenError::Undecided,
                })
            }
            _ => Err(TokenError::Invalid),
        }
    }

    fn validation(&self, alg: Algorithm) -> Validation {
        let mut validation = Validation::new(alg);
        // The time is compared by us, with the service's own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Claims {
    fn is_good_at(&self, now: DateTime<Utc>) -> bool {
        let now = now.timestamp_millis() as f64 / 1000.0;
        self.exp + LEEWAY_SECONDS > now && self.nbf.is_none_or(|nbf| nbf - LEEWAY_SECONDS <= now)
    }

    /// `userId` or `sub`; both only when they agree.
    fn account_id(self) -> Option<AccountId> {
        let named = match (self.user_id, self.sub) {
            (Some(user_id), Some(sub)) if user_id != sub => return None,
            (Some(user_id), _) => user_id,
            (None, sub) => sub?,
        };
        AccountId::parse(&named).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;

    fn config() -> JwtConfig {
        JwtConfig {
            secret: Some("a secret of the house".to_owned().into()),
            issuer: Some("xswarm-api".to_owned()),
            audience: Some("xswarm-users".to_owned()),
            jwks_url: None,
        }
    }

    async fn check(claims: Value, expected: Result<&str, TokenError>) {
        let key = EncodingKey::from_secret(b"a secret of the house");
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();

        let found = TokenVerifier::new(&config(), RefreshRule::default())
            .verify(&token, now)
            .await;

        assert_eq!(
            found
                .as_ref()
                .map(|it| it.account_id.as_str())
                .map_err(|e| *e),
            expected,
            "{claims}"
        );
    }

    fn claims(change: Value) -> Value {
        let mut claims = json!({
            "userId": "user-1", "exp": NOW + 60, "iss": "xswarm-api", "aud": "xswarm-users",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    #[tokio::test]
    async fn a_token_names_its_user_as_user_id_or_sub() {
        check(claims(json!({})), Ok("user-1")).await;
        check(
            claims(json!({ "userId": null, "sub": "user-2" })),
            Ok("user-2"),
        )
        .await;
        check(claims(json!({ "sub": "user-1" })), Ok("user-1")).await;
        check(claims(json!({ "sub": "user-2" })), Err(TokenError::Invalid)).await;
        check(claims(json!({ "userId": null })), Err(TokenError::Invalid)).await;
        check(claims(json!({ "userId": "" })), Err(TokenError::Invalid)).await;
        check(claims(json!({ "userId": 7 })), Err(TokenError::Invalid)).await;
    }

    #[tokio::test]
    async fn a_token_is_good_from_nbf_to_exp() {
        check(claims(json!({ "exp": NOW - 29 })), Ok("user-1")).await;
        check(claims(json!({ "exp": NOW - 30 })), Err(TokenError::Invalid)).await;
        check(claims(json!({ "exp": null })), Err(TokenError::Invalid)).await;
        check(
            claims(json!({ "exp": (NOW + 60).to_string() })),
            Err(TokenError::Invalid),
        )
        .await;
        check(
            claims(json!({ "exp": [NOW + 60] })),
            Err(TokenError::Invalid),
        )
        .await;
        check(claims(json!({ "nbf": NOW + 30 })), Ok("user-1")).await;
        check(claims(json!({ "nbf": NOW + 31 })), Err(TokenError::Invalid)).await;
        check(claims(json!({ "nbf": "0" })), Err(TokenError::Invalid)).await;
    }

    #[tokio::test]
    async fn a_token_for_somebody_else_is_refused() {
        check(
            claims(json!({ "iss": "another" })),
            Err(TokenError::Invalid),
        )
        .await;
        check(claims(json!({ "iss": null })), Err(TokenError::Invalid)).await;
        check(
            claims(json!({ "aud": "another" })),
            Err(TokenError::Invalid),
        )
        .await;
        check(claims(json!({ "aud": null })), Err(TokenError::Invalid)).await;
        check(
            claims(json!({ "aud": ["another", "xswarm-users"] })),
            Ok("user-1"),
        )
        .await;
    }

    #[tokio::test]
    async fn one_changed_character_anywhere_spoils_a_token() {
        let key = EncodingKey::from_secret(b"a secret of the house");
        let token = encode(&Header::new(Algorithm::HS256), &claims(json!({})), &key).unwrap();
        let verifier = TokenVerifier::new(&config(), RefreshRule::default());
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert!(verifier.verify(&token, now).await.is_ok());
        for position in 0..token.len() {
            for other in ["A", "B", ".", "="] {
                let mut changed = token.clone();
                changed.replace_range(position..=position, other);
                if changed != token {
                    let found = verifier.verify(&changed, now).await;
                    assert_eq!(found, Err(TokenError::Invalid), "{changed}");
                }
            }
        }
    }
}
