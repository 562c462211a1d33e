//! Tokens that an identity provider signed, by the keys it publishes.
//!
//! The keys in `golden/jwt` were made for these tests and open nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use poem::{EndpointExt, Response, Route, get, handler, http::StatusCode, web::Data};
use serde_json::{Value, json};
use tollkeeper::{config::JwtConfig, http::auth::RefreshRule};

use crate::support::{
    api::{Api, JWT_SECRET, Setup, token},
    web::listen,
};

const NUMBERS: &str = "/api/twilio/numbers";

fn claims() -> Value {
    json!({ "sub": "ann", "exp": Utc::now().timestamp() + 600 })
}

async fn status(api: &Api, credential: &str) -> u16 {
    api.get(NUMBERS, credential).await.status.as_u16()
}

/// What an identity provider says its keys are, and how often it was asked.
pub struct Provider {
    pub url: String,
    keys: std::sync::Mutex<Vec<Value>>,
    asked: AtomicUsize,
    is_down: AtomicBool,
}

#[handler]
fn key_set(provider: Data<&Arc<Provider>>) -> Response {
    provider.asked.fetch_add(1, Ordering::SeqCst);
    if provider.is_down.load(Ordering::SeqCst) {
        return StatusCode::BAD_GATEWAY.into();
    }
    let keys = provider.keys.lock().unwrap().clone();
    Response::builder().body(json!({ "keys": keys }).to_string())
}

impl Provider {
    pub async fn start() -> Arc<Provider> {
        let (acceptor, address) = listen().await;
        let provider = Arc::new(Provider {
            url: format!("http://{address}/jwks"),
            keys: Default::default(),
            asked: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        });
        let routes = Route::new()
            .at("/jwks", get(key_set))
            .data(provider.clone());
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
        provider
    }

    /// From now on it also has this key.
    pub fn publish(&self, key: &EncodingKey, alg: Algorithm, kid: &str) {
        let mut jwk = Jwk::from_encoding_key(key, alg).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        self.keys
            .lock()
            .unwrap()
            .push(serde_json::to_value(jwk).unwrap());
    }

    /// What everybody can read of one of its keys.
    pub fn published(&self, at: usize) -> Value {
        self.keys.lock().unwrap()[at].clone()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn api(&self, refresh: RefreshRule) -> Api {
        let jwt = JwtConfig {
            secret: Some(JWT_SECRET.to_owned().into()),
            jwks_url: Some(self.url.clone()),
            ..JwtConfig::default()
        };
        Api::start_with(Setup {
            jwt,
            refresh,
            ..Setup::default()
        })
        .await
    }
}

pub fn rsa() -> EncodingKey {
    let der = BASE64_STANDARD
        .decode(include_str!("golden/jwt/rsa.pkcs1.b64"))
        .unwrap();
    EncodingKey::from_rsa_der(&der)
}

pub fn p256() -> EncodingKey {
    let der = BASE64_STANDARD
        .decode(include_str!("golden/jwt/p256.pkcs8.b64"))
        .unwrap();
    EncodingKey::from_ec_der(&der)
}

fn issued(key: &EncodingKey, alg: Algorithm, kid: Option<&str>) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(alg)
    };
    encode(&header, &claims(), key).unwrap()
}

#[tokio::test]
async fn an_identity_provider_signs_with_rsa_or_a_curve() {
    let provider = Provider::start().await;
    provider.publish(&rsa(), Algorithm::RS256, "r");
    provider.publish(&p256(), Algorithm::ES256, "e");
    let api = provider.api(RefreshRule::default()).await;

    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::RS256, Some("r"))).await,
        200
    );
    assert_eq!(
        status(&api, &issued(&p256(), Algorithm::ES256, Some("e"))).await,
        200
    );
    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::RS256, None)).await,
        200
    );
    assert_eq!(status(&api, &token("ann")).await, 200);
    // The key of one algorithm is none of another's, whatever the kid says.
    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::RS256, Some("e"))).await,
        401
    );
    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::RS512, Some("r"))).await,
        401
    );
    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::PS256, Some("r"))).await,
        401
    );
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_public_key_signs_nothing() {
    let provider = Provider::start().await;
    provider.publish(&rsa(), Algorithm::RS256, "r");
    let api = provider.api(RefreshRule::default()).await;
    let published = provider.published(0);
    let modulus = published["n"].as_str().unwrap();
    for secret in [modulus.to_owned(), published.to_string()] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let confused = issued(&key, Algorithm::HS256, Some("r"));
        assert_eq!(status(&api, &confused).await, 401);
    }
    // A symmetric key in a public set would let every reader of it sign.
    let secret = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode("known to all");
    let symmetric = json!({ "kty": "oct", "k": secret, "kid": "o" });
    provider.keys.lock().unwrap().push(symmetric);
    let api = provider.api(RefreshRule::default()).await;
    let key = EncodingKey::from_secret(b"known to all");
    assert_eq!(
        status(&api, &issued(&key, Algorithm::HS256, Some("o"))).await,
        401
    );
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_floods_fetch_nothing() {
    let provider = Provider::start().await;
    provider.publish(&rsa(), Algorithm::RS256, "old");
    let pause = Duration::from_millis(300);
    let api = provider
        .api(RefreshRule {
            pause,
            ..RefreshRule::default()
        })
        .await;
    assert_eq!(
        status(&api, &issued(&rsa(), Algorithm::RS256, Some("old"))).await,
        200
    );
    provider.publish(&p256(), Algorithm::ES256, "new");

    let new = issued(&p256(), Algorithm::ES256, Some("new"));
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while status(&api, &new).await != 200 {
        assert!(
            tokio::time::Instant::now() < until,
            "the new key was never fetched"
        );
    }
    assert_eq!(provider.asked(), 2);
    let flood = tokio::time::Instant::now();
    for unknown in 0..50 {
        let kid = unknown.to_string();
        assert_eq!(
            status(&api, &issued(&rsa(), Algorithm::RS256, Some(&kid))).await,
            401
        );
    }
    // One for each pause that went by, however slow this machine is.
    let pauses = (flood.elapsed().as_millis() / pause.as_millis()) as usize;
    assert!(
        provider.asked() <= 3 + pauses,
        "asked {} times in {pauses} pauses",
        provider.asked()
    );
}

#[tokio::test]
async fn an_unreachable_provider_decides_nothing_and_its_last_keys_hold_on() {
    let provider = Provider::start().await;
    provider.publish(&rsa(), Algorithm::RS256, "r");
    provider.is_down.store(true, Ordering::SeqCst);
    let good = issued(&rsa(), Algorithm::RS256, Some("r"));

    let cold = provider.api(RefreshRule::default()).await;
    let answer = cold.get(NUMBERS, &good).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));

    provider.is_down.store(false, Ordering::SeqCst);
    let always = RefreshRule {
        fresh: Duration::ZERO,
        pause: Duration::ZERO,
        ..Default::default()
    };
    let warm = provider.api(always).await;
    assert_eq!(status(&warm, &good).await, 200);
    provider.is_down.store(true, Ordering::SeqCst);
    let asked = provider.asked();
    assert_eq!(status(&warm, &good).await, 200);
    assert_eq!(provider.asked(), asked + 1);
    assert_eq!(
        status(&warm, &issued(&p256(), Algorithm::ES256, Some("e"))).await,
        503
    );
}
