//! A running sandbox and the two clients that talk to it.

use std::{sync::Once, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tollkeeper::sandbox::{Sandbox, Settings, stripe::SignUp};

pub const STRIPE_KEY: &str = "sk_test_sandbox";
pub const TWILIO_SID: &str = "AC00000000000000000000000000000001";
pub const TWILIO_TOKEN: &str = "00000000000000000000000000000002";
pub const PRICE: &str = "price_pro_monthly";

static TLS: Once = Once::new();

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub is_replayed: bool,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// A sandbox with one price in it.
pub struct World {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
}

impl World {
    pub async fn start() -> World {
        World::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> World {
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let sandbox = Sandbox::start(settings).await.unwrap();
        sandbox.add_price(PRICE, 2900);
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        World { sandbox, http }
    }

    /// One call of Stripe; an error when no answer came.
    pub async fn try_stripe(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{path}", self.sandbox.stripe_base());
        let mut request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(STRIPE_KEY);
        request = if method == Method::GET {
            request.query(form)
        } else {
            request.form(form)
        };
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        answer(request).await
    }

    pub async fn stripe(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_stripe(method, path, form, None).await.unwrap()
    }

    /// POST with an idempotency key.
    pub async fn stripe_keyed(&self, path: &str, form: &[(&str, &str)], key: &str) -> Answer {
        self.try_stripe(Method::POST, path, form, Some(key))
            .await
            .unwrap()
    }

    /// One call of Twilio with the parent's credentials; an error when no answer came.
    pub async fn try_twilio(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        self.try_twilio_as(TWILIO_SID, TWILIO_TOKEN, method, path, form)
            .await
    }

    pub async fn try_twilio_as(
        &self,
        sid: &str,
        token: &str,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}/2010-04-01{path}", self.sandbox.twilio_base());
        let request = self
            .http
            .request(method.clone(), url)
            .basic_auth(sid, Some(token));
        let request = if method == Method::GET {
            request.query(form)
        } else {
            request.form(form)
        };
        answer(request).await
    }

    pub async fn twilio(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_twilio(method, path, form).await.unwrap()
    }

    /// A new subaccount's SID and token.
    pub async fn subaccount(&self, name: &str) -> (String, String) {
        let made = self
            .twilio(Method::POST, "/Accounts.json", &[("FriendlyName", name)])
            .await;
        assert_eq!(made.status, 201);
        let field = |name: &str| made.body[name].as_str().unwrap().to_owned();
        (field("sid"), field("auth_token"))
    }

    /// A new subscription of the one price; its id.
    pub async fn subscription(&self) -> String {
        let customer = self
            .stripe(
                Method::POST,
                "/v1/customers",
                &[("email", "zoe@example.com")],
            )
            .await;
        let customer = customer.body["id"].as_str().unwrap();
        let form = [("customer", customer), ("items[0][price]", PRICE)];
        let made = self.stripe(Method::POST, "/v1/subscriptions", &form).await;
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// Zoë goes through Checkout; her subscription's id.
    pub fn sign_up(&self, trial_days: Option<i64>) -> String {
        let who = SignUp {
            user_id: "user_42".to_owned(),
            email: "zoe@example.com".to_owned(),
            price_id: PRICE.to_owned(),
            trial_days,
            ..SignUp::default()
        };
        self.sandbox.sign_up(&who).unwrap().subscription_id
    }

    /// The types of all events, oldest first.
    pub fn event_types(&self) -> Vec<&'static str> {
        self.sandbox
            .events()
            .iter()
            .map(|event| event.event_type)
            .collect()
    }
}

/// Wait for something that comes by itself.
pub async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status();
    let is_replayed = response.headers().get("idempotent-replayed").is_some();
    let bytes = response.bytes().await?;
    let body = if status == StatusCode::NO_CONTENT {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap()
    };
    Ok(Answer {
        status: status.as_u16(),
        is_replayed,
        body,
    })
}
