//! Any order of uses, wishes, holds, corrections, windows and plans, beside a plain model: the counters are the
//! model's, and no wish takes a hard limit beyond its end.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::Row;
use tollkeeper::db::usage::recount;

use super::App;
use crate::support::proof::{all_held, seed, size};

const FEATURES: [&str; 4] = ["ai_queries", "emails", "calls", "voice_minutes"];
const PLANS: [(&str, &str); 6] = [
    ("repx1", "active"),
    ("repx2", "active"),
    ("repx5", "trialing"),
    ("repx3", "canceled"),
    ("ai_secretary", "active"),
    ("repx4", "paused"),
];

/// Most of a feature in a window: none where there is no end, and whether it may go beyond.
fn limit(plan: (&str, &str), feature: &str) -> (Option<i64>, bool) {
    let tier = match plan.1 {
        "active" | "trialing" => plan.0,
        _ => "free",
    };
    match (tier, feature) {
        ("repx5", "ai_queries" | "emails" | "calls") => (None, false),
        ("repx1", "ai_queries") => (Some(50), false),
        ("repx2", "ai_queries") => (Some(100), false),
        ("free", "ai_queries") => (Some(10), false),
        ("repx1", "calls") => (Some(100), false),
        ("repx2", "calls") => (Some(200), false),
        ("repx2", "emails") => (Some(50), false),
        ("ai_secretary", "emails") => (None, false),
        ("ai_secretary", "voice_minutes") => (Some(100), true),
        _ => (Some(0), false),
    }
}

struct Hold {
    id: Value,
    feature: &'static str,
    window: Window,
    quantity: i64,
    made_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Feature, kind and start.
type Window = (&'static str, &'static str, DateTime<Utc>);

#[derive(Default)]
struct Model {
    plan: usize,
    counted: BTreeMap<Window, i64>,
    holds: Vec<Hold>,
    /// Id, feature, its windows and quantity.
    events: Vec<(Value, Vec<Window>, i64)>,
}

impl Model {
    /// The window of the limit, and the day. Subscribers pay on the last day of the month at ten.
    fn windows(&self, feature: &'static str, at: DateTime<Utc>) -> (Window, Window) {
        let day = at.date_naive().and_time(NaiveTime::MIN).and_utc();
        let (tier, status) = PLANS[self.plan];
        let is_daily = feature == "emails";
        let start = match status {
            _ if is_daily => day,
            "active" | "trialing" => {
                let pays = |at: DateTime<Utc>| (at.date_naive() + Days::new(1)).day() == 1;
                let mut start = day + TimeDelta::hours(10);
                while start > at || !pays(start) {
                    start -= TimeDelta::days(1);
                }
                start
            }
            _ => day - TimeDelta::days(i64::from(at.day0())),
        };
        let has_days = is_daily && (tier.starts_with("repx") || tier == "ai_secretary");
        let kind = if has_days { "day" } else { "cycle" };
        ((feature, kind, start), (feature, "day", day))
    }

    fn used(&self, window: &Window, now: DateTime<Utc>) -> i64 {
        let held = self
            .holds
            .iter()
            .filter(|hold| hold.window == *window && hold.expires_at > now);
        self.counted.get(window).copied().unwrap_or_default()
            + held.map(|hold| hold.quantity).sum::<i64>()
    }

    fn may(&self, feature: &'static str, quantity: i64, now: DateTime<Utc>) -> bool {
        let (window, _) = self.windows(feature, now);
        match limit(PLANS[self.plan], feature) {
            (None, _) => true,
            (Some(0), _) => false,
            (Some(limit), may_go_beyond) => {
                may_go_beyond || self.used(&window, now) + quantity <= limit
            }
        }
    }

    fn count(&mut self, id: Value, feature: &'static str, quantity: i64, at: DateTime<Utc>) {
        let (window, day) = self.windows(feature, at);
        self.count_in(id, window, day, quantity);
    }

