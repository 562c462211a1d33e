//! Whoever sends us something, with a canary in every part of it.

use chrono::Utc;
use poem::{Response, Server, handler, http::StatusCode, web::Data};
use reqwest::{Client, Method, header::HeaderMap};
use serde_json::json;
use sqlx::PgPool;
use tollkeeper::{
    sandbox::{Sandbox, stripe::SignUp},
    signature::{stripe, twilio},
};

use super::{SID, Seen, nest::Nest};
use crate::support::{
    api::signed,
    process::{Process, Program},
    until,
    web::listen,
};

pub struct Senders<'a> {
    pub nest: Nest,
    pub sandbox: &'a Sandbox,
    pub db: &'a PgPool,
    pub client: Client,
}

/// A header of its own kind each, that a client may send.
const HEADERS: [&str; 14] = [
    "x-request-id",
    "x-user-id",
    "idempotency-key",
    "user-agent",
    "referer",
    "cookie",
    "origin",
    "x-forwarded-for",
    "x-forwarded-host",
    "forwarded",
    "accept-language",
    "i-twilio-idempotency-token",
    "x-twilio-webhooks-signature-settings",
    "x-anything",
];

impl Senders<'_> {
    /// To every family of paths, with and without a credential that is good.
    pub async fn send_everything(&mut self, process: &Process, number: usize) {
        let base = format!("http://{}", process.address);
        self.refused(&base, number).await;
        self.believed(&base, number).await;
    }

    /// Nothing of this is signed or allowed.
    async fn refused(&mut self, base: &str, number: usize) {
        let number_called = self.nest.plant(
            &format!("a number in a path {number}"),
            &format!("+1415555{:04}", 2000 + number),
        );
        let address = self.nest.plant(
            &format!("an address in a path {number}"),
            &format!("path{number}@c4n4ry.test"),
        );
        let secret = self.nest.plant(
            &format!("a secret in a path {number}"),
            &format!("c4n4ry-lost-its-way-{number}"),
        );
        let key = self.nest.plant(
            &format!("a key of nobody {number}"),
            &format!("tk_live_{number:064x}"),
        );
        let jwt = signed(
            &json!({ "sub": format!("jwt-c4n4ry-{number}"), "exp": 1 }),
            "a secret of nobody at all, c4n4ry",
        );
        self.nest.plant(&format!("an old token {number}"), &jwt);
        let paths = [
            "/stripe/webhook",
            "/api/twilio/voice",
            "/webhooks/voipms/sms",
            "/api/subscription/provision-twilio",
            "/api/twilio/numbers",
            "/api/billing/estimate",
            "/healthz",
            "/readyz",
            "/docs",
            "/nowhere",
        ];
        let mut targets: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
        for text in [&number_called, &address, &secret] {
            targets.extend(paths.iter().map(|path| format!("{path}/{text}")));
            targets.extend(
                paths
                    .iter()
                    .map(|path| format!("{path}?userId={text}&token={text}&{text}={text}")),
            );
            targets.push(format!("/{text}"));
            targets.push(format!("/voice/{text}"));
            targets.push(format!("/api/subscription/{text}"));
            targets.push(format!("/webhooks/voipms/sms/{text}/more"));
        }
        let headers = self.headers(number);
        let body = json!({ "userId": address, "email": address, "subscriptionTier": secret, "areaCode": secret, "From": number_called });
        for (at, target) in targets.iter().enumerate() {
            let url = format!("{base}{target}");
            let request = self.client.post(&url).headers(headers.clone());
            let request = request.bearer_auth([&key, &jwt, &secret][at % 3]);
            let request = request.header("stripe-signature", format!("t=1,v1={secret}"));
            let request = request.header("x-twilio-signature", &secret).json(&body);
            request.send().await.unwrap();
            let request = self.client.get(&url).headers(headers.clone());
            request.send().await.unwrap();
        }
        let method = Method::from_bytes(secret.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{base}/healthz"));
        request.headers(headers).send().await.unwrap();
    }

    /// A number, an address and a key in turn, in the place of each header's value.
    fn headers(&mut self, number: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (at, name) in HEADERS.into_iter().enumerate() {
            let text = match (at + number) % 3 {
                0 => format!("+1415556{number}{:03}", 100 + at),
                1 => format!("c4n4ry{number}.{name}@headers.test"),
                _ => format!("sk_live_C4n4ry{number}Of{at}"),
            };
            self.nest
                .plant(&format!("the header {name} of {number}"), &text);
            headers.insert(name, text.parse().unwrap());
        }
        headers
    }

    /// What is signed, or asked with a good credential.
    async fn believed(&mut self, base: &str, number: usize) {
        let text = self.nest.plant(
            &format!("the text of a message {number}"),
            &format!("meet me at the c4n4ry cage {number}"),
        );
        let caller = self.nest.plant(
            &format!("a caller {number}"),
            &format!("+1415557{:04}", 1000 + number),
        );
        let person = self.nest.plant(
            &format!("a person {number}"),
            &format!("person{number}@c4n4ry.test"),
        );
        let client = self.client.clone();
        let mut headers = self.headers(number + 10);
        // This one changes what is signed.
        headers.remove("x-twilio-webhooks-signature-settings");

        let token = self.nest.of("the token of Twilio").to_owned();
        let asked = [
            (Method::POST, "/api/twilio/sms"),
            (Method::GET, "/twilio/sms"),
            (Method::POST, "/api/twilio/status"),
        ];
        for (at, (method, path)) in asked.into_iter().enumerate() {
            let params: Vec<(String, String)> = [
                ("AccountSid", SID),
                (
                    "MessageSid",
                    &format!("SM{:032x}", 0xca11 + number * 16 + at),
                ),
                ("From", &caller),
                ("To", &caller),
                ("Body", &text),
                ("FromCity", &person),
                (&person, &text),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&params)
                .finish();
            let is_get = method == Method::GET;
            let target = if is_get {
                format!("{path}?{query}")
            } else {
                path.to_owned()
            };
            let signature = twilio::sign(
                &token,
                &format!("https://hooks.test{target}"),
                if is_get { &[] } else { &params },
            );
            let request = client
                .request(method, format!("{base}{target}"))
                .header("x-twilio-signature", signature)
                .headers(headers.clone());
            let request = if is_get {
                request
            } else {
                request.form(&params)
            };
            assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        }

        let event = json!({
            "id": format!("evt_c{number}"), "type": "customer.updated", "created": 1,
            "data": { "object": { "object": "customer", "id": format!("cus_c{number}"), "email": person, "phone": caller, "description": text } },
        });
        let secret = self.nest.of("the secret of Stripe's webhooks").to_owned();
        for body in [
            event.to_string(),
            event
                .to_string()
                .replace("evt_c", "evt_d")
                .replace("\"data\":{", "\"data\":{\"object\":7,"),
        ] {
            let signature = stripe::sign(&secret, body.as_bytes(), Utc::now().timestamp());
            let request = client
                .post(format!("{base}/api/stripe/webhook"))
                .header("stripe-signature", signature)
                .headers(headers.clone())
                .body(body);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }

        let voipms = self.nest.of("the token of VoIP.ms").to_owned();
        let message = [
            ("from", &caller),
            ("to", &caller),
            ("message", &text),
            ("token", &voipms),
        ];
        let path = "/api/phone/webhooks/voipms/sms";
        let requests = [
            client.get(format!("{base}{path}")).query(&message),
            client.post(format!("{base}{path}/{voipms}")).form(&message),
            client.post(format!("{base}{path}?token={voipms}")).json(&json!({ "from": caller, "to": caller, "message": text, "more": { "token": voipms }, "id": number })),
        ];
        for request in requests {
            let request = request.headers(headers.clone());
            assert_eq!(request.send().await.unwrap().status(), 200);
        }

        let key = self.nest.of("a service key").to_owned();
        let token_of_user = signed(
            &json!({ "sub": format!("user-{number}"), "exp": Utc::now().timestamp() + 600, "email": person }),
            self.nest.of("the secret of tokens"),
        );
        self.nest
            .plant(&format!("a good token {number}"), &token_of_user);
        let order = json!({ "userId": format!("user-{number}"), "email": person, "subscriptionTier": "repx1", "areaCode": "415" });
        for credential in [&key, &token_of_user] {
            for path in [
                "/api/subscription/twilio-config",
                "/api/twilio/numbers",
                "/api/twilio/subaccount/provision",
                "/api/billing/usage",
                "/api/billing/history",
            ] {
                let request = client
                    .get(format!("{base}{path}?userId=user-{number}"))
                    .bearer_auth(credential);
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
            let request = client
                .post(format!("{base}/api/subscription/provision-twilio"))
                .bearer_auth(credential)
                .json(&order);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        for (path, body) in [
            (
                "validate-access",
                json!({ "email": person, "feature": "calls" }),
            ),
            (
                "validate-access",
                json!({ "email": person, "feature": "ai_queries", "consume": true, "appName": "crm" }),
            ),
            (
                "validate-access",
                json!({ "email": person, "feature": person }),
            ),
            ("check-limits", json!({ "email": person })),
            (
                "track-usage",
                json!({ "email": person, "feature": "calls", "metadata": { "with": person } }),
            ),
            (
                "track-usage",
                json!({ "email": person, "feature": "calls", "occurredAt": person }),
            ),
            (
                "track-usage",
                json!({ "email": person, "events": [{ "feature": person }] }),
            ),
            (
                "reserve",
                json!({ "email": person, "feature": "ai_queries", "quantity": person }),
            ),
            (
                "settle",
                json!({ "email": person, "reservationId": person, "quantity": 1 }),
            ),
            (
                "usage-corrections",
                json!({ "email": person, "eventId": person, "reason": person }),
            ),
            ("time-zone", json!({ "email": person, "timeZone": person })),
            ("clear-cache", json!({ "adminKey": person })),
        ] {
            let request = client
                .post(format!("{base}/api/subscription/{path}"))
                .bearer_auth(&key)
                .json(&body);
            assert!(request.send().await.unwrap().status() < StatusCode::INTERNAL_SERVER_ERROR);
        }
        for target in [person.as_str(), "repx2"] {
            let request = client
                .post(format!("{base}/api/billing/estimate?userId={person}"))
                .bearer_auth(&key)
                .json(&json!({ "target_tier": target }));
            assert!(request.send().await.unwrap().status() < StatusCode::INTERNAL_SERVER_ERROR);
        }
        // An app whose user ids are addresses.
        let request = client
            .get(format!("{base}/api/subscription/{person}"))
            .bearer_auth(&key);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    /// A provider that answers every call with a refusal full of canaries, and a customer whose jobs
    /// hear it: first Twilio, then Stripe.
    pub async fn be_told_off(&mut self, program: &Program, seen: &mut Seen) {
        let words = [
            ("a refusal's number", "+14155580001"),
            ("a refusal's spaced number", "415 558 0002"),
            ("a refusal's written number", "(415) 558-0003"),
            ("a refusal's address", "refused@c4n4ry.test"),
            ("a refusal's key", "sk_live_C4n4ryOfTheRefusal"),
            ("a refusal's token", "ca00000000000000000000000000ba5e"),
            ("a refusal's code", "whsec_C4n4ryInTheCode"),
            ("a refusal's JWT", "eyJC4n4ry0000.eyJC4n4ry1111.C4n4ry2222"),
        ];
        let texts: Vec<String> = words
            .iter()
            .map(|(what, text)| self.nest.plant(what, text))
            .collect();
        let message = format!("no {} [{}] ", texts.join(", "), texts.join("]:["));
        let body = json!({ "code": texts[6], "message": message, "error": { "code": texts[6], "message": message, "type": message } });
        let address = scold(body.to_string(), texts[4].clone()).await;
        for (provider, variable) in [("twilio", "TWILIO_API_BASE"), ("stripe", "STRIPE_API_BASE")] {
            let program = program
                .clone()
                .with(variable, &address)
                .with("RUST_LOG", "debug");
            let worker = program.ready("worker").await;
            let account = format!("told-off-by-{provider}");
            self.sign_up(&account, "nobody@example.com");
            until("it was told off", async || {
                let told = "select exists (select from queue.job_attempts where error like $1 || ' refused%')";
                let told = sqlx::query_scalar(told).bind(provider).fetch_one(self.db);
                told.await.unwrap()
            })
            .await;
            seen.look_at(&account, &worker).await;
        }
    }

    /// A customer, whose events the sandbox delivers.
    pub fn sign_up(&self, user: &str, email: &str) {
        let who = SignUp {
            user_id: user.to_owned(),
            email: email.to_owned(),
            price_id: "price_repx1".to_owned(),
            ..SignUp::default()
        };
        self.sandbox.sign_up(&who).unwrap();
    }
}

#[handler]
fn refuse(answer: Data<&(String, String)>) -> Response {
    Response::builder()
        .status(StatusCode::BAD_REQUEST)
        .header("request-id", &answer.0.1)
        .header("twilio-request-id", &answer.0.1)
        .content_type("application/json")
        .body(answer.0.0.clone())
}

/// Answers everything with this body and this request id; where it listens.
async fn scold(body: String, request_id: String) -> String {
    use poem::EndpointExt;
    let (acceptor, address) = listen().await;
    tokio::spawn(Server::new_with_acceptor(acceptor).run(refuse.data((body, request_id))));
    format!("http://{address}")
}
