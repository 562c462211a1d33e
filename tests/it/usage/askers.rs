//! Several who ask about one user: two apps, and the user themselves. None is in the way of another.

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tollkeeper::{cli::keys, http::auth::Scope};

use super::{App, BASE, part};
use crate::support::api::token;

impl App {
    /// The key of another app.
    async fn other_app(&self, name: &str) -> String {
        let mut conn = self.api.db.acquire().await.unwrap();
        let now = self.api.ctx.clock.now();
        let key = keys::create(&mut conn, name, &[Scope::All], None, now)
            .await
            .unwrap();
        key.secret.expose_secret().to_owned()
    }

    async fn post_as(&self, credential: &str, path: &str, body: Value) -> Value {
        let answer = self
            .api
            .post(&format!("{BASE}/{path}"), credential, body)
            .await;
        let mut data = answer.body["data"].clone();
        if data.is_null() {
            data = answer.body["error"].clone();
        }
        data
    }
}

#[tokio::test]
async fn a_key_is_its_askers_own() {
    let app = App::start().await;
    let other = app.other_app("another app").await;
    let body = json!({ "userId": "ann", "feature": "ai_queries", "idempotencyKey": "1" });
    let ids: Vec<Value> = [
        app.post_as(&app.key, "track-usage", body.clone()).await,
        app.post_as(&other, "track-usage", body.clone()).await,
        app.post_as(&token("ann"), "track-usage", body.clone())
            .await,
        app.post_as(&app.key, "track-usage", body.clone()).await,
    ]
    .map(|data| data["id"].clone())
    .into();
    assert_eq!(app.used("ann", "ai_queries").await, 3);
    assert_eq!(ids[0], ids[3]);

    // A key that is made anew for the same app knows what the old one asked.
    let renewed = app.other_app("another app").await;
    assert_eq!(
        app.post_as(&renewed, "track-usage", body).await["id"],
        ids[1]
    );
    assert_eq!(app.used("ann", "ai_queries").await, 3);
}

#[tokio::test]
async fn a_user_ends_what_they_hold_themselves_and_nothing_of_an_app() {
    let app = App::start().await;
    let reserve = json!({ "userId": "ann", "feature": "ai_queries", "quantity": 4 });
    let of_app = app.post_as(&app.key, "reserve", reserve.clone()).await["reservationId"].clone();
    let of_ann = app.post_as(&token("ann"), "reserve", reserve).await["reservationId"].clone();
    for path in ["renew", "settle", "release"] {
        let body = json!({ "reservationId": of_app, "quantity": 0 });
        let answer = app.post_as(&token("ann"), path, body).await;
        assert_eq!(answer["code"], "RESERVATION_NOT_FOUND", "{path}");
    }
    let body = json!({ "userId": "ann", "reservationId": of_ann });
    assert_eq!(
        app.post_as(&token("ann"), "release", body).await["released"],
        true
    );
    assert_eq!(app.ask("ann", "ai_queries", 1).await["held"], 4);
}

#[tokio::test]
async fn what_was_held_is_counted_where_it_was_held_with_what_the_app_said_of_it() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx1", "active").await;
    // A period that begins with no month.
    let sql = "update subscriptions set created_at = '2020-01-15T10:00Z', anchor_at = '2020-01-15T10:00Z',
                      period_starts_at = '2020-01-15T10:00Z', period_ends_at = '2020-02-15T10:00Z'";
    sqlx::query(sql).execute(&app.api.db).await.unwrap();
    let reserve =
        json!({ "userId": "ann", "feature": "calls", "appName": "crm", "metadata": { "call": 7 } });
    let hold = app.post("reserve", reserve).await.body["data"].clone();
    let counter = "select starts_at from usage_counters where per = 'cycle'";
    let held_in: chrono::DateTime<chrono::Utc> = sqlx::query_scalar(counter)
        .fetch_one(&app.api.db)
        .await
        .unwrap();

    // Cancelled while the call lasts: the free plan counts by months.
    let sql = "update subscriptions set status = 'canceled'";
    sqlx::query(sql).execute(&app.api.db).await.unwrap();
    app.api.ctx.clock.advance(TimeDelta::seconds(30));
    let settle = json!({ "userId": "ann", "reservationId": hold["reservationId"], "quantity": 3 });
    let settled = app.post("settle", settle).await;

    assert_eq!(settled.status, 200, "{}", settled.text);
    assert_eq!(
        part(&settled.body["data"], &["quantity", "expired"]),
        json!({ "quantity": 3, "expired": false })
    );
    let stored: (chrono::DateTime<chrono::Utc>, i64, Option<String>, Value) =
        sqlx::query_as("select window_starts_at, quantity, app_name, metadata from usage_events")
            .fetch_one(&app.api.db)
            .await
            .unwrap();
    assert_eq!(
        stored,
        (
            held_in,
            3_000_000,
            Some("crm".to_owned()),
            json!({ "call": 7 })
        )
    );
}
