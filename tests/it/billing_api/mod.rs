//! What users are told of their bills, through HTTP and from the function it all comes from.

mod estimate;
mod history;
mod refusals;
mod statement;
mod upcoming;
mod usage;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::PgPool;
use tollkeeper::{
    cli::keys,
    http::auth::Scope,
    sandbox::{Fault, Provider, Rule, When},
};
use uuid::Uuid;

use crate::{billing::Billing, support::web::Web};

const USAGE: &str = "/api/billing/usage";
const HISTORY: &str = "/api/billing/history";
const ESTIMATE: &str = "/api/billing/estimate";
const UPCOMING: &str = "/api/billing/upcoming";

/// Now, as finely as Postgres keeps it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A subscriber of a tier, in the middle of a period of 30 days, and when that is.
async fn subscriber(db: &PgPool, account_id: &str, tier: &str, now: DateTime<Utc>) -> Middle {
    let middle = Middle {
        starts_at: now - TimeDelta::days(15),
        ends_at: now + TimeDelta::days(15),
    };
    sqlx::query("insert into accounts (account_id) values ($1)")
        .bind(account_id)
        .execute(db)
        .await
        .unwrap();
    sqlx::query(
        "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, period_starts_at,
                                    period_ends_at, anchor_at, created_at, synced_at)
         values ('sub_' || $1, $1, 'cus_' || $1, 'active', $2, $3, $4, $3, $3, $3)",
    )
    .bind(account_id)
    .bind(tier)
    .bind(middle.starts_at)
    .bind(middle.ends_at)
    .execute(db)
    .await
    .unwrap();
    middle
}

/// The period that a subscriber is in the middle of.
#[derive(Debug, Clone, Copy)]
struct Middle {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

/// So many units were used then.
async fn used(db: &PgPool, account_id: &str, feature: &str, units: i64, at: DateTime<Utc>) {
    sqlx::query(
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         values ($1, $2, $3, 'app', $1::text, $4 * 1000000, $5, $5, 'cycle', $5, $5, 'a tier')",
    )
    .bind(Uuid::now_v7())
    .bind(account_id)
    .bind(feature)
    .bind(units)
    .bind(at)
    .execute(db)
    .await
    .unwrap();
}

/// A number that was bought then.
async fn number(db: &PgPool, account_id: &str, number: &str, purchased_at: DateTime<Utc>) {
    sqlx::query(
        "insert into phone_numbers (id, account_id, status, is_included, phone_number, number_ref, friendly_name, purchased_at)
         values ($1, $2, 'active', false, $3, 'PN' || $1, $3, $4)",
    )
    .bind(Uuid::now_v7())
    .bind(account_id)
    .bind(number)
    .bind(purchased_at)
    .execute(db)
    .await
    .unwrap();
}

/// 150 minutes, 120 messages and one number.
async fn golden(db: &PgPool, account_id: &str, number: &str, now: DateTime<Utc>) {
    let hour_ago = now - TimeDelta::hours(1);
    used(db, account_id, "voice_minutes", 150, hour_ago).await;
    used(db, account_id, "sms", 120, hour_ago).await;
    self::number(db, account_id, number, hour_ago).await;
}

/// An app that asks about the customers of a house with a Stripe of its own.
struct Crm {
    billing: Billing,
    web: Web,
    key: String,
}

impl Crm {
    async fn new() -> Crm {
        let billing = Billing::new().await;
        let web = billing.house.web();
        let mut conn = web.service.db.acquire().await.unwrap();
        let scopes = [Scope::SubscriptionRead];
        let key = keys::create(&mut conn, "crm", &scopes, None, Utc::now())
            .await
            .unwrap();
        Crm {
            key: key.secret.expose_secret().to_owned(),
            billing,
            web,
        }
    }

    async fn ask(&self, method: Method, path: &str, user: &str, body: Option<Value>) -> Value {
        let url = format!("http://{}{path}?userId={user}", self.web.address);
        let mut request = self.web.client.request(method, url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// The next request to Stripe on such a path goes wrong.
    fn strike(&self, method: &str, path: &str, fault: Fault) {
        let rule = Rule::on(Provider::Stripe, method, path, When::First(1), fault);
        self.billing.house.sandbox.add_rules(vec![rule]);
    }

    async fn get(&self, path: &str, user: &str) -> Value {
        self.ask(Method::GET, path, user, None).await
    }
}
