//! Calls and messages that apps ask for: each is made once, in the right name, and never beyond what may be spent.

mod fallback;
mod faults;
mod left_behind;
mod limits;
mod once;
mod rules;
mod shapes;
mod voipms;

use std::time::Duration;

use serde_json::{Value, json};
use tollkeeper::config::Config;

use crate::support::{
    api::{Answer, Api, token},
    house::{House, SECRETARY},
    phone::Phone,
    web::Web,
};

/// Whom ann calls and writes to.
const THEM: &str = "+14155550199";
const CALL: &str = "/api/twilio/make-call";
const SMS: &str = "/api/twilio/send-sms";

/// Ann, who subscribes to a plan with minutes and messages, and has a number.
struct Ann {
    house: House,
    web: Web,
    api: Api,
    phone: Phone,
    token: String,
}

impl Ann {
    async fn new() -> Ann {
        Ann::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Ann {
        Ann::waiting(Duration::from_secs(8), change).await
    }

    /// Whose requests wait no longer than that for the workers.
    async fn waiting(wait: Duration, change: impl FnOnce(&mut Config)) -> Ann {
        let house = House::with(change).await;
        house.sign_up_to("ann", SECRETARY);
        house.take_in_all().await;
        let web = house.web();
        let api = house.api(wait);
        let phone = Phone::of(&house.sandbox, "ann");
        Ann {
            house,
            web,
            api,
            phone,
            token: token("ann"),
        }
    }

    async fn ask(&self, path: &str, body: Value) -> Answer {
        self.api.post(path, &self.token, body).await
    }

    async fn call(&self, message: &str) -> Answer {
        self.ask(CALL, json!({ "to": THEM, "message": message }))
            .await
    }

    async fn write(&self, body: &str) -> Answer {
        self.ask(SMS, json!({ "to": THEM, "body": body })).await
    }

    /// How many calls and how many messages were ever made for her at the provider.
    fn made(&self) -> (usize, usize) {
        let sandbox = &self.house.sandbox;
        let calls = sandbox.phone_calls();
        let messages = sandbox.phone_messages();
        let calls = calls.iter().filter(|call| call.asked.is_some()).count();
        let messages = messages
            .iter()
            .filter(|message| message.status_callback.is_some())
            .count();
        (calls, messages)
    }

    /// The provider tells that a call is over.
    async fn hang_up(&self, sid: &str, seconds: &str) {
        let params = [
            ("CallSid", sid),
            ("CallStatus", "completed"),
            ("CallDuration", seconds),
            ("Direction", "outbound-api"),
            ("From", &self.phone.number),
            ("To", THEM),
        ];
        self.told("/api/twilio/status/ann", &params).await;
    }

    /// The provider tells how far a message came.
    async fn delivered(&self, sid: &str, status: &str) {
        let params = [("MessageSid", sid), ("MessageStatus", status)];
        self.told("/api/twilio/status/ann", &params).await;
    }

    async fn told(&self, target: &str, params: &[(&str, &str)]) {
        let answer = self.phone.tell(&self.web, target, params).await;
        assert_eq!(answer.status(), 200);
        self.house.settle().await;
    }

    /// Of the day, in millionths of a dollar; checked against the wishes it is made of.
    async fn spent(&self) -> i64 {
        let service = &self.house.service;
        let wishes: i64 = service
            .value("select coalesce(sum(cost_micros), 0)::bigint from outbound")
            .await;
        let day: i64 = service
            .value("select coalesce(sum(micros), 0)::bigint from outbound_spend")
            .await;
        assert_eq!(wishes, day, "the day's sum is that of its wishes");
        day
    }

    /// Held of the plan right now, in units.
    async fn held(&self) -> i64 {
        let held = "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_holds where state = 'held'";
        self.house.service.value(held).await
    }

    async fn used(&self, feature: &str) -> i64 {
        let sum = "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_events where feature = $1";
        let found = sqlx::query_scalar(sum).bind(feature);
        found.fetch_one(&self.house.service.db).await.unwrap()
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    let found = [&answer.body["code"], &answer.body["error"]["code"]];
    assert!(found.contains(&&Value::from(code)), "{}", answer.text);
}