    fn count_in(&mut self, id: Value, window: Window, day: Window, quantity: i64) {
        let mut windows = vec![day];
        if window != day {
            windows.push(window);
        }
        for window in &windows {
            *self.counted.entry(*window).or_default() += quantity;
        }
        self.events.push((id, windows, quantity));
    }
}

/// One story of one user.
async fn tell(app: &App, user: &str, steps: usize, rng: &mut StdRng) -> Model {
    let mut model = Model::default();
    app.api.subscriber(user, PLANS[0].0, PLANS[0].1).await;
    sqlx::query(
        "update subscriptions set created_at = '2020-01-31T10:00Z', period_starts_at = '2020-01-31T10:00Z',
                period_ends_at = '2020-02-29T10:00Z', anchor_at = '2020-01-31T10:00Z' where account_id = $1",
    )
    .bind(user)
    .execute(&app.api.db)
    .await
    .unwrap();
    for _ in 0..steps {
        step(app, user, &mut model, rng).await;
    }
    model
}

async fn step(app: &App, user: &str, model: &mut Model, rng: &mut StdRng) {
    let now = app.api.ctx.clock.now();
    let feature = FEATURES[rng.random_range(0..FEATURES.len())];
    let quantity = rng.random_range(1..30i64);
    let mut body = json!({ "userId": user, "feature": feature, "quantity": quantity });
    match rng.random_range(0..100) {
        0..30 => {
            let late = rng.random_range(0..40);
            let at = match late {
                0..20 => now,
                days => now - TimeDelta::days(days - 19),
            };
            body["occurredAt"] = json!(at);
            let data = data(app, "track-usage", body).await;
            model.count(data["id"].clone(), feature, quantity, at);
        }
        30..55 => {
            body["requestedQuantity"] = json!(quantity);
            body["consume"] = json!(true);
            let is_allowed = model.may(feature, quantity, now);
            let data = data(app, "validate-access", body).await;
            assert_eq!(
                data["allowed"], is_allowed,
                "{user} consumes {quantity} {feature}: {data}"
            );
            if is_allowed {
                model.count(data["eventId"].clone(), feature, quantity, now);
            }
        }
        55..70 => reserve(app, body, model, (feature, quantity), rng).await,
        70..82 if !model.holds.is_empty() => {
            let hold = model
                .holds
                .swap_remove(rng.random_range(0..model.holds.len()));
            let mut body = json!({ "userId": user, "reservationId": hold.id });
            if rng.random_bool(0.3) {
                data(app, "release", body).await;
                return;
            }
            let quantity = rng.random_range(1..40i64);
            body["quantity"] = json!(quantity);
            let data = data(app, "settle", body).await;
            // Where its place was held, whatever the plan has become.
            let (_, day) = model.windows(hold.feature, hold.made_at);
            model.count_in(data["id"].clone(), hold.window, day, quantity);
        }
        82..88 if !model.events.is_empty() => {
            let (id, windows, quantity) = model
                .events
                .swap_remove(rng.random_range(0..model.events.len()));
            let body = json!({ "userId": user, "eventId": id, "reason": "the model says so" });
            data(app, "usage-corrections", body).await;
            for window in windows {
                *model.counted.entry(window).or_default() -= quantity;
            }
        }
        88..94 => {
            model.plan = rng.random_range(0..PLANS.len());
            let (tier, status) = PLANS[model.plan];
            sqlx::query("update subscriptions set tier = $2, status = $3 where account_id = $1")
                .bind(user)
                .bind(tier)
                .bind(status)
                .execute(&app.api.db)
                .await
                .unwrap();
        }
        _ => app
            .api
            .ctx
            .clock
            .advance(TimeDelta::hours(rng.random_range(1..200))),
    }
}

async fn reserve(
    app: &App,
    mut body: Value,
    model: &mut Model,
    (feature, quantity): (&'static str, i64),
    rng: &mut StdRng,
) {
    let lasts = rng.random_range(60..86_400i64);
    body["ttlSeconds"] = json!(lasts);
    let now = app.api.ctx.clock.now();
    let is_allowed = model.may(feature, quantity, now);
    let data = data(app, "reserve", body).await;
    assert_eq!(
        data["allowed"], is_allowed,
        "reserves {quantity} {feature}: {data}"
    );
    if is_allowed {
        let expires_at: DateTime<Utc> = data["expiresAt"].as_str().unwrap().parse().unwrap();
        model.holds.push(Hold {
            id: data["reservationId"].clone(),
            feature,
            window: model.windows(feature, now).0,
            quantity,
            made_at: expires_at - TimeDelta::seconds(lasts),
            expires_at,
        });
    }
}

async fn data(app: &App, path: &str, body: Value) -> Value {
    let answer = app.post(path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.body["data"].clone()
}

#[tokio::test]
async fn whatever_happens_the_counters_are_those_of_a_plain_model() {
    let mut rng = StdRng::seed_from_u64(seed("usage beside a model"));
    let app = App::start().await;
    let (stories, steps) = size((6, 80), (60, 400));
    for story in 0..stories {
        let user = format!("user {story}");

        let model = tell(&app, &user, steps, &mut rng).await;

        let rows = sqlx::query(
            "select feature, per, starts_at, quantity from usage_counters where account_id = $1",
        )
        .bind(&user)
        .fetch_all(&app.api.db)
        .await
        .unwrap();
        let mut stored = BTreeMap::new();
        for row in rows {
            let window: (String, String, DateTime<Utc>) = (row.get(0), row.get(1), row.get(2));
            stored.insert(window, row.get::<i64, _>(3));
        }
        stored.retain(|_, quantity| *quantity != 0);
        let modelled: BTreeMap<_, _> = model
            .counted
            .iter()
            .filter(|(_, quantity)| **quantity != 0)
            .map(|((feature, per, at), quantity)| {
                (
                    (feature.to_string(), per.to_string(), *at),
                    quantity * 1_000_000,
                )
            })
            .collect();
        assert_eq!(stored, modelled, "{user}");
    }
    let mut conn = app.api.db.acquire().await.unwrap();
    let differences = recount::differences(&mut conn, DateTime::UNIX_EPOCH, None, 10)
        .await
        .unwrap();
    assert_eq!(differences, []);
    let unit = "accounts whose counters are the model's";
    all_held("usage_beside_a_model", stories, unit, stories);
}
