//! A running sandbox and the two clients that talk to it.

use std::{sync::Once, time::Duration};

use chrono::TimeDelta;
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

    /// What a GET shows; it has to be there.
    pub async fn look(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.stripe(Method::GET, path, query).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// What a POST makes; it has to succeed.
    pub async fn make(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let answer = self.stripe(Method::POST, path, form).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// The status and the code, or else the message, of a POST that fails.
    pub async fn refusal(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let answer = self.stripe(Method::POST, path, form).await;
        let error = &answer.body["error"];
        let why = error["code"].as_str().or(error["message"].as_str());
        (answer.status, why.unwrap_or_default().to_owned())
    }

    /// A new customer's id.
    pub async fn customer(&self) -> String {
        id(&self.make("/v1/customers", &[]).await)
    }

    /// An own draft of a customer's; its id.
    pub async fn draft(&self, customer: &str) -> String {
        id(&self.make("/v1/invoices", &[("customer", customer)]).await)
    }

    /// Put an amount on an invoice; the item's id.
    pub async fn item(&self, customer: &str, invoice: &str, amount: i64) -> String {
        let amount = amount.to_string();
        let form = [
            ("customer", customer),
            ("invoice", invoice),
            ("amount", &amount),
            ("currency", "usd"),
        ];
        id(&self.make("/v1/invoiceitems", &form).await)
    }

    /// A finalized invoice of that amount that nobody collects; its id.
    pub async fn open_invoice(&self, customer: &str, amount: i64) -> String {
        let invoice = self.draft(customer).await;
        self.item(customer, &invoice, amount).await;
        self.make(&format!("/v1/invoices/{invoice}/finalize"), &[])
            .await;
        invoice
    }

    pub async fn invoice(&self, id: &str) -> Value {
        self.look(&format!("/v1/invoices/{id}"), &[]).await
    }

    /// A new subscription, renewed just now: its customer and the renewal's draft.
    pub async fn renewal(&self) -> (String, Value) {
        let subscription = self.subscription().await;
        let path = format!("/v1/subscriptions/{subscription}");
        let begun = self.look(&path, &[]).await;
        let end = begun["items"]["data"][0]["current_period_end"].as_i64();
        let now = self.sandbox.now().timestamp();
        self.sandbox.advance(TimeDelta::seconds(end.unwrap() - now));
        let renewed = self.look(&path, &[]).await;
        let draft = self.invoice(renewed["latest_invoice"].as_str().unwrap());
        let draft = draft.await;
        (text(&renewed["customer"]), draft)
    }

    /// The types of the events since that many.
    pub fn types_since(&self, count: usize) -> Vec<&'static str> {
        self.event_types().split_off(count)
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

/// The string that it is.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub fn id(of: &Value) -> String {
    text(&of["id"])
}

/// The ids of a list, in its order.
pub fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(id).collect()
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
