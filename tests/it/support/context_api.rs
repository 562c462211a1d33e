//! The API as a real server on a port of its own, over a database of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use metrics_exporter_prometheus::PrometheusBuilder;
use poem::{
    Route,
    listener::{Acceptor, Listener, TcpListener},
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tollkeeper::{
    cli::keys,
    clients::{stripe::Stripe, twilio::Twilio},
    clock::Clock,
    config::*,
    context::{Context, Pools},
    http::{
        api::{self, Options, Plan},
        auth::{RefreshRule, Scope},
        health::Providers,
    },
    queue::Wake,
    sealed::Keyring,
};

use super::cluster;

pub const JWT_SECRET: &str = "a secret that only the tests know";

pub struct Api {
    pub db: PgPool,
    pub ctx: Context,
    pub base: String,
    http: reqwest::Client,
    server: JoinHandle<()>,
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
        let ctx = context(db.clone(), &setup);
        let options = Options {
            plans: Arc::new(plan),
            providers: Providers::Sandbox,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            provision_wait: setup.provision_wait,
            jwks_refresh: setup.refresh,
        };
        // Nested, as the server does it.
        let routes = Route::new().nest("/", api::routes(&ctx, options));
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .unwrap();
        let address = acceptor.local_addr()[0]
            .as_socket_addr()
            .unwrap()
            .to_owned();
        let server = tokio::spawn(async move {
            poem::Server::new_with_acceptor(acceptor)
                .run(routes)
                .await
                .unwrap();
        });
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
                                        friendly_name, capabilities, purchased_at)
             values (gen_random_uuid(), $1, 'active', $2, 'PN' || md5($1), $2,
                     '{\"voice\": true, \"SMS\": true, \"MMS\": false}', '2026-11-02Z')",
        )
        .bind(account_id)
        .bind(number)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// How many jobs of an account there are.
    pub async fn jobs(&self, account_id: &str) -> i64 {
        sqlx::query_scalar("select count(*) from queue.jobs where account_id = $1")
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

fn plan(tier: &str) -> Option<Plan> {
    let (name, month_minor, calls, auto_provision_number) = match tier {
        "free" => ("Free", 0, Some(0), false),
        "repx1" => ("Rep¹ - Login", 9700, Some(100), true),
        "repx5" => ("Rep⁵", 99_700, None, true),
        _ => return None,
    };
    Some(Plan {
        id: tier.to_owned(),
        name: name.to_owned(),
        month_minor: Some(month_minor),
        limits: BTreeMap::from([("calls".to_owned(), calls)]),
        auto_provision_number,
    })
}

fn context(db: PgPool, setup: &Setup) -> Context {
    let seconds = Duration::from_secs;
    let config = Config {
        host: [127, 0, 0, 1].into(),
        port: 0,
        database_url: None,
        data_dir: "unused".into(),
        public_base_url: "https://toll.example".to_owned(),
        stripe: StripeConfig {
            secret_key: "unused".to_owned().into(),
            webhook_secrets: Vec::new(),
            api_base: "http://127.0.0.1:1".to_owned(),
        },
        twilio: TwilioConfig {
            account_sid: "unused".to_owned(),
            auth_tokens: Vec::new(),
            api_base: "http://127.0.0.1:1".to_owned(),
        },
        voipms: VoipmsConfig::default(),
        encryption_keys: Vec::new(),
        jwt: setup.jwt.clone(),
        pools: PoolConfig {
            ingest: 10,
            work: 10,
            console: 2,
            acquire_timeout: seconds(5),
        },
        worker: WorkerConfig {
            money: 1,
            voice: 1,
            default: 1,
            bulk: 1,
            account_max: 1,
            lease: seconds(30),
            poll_max: seconds(1),
            drain: seconds(1),
            backoff_scale: 1.0,
        },
        telephony: TelephonyConfig {
            country: "US".to_owned(),
            area_codes: Vec::new(),
            past_due_grace: seconds(0),
            release_grace: seconds(0),
            quiet_time: seconds(0),
            greeting: String::new(),
            sms_reply: String::new(),
        },
        http: HttpConfig {
            header_deadline: seconds(5),
            body_deadline: seconds(10),
            connections_max: 100,
            connections_per_address_max: 100,
            group_wait: seconds(0),
            group_max: 1,
            store_deadline: seconds(1),
            cors_origins: setup.cors_origins.clone(),
        },
        log_format: LogFormat::Text,
    };
    Context {
        config: Arc::new(config),
        pools: Pools {
            ingest: db.clone(),
            work: db.clone(),
            console: db,
        },
        clock: Clock::default(),
        stripe: Stripe,
        twilio: Twilio,
        keyring: Arc::new(Keyring {}),
        wake: Wake::default(),
    }
}
