//! Numbers searched, ordered, given back and found: each is bought once, and billed while it is held.

mod billing;
mod elsewhere;
mod exact;
mod orders;
mod release;
mod search;
mod voipms;

use chrono::TimeDelta;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tollkeeper::{config::Config, sandbox::stripe::SignUp};

use crate::support::{
    api::{JWT_SECRET, signed},
    house::{House, PRICE},
    phone::on_sale,
    web::Web,
};

const NUMBERS: &str = "/api/twilio/numbers";
const PURCHASE: &str = "/api/twilio/purchase-number";
const RELEASE: &str = "/api/twilio/release-number";
const PROVISION: &str = "/api/phone/phone-numbers/provision";
const THE_ONE: &str = "/api/phone/provision";

/// A house with an API, and users who order numbers.
struct Desk {
    house: House,
    web: Web,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Desk {
    /// Ann has subscribed and has her number.
    async fn of_ann() -> Desk {
        Desk::with(PRICE, |_| {}).await
    }

    async fn with(price: &str, change: impl FnOnce(&mut Config)) -> Desk {
        let house = House::with(|config| {
            config.jwt.secret = Some(JWT_SECRET.to_owned().into());
            config.rate_limits.phone_per_hour_max = 0;
            change(config);
        })
        .await;
        let web = house.web();
        let desk = Desk { house, web };
        desk.subscribe("ann", price).await;
        desk
    }

    async fn subscribe(&self, user: &str, price: &str) {
        let who = SignUp {
            user_id: user.into(),
            email: format!("{user}@example.com"),
            price_id: price.into(),
            ..SignUp::default()
        };
        self.house.sandbox.sign_up(&who).unwrap();
        self.house.take_in_all().await;
    }

    /// As this user, with an `Idempotency-Key` unless that is empty.
    async fn ask(
        &self,
        user: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: &str,
    ) -> Answer {
        let expires_at = self.house.sandbox.now() + TimeDelta::hours(1);
        let claims = json!({ "userId": user, "exp": expires_at.timestamp() });
        let url = format!("http://{}{path}", self.web.address);
        let mut request = self.web.client.request(method, url);
        request = request.bearer_auth(signed(&claims, JWT_SECRET));
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.json().await.unwrap_or_default();
        Answer {
            status,
            headers,
            body,
        }
    }

    async fn post(&self, user: &str, path: &str, body: Value) -> Answer {
        self.ask(user, Method::POST, path, Some(body), "").await
    }

    async fn get(&self, user: &str, path: &str) -> Answer {
        self.ask(user, Method::GET, path, None, "").await
    }

    /// Order this number by name.
    async fn buy(&self, user: &str, number: &str) -> Answer {
        self.post(user, PURCHASE, json!({ "phoneNumber": number }))
            .await
    }

    async fn release_the_only(&self, user: &str) -> Answer {
        let path = "/api/phone/release";
        self.ask(user, Method::DELETE, path, None, "").await
    }

    /// The subaccount of Ann, who came first.
    fn subaccount(&self) -> String {
        self.house.sandbox.subaccounts()[0].sid.clone()
    }

    /// So many numbers on sale in that area.
    async fn on_sale(&self, area_code: &str, count: usize) -> Vec<String> {
        let twilio = &self.house.service.ctx.twilio;
        let account = self.subaccount();
        let mut found = on_sale(twilio, &account, Some(area_code)).await;
        found.truncate(count);
        assert_eq!(found.len(), count);
        found
    }

    /// The user's numbers, as the API lists them.
    async fn numbers(&self, user: &str) -> Vec<Value> {
        let listed = self.get(user, NUMBERS).await;
        listed.body["numbers"].as_array().unwrap().clone()
    }

    /// Numbers held at Twilio, and ever bought there.
    fn held(&self) -> (usize, usize) {
        let (_, _, held, bought) = self.house.held();
        (held, bought)
    }

    async fn close(self) {
        assert_eq!(self.house.doubles_of_numbers(), Vec::<String>::new());
        let ours: i64 = self
            .house
            .service
            .value("select count(*) from phone_numbers where provider = 'voipms' and number_ref is not null")
            .await;
        let bought = self.house.sandbox.dids_ever_bought().len() as i64;
        assert!(
            bought <= ours,
            "{bought} were paid for at VoIP.ms, for {ours} orders"
        );
        self.house.worker.stop().await;
    }
}

impl House {
    /// Numbers that were bought more than once.
    fn doubles_of_numbers(&self) -> Vec<String> {
        let mut bought: Vec<String> = self
            .sandbox
            .numbers_ever_bought()
            .into_iter()
            .map(|number| number.phone_number)
            .collect();
        bought.sort();
        bought
            .chunk_by(|a, b| a == b)
            .filter(|same| same.len() > 1)
            .map(|same| same[0].clone())
            .collect()
    }
}
