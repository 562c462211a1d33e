//! Who is asking, and whose account they may ask about.

mod account_id;
mod caller;
mod jwks;
mod lookup;
mod scope;
mod service_key;
mod token;

use std::fmt;

use poem::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use account_id::AccountId;
pub use caller::Caller;
pub use jwks::RefreshRule;
pub use lookup::KNOWN_FOR;
pub use scope::Scope;
pub use service_key::ServiceKey;

use self::{
    lookup::Keys,
    token::{Claimed, TokenError, TokenVerifier},
};
use super::problem::Problem;
use crate::{clock::Clock, context::Context, db::api_keys};

/// Whoever a credential stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// An app. It acts for any user it names, as far as its scopes go.
    Service {
        key_id: Uuid,
        /// The name its key was made under: the keys of one app have one name.
        app: String,
        scopes: Vec<Scope>,
    },
    /// A user: their own account and no other.
    User {
        account_id: AccountId,
        /// The address their token names them by.
        email: Option<String>,
    },
}

/// As a log names it: an app by its key; a user by that word, since the account is named beside it.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Service { key_id, .. } => write!(f, "key {key_id}"),
            Principal::User { .. } => f.write_str("user"),
        }
    }
}

/// Tells who is asking from the `Authorization` header.
pub struct Authenticator {
    pool: PgPool,
    clock: Clock,
    keys: Keys,
    tokens: TokenVerifier,
}

impl Authenticator {
    pub fn new(ctx: &Context, rule: RefreshRule) -> Authenticator {
        Authenticator {
            pool: ctx.pools.api.clone(),
            clock: ctx.clock.clone(),
            keys: Keys::new(ctx),
            tokens: TokenVerifier::new(&ctx.config.jwt, rule),
        }
    }

    /// A service key or a token, with `Bearer ` before it or bare. Refused with 401; with 503 when
    /// the database or the identity provider that would know cannot be asked.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let credential = credential(headers).ok_or_else(Problem::missing_credentials)?;
        if ServiceKey::is_meant_by(credential) {
            return self.service(credential).await;
        }
        match self.tokens.verify(credential, self.clock.now()).await {
            Ok(Claimed { account_id, email }) => Ok(Principal::User { account_id, email }),
            Err(TokenError::Invalid) => Err(Problem::invalid_credentials()),
            Err(TokenError::Undecided) => Err(Problem::unavailable()),
        }
    }

    async fn service(&self, credential: &str) -> Result<Principal, Problem> {
        let key = ServiceKey::parse(credential).ok_or_else(Problem::invalid_credentials)?;
        let digest = key.sha256();
        let found = self.keys.live(digest).await?;
        let key = found.ok_or_else(Problem::invalid_credentials)?;
        let now = self.clock.now();
        if key.was_idle_at(now) {
            let mut conn = self.pool.acquire().await?;
            api_keys::touch(&mut conn, key.id, now).await?;
            self.keys.was_used(&digest, now);
        }
        // A scope this version does not know allows nothing, and does not make the key useless.
        let scopes = key.scopes.iter().filter_map(|s| s.parse().ok()).collect();
        Ok(Principal::Service {
            key_id: key.id,
            app: key.name.clone(),
            scopes,
        })
    }
}

/// Whether this is the secret, told in a time that says nothing of where they differ.
pub fn is_secret(told: &str, secret: &SecretString) -> bool {
    let secret = secret.expose_secret().as_bytes();
    secret.ct_eq(told.as_bytes()).into()
}

/// None when there is no such header, more than one, or another scheme than Bearer.
pub fn credential(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let text = all.next()?.to_str().ok()?.trim();
    if all.next().is_some() {
        return None;
    }
    let credential = match text.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        Some(_) => return None,
        None if text.eq_ignore_ascii_case("bearer") => return None,
        // Older clients send the token alone.
        None => text,
    };
    (!credential.is_empty() && !credential.contains(char::is_whitespace)).then_some(credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(credential(&headers), expected, "{values:?}");
    }

    #[test]
    fn a_credential_comes_with_bearer_or_bare() {
        check(&["Bearer abc"], Some("abc"));
        check(&["bearer  abc"], Some("abc"));
        check(&["abc"], Some("abc"));
    }

    #[test]
    fn anything_else_is_no_credential() {
        check(&[], None);
        check(&[""], None);
        check(&["Bearer"], None);
        check(&["Bearer "], None);
        check(&["Basic YTpi"], None);
        check(&["Bearer abc def"], None);
        check(&["Bearer abc", "Bearer def"], None);
    }
}
