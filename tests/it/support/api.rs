//! The API as a real server on a port of its own, over a database of its own.

use std::{net::TcpListener, time::Duration};

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode, header::HeaderMap};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollkeeper::{
    cli::keys,
    config::{JwtConfig, RateLimitConfig},
    context::Context,
    http::{
        self,
        api::Options,
        auth::{RefreshRule, Scope},
    },
};

use super::{cluster, service::Service, web};

pub const JWT_SECRET: &str = "a secret that only the tests know";

pub struct Api {
    pub db: PgPool,
    pub ctx: Context,
    pub base: String,
    http: reqwest::Client,
    server: JoinHandle<std::io::Result<()>>,
}

/// An answer: its status, its headers and its body as JSON (null when it is none).
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

/// A refusal of the enveloped family, its clock left out.
#[track_caller]
pub fn assert_enveloped(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.body["success"], false);
    assert_eq!(answer.body["error"]["code"], code, "{}", answer.text);
    assert_eq!(answer.body["error"]["message"], message);
    assert_eq!(answer.body["error"]["statusCode"], status);
    assert_eq!(answer.body["message"], message);
    assert!(answer.body["timestamp"].as_str().unwrap().ends_with('Z'));
}

/// What a test may want otherwise than the rest.
pub struct Setup {
    pub jwt: JwtConfig,
    pub refresh: RefreshRule,
    pub cors_origins: Vec<String>,
    pub provision_wait: Duration,
    pub admin_key: Option<String>,
    pub metrics_token: Option<String>,
    /// Which price a setting names.
    pub price_ids: Vec<(&'static str, &'static str)>,
    /// None: no limit.
    pub rate_limits: Option<RateLimitConfig>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            jwt: JwtConfig {
                secret: Some(JWT_SECRET.to_owned().into()),
                ..JwtConfig::default()
            },
            refresh: RefreshRule::default(),
            cors_origins: Vec::new(),
            provision_wait: Duration::from_secs(8),
            admin_key: None,
            metrics_token: None,
            price_ids: Vec::new(),
            rate_limits: None,
        }
    }
}

impl Api {
    pub async fn start() -> Api {
        Api::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Api {
        let db = cluster::fresh_database().await;
        Api::start_over(db, setup).await
    }

    pub async fn start_over(db: PgPool, setup: Setup) -> Api {
        let service = Service::over(db, |config| {
            config.public_base_url = "https://toll.example".to_owned();
            config.jwt = setup.jwt;
            config.admin_key = setup.admin_key.map(Into::into);
            config.metrics_token = setup.metrics_token.map(Into::into);
            config.http.cors_origins = setup.cors_origins;
            for (setting, price) in setup.price_ids {
                config
                    .price_ids
                    .insert(setting.to_owned(), price.to_owned());
            }
            config.rate_limits = setup.rate_limits.unwrap_or(config.rate_limits.clone());
        });
        let options = Options {
            provision_wait: setup.provision_wait,
            jwks_refresh: setup.refresh,
            ..web::options()
        };
        Api::of(service, options)
    }

    /// Over a service that is there already.
    pub fn of(service: Service, options: Options) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let Service { ctx, db } = service;
        let stop = CancellationToken::new();
        let server = tokio::spawn(http::serve(ctx.clone(), options, listener, stop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Api {
            db,
            ctx,
            base: format!("http://{address}"),
            http: reqwest::Client::new(),
            server,
        }
    }

    pub async fn get(&self, path: &str, credential: &str) -> Answer {
        self.call(Method::GET, path, credential, None, &[]).await
    }

    pub async fn post(&self, path: &str, credential: &str, body: Value) -> Answer {
        self.call(Method::POST, path, credential, Some(body), &[])
            .await
    }

    /// One request; an empty credential sends no `Authorization` header.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        credential: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !credential.is_empty() {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// A service key with these scopes.
    pub async fn key(&self, scopes: &[Scope]) -> String {
        let mut conn = self.db.acquire().await.unwrap();
        let now = self.ctx.clock.now();
        keys::create(&mut conn, "a test's app", scopes, None, now)
            .await
            .unwrap()
            .secret
            .expose_secret()
            .to_owned()
    }

    /// An account with a subscription.
    pub async fn subscriber(&self, account_id: &str, tier: &str, status: &str) {
        self.account(account_id).await;
        sqlx::query(
            "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier,
                                        period_starts_at, period_ends_at, created_at, synced_at)
             values ($1, $2, $3, $4, $5, '2026-11-01Z', '2026-12-01Z', '2026-11-01Z', '2026-11-01Z')",
        )
        .bind(format!("sub_{account_id}"))
        .bind(account_id)
        .bind(format!("cus_{account_id}"))
        .bind(status)
        .bind(tier)
        .execute(&self.db)
        .await
        .unwrap();
    }

    pub async fn account(&self, account_id: &str) {
        sqlx::query("insert into accounts (account_id) values ($1)")
            .bind(account_id)
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// What the workers leave behind when an order is done: a subaccount and an active number.
    pub async fn provisioned(&self, account_id: &str, number: &str) {
        sqlx::query(
            "insert into telephony (account_id, status, created_at)
             values ($1, 'active', '2026-11-02Z')
             on conflict (account_id) do update set status = 'active'",
        )
        .bind(account_id)
        .execute(&self.db)
        .await
        .unwrap();
        sqlx::query(
            "insert into twilio_subaccounts (account_id, subaccount_ref, friendly_name, status,
                                             auth_token_sealed, created_at)
             values ($1, 'AC' || md5($1), $1, 'active', 'sealed', '2026-11-02Z')",
        )
        .bind(account_id)
        .execute(&self.db)
        .await
        .unwrap();
        sqlx::query(
            "insert into phone_numbers (id, account_id, status, phone_number, number_ref,
                                        friendly_name, capabilities, is_primary, purchased_at)
             values (gen_random_uuid(), $1, 'active', $2, 'PN' || md5($1), $2,
                     '{\"voice\": true, \"SMS\": true, \"MMS\": false}', true, '2026-11-02Z')",
        )
        .bind(account_id)
        .bind(number)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// How many orders for telephony of an account there are.
    pub async fn jobs(&self, account_id: &str) -> i64 {
        sqlx::query_scalar("select count(*) from queue.jobs where account_id = $1 and kind = 'provision_subaccount'")
            .bind(account_id)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A user's token, good for an hour.
pub fn token(account_id: &str) -> String {
    signed(
        &json!({ "userId": account_id, "exp": Utc::now().timestamp() + 3600 }),
        JWT_SECRET,
    )
}

/// Any claims, signed with HS256.
pub fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}
