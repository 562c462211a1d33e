//! Every kind of credential that may come with a request about a tenant.

use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::json;
use tollkeeper::{cli::keys, http::auth::Scope};

use super::tenants::TENANTS;
use crate::support::{
    api::{JWT_SECRET, signed, token},
    service::Service,
};

/// Whom a credential really stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Opens {
    Nothing,
    /// A user's own account: the index of the tenant.
    Account(usize),
    /// Any account, for what the scopes allow.
    Scopes(Vec<Scope>),
}

pub struct Credential {
    pub name: String,
    /// What stands behind `Bearer `; empty sends no header.
    pub text: String,
    pub opens: Opens,
}

impl Credential {
    fn new(name: impl Into<String>, text: impl Into<String>, opens: Opens) -> Credential {
        Credential {
            name: name.into(),
            text: text.into(),
            opens,
        }
    }
}

/// The kinds that do not depend on whose account is asked about.
pub async fn of_the_house(service: &Service) -> Vec<Credential> {
    let mut all = vec![
        Credential::new("none", "", Opens::Nothing),
        Credential::new("garbage", "garbage", Opens::Nothing),
        Credential::new("three dots", "a.b.c", Opens::Nothing),
        Credential::new("a short key", "tk_live_short", Opens::Nothing),
        Credential::new(
            "a key never made",
            format!("tk_live_{}", "0".repeat(64)),
            Opens::Nothing,
        ),
    ];
    let mut conn = service.db.acquire().await.unwrap();
    let now = service.ctx.clock.now();
    for scope in Scope::ALL {
        let key = keys::create(&mut conn, "app", &[scope], None, now)
            .await
            .unwrap();
        let secret = key.secret.expose_secret();
        all.push(Credential::new(
            format!("key {scope}"),
            secret,
            Opens::Scopes(vec![scope]),
        ));
    }
    for (name, change) in [
        (
            "a key without a scope",
            "update api_keys set scopes = '{}' where id = $1",
        ),
        (
            "a key with a scope of tomorrow",
            "update api_keys set scopes = '{telephony}' where id = $1",
        ),
        (
            "a revoked key",
            "update api_keys set revoked_at = created_at where id = $1",
        ),
        (
            "an expired key",
            "update api_keys set expires_at = created_at where id = $1",
        ),
    ] {
        let key = keys::create(&mut conn, name, &[Scope::All], None, now)
            .await
            .unwrap();
        let secret = key.secret.expose_secret().to_owned();
        sqlx::query(change)
            .bind(key.id)
            .execute(&mut *conn)
            .await
            .unwrap();
        let opens = if name.contains("scope") {
            Opens::Scopes(Vec::new())
        } else {
            Opens::Nothing
        };
        all.push(Credential::new(name, secret, opens));
    }
    all
}

/// The kinds that name a tenant; `own` is the one the request is about.
pub fn of_a_user(own: usize) -> Vec<Credential> {
    let (own_id, other_id) = (TENANTS[own].id, TENANTS[1 - own].id);
    let claims =
        |hours| json!({ "sub": own_id, "exp": (Utc::now() + TimeDelta::hours(hours)).timestamp() });
    let two_names = json!({
        "sub": own_id, "userId": other_id, "exp": (Utc::now() + TimeDelta::hours(1)).timestamp()
    });
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    let by_another_hash = encode(&Header::new(Algorithm::HS512), &claims(1), &key).unwrap();
    vec![
        Credential::new("own token", token(own_id), Opens::Account(own)),
        Credential::new(
            "the other's token",
            token(other_id),
            Opens::Account(1 - own),
        ),
        Credential::new(
            "expired token",
            signed(&claims(-1), JWT_SECRET),
            Opens::Nothing,
        ),
        Credential::new(
            "token of another secret",
            signed(&claims(1), "another"),
            Opens::Nothing,
        ),
        Credential::new(
            "token of another algorithm",
            by_another_hash,
            Opens::Nothing,
        ),
        Credential::new(
            "token of two users",
            signed(&two_names, JWT_SECRET),
            Opens::Nothing,
        ),
        Credential::new("user's id", own_id, Opens::Nothing),
    ]
}
