//! `usage-stats`: what was used, by feature and by day.

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde_json::json;
use tollkeeper_jobs::usage::Calendar;

use super::{App, BASE, part};

#[tokio::test]
async fn statistics_add_up_by_feature_and_by_day() {
    let app = App::start().await;
    let now = app.api.ctx.clock.now();
    let yesterday = now - TimeDelta::days(1);
    for (at, quantity) in [(yesterday, 2), (now, 3), (now, 1)] {
        let body = json!({ "userId": "ann", "feature": "ai_queries", "quantity": quantity, "occurredAt": at });
        assert_eq!(app.post("track-usage", body).await.status, 200);
    }
    app.track("ann", "voice_minutes", 1.25).await;

    let path = format!("{BASE}/usage-stats?userId=ann&period=last_30_days");
    let answer = app.api.get(&path, &app.key).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["message"], "Usage statistics retrieved");
    let data = &answer.body["data"];
    let queries = &data["aggregated"]["ai_queries"];
    assert_eq!(
        part(queries, &["total", "count"]),
        json!({ "total": 6, "count": 3 })
    );
    assert!(queries["lastUsed"].is_string());
    assert_eq!(data["aggregated"]["voice_minutes"]["total"], 1.25);
    let day = |at: chrono::DateTime<chrono::Utc>| at.date_naive().to_string();
    assert_eq!(data["daily"][day(yesterday)], json!({ "ai_queries": 2 }));
    assert_eq!(
        data["daily"][day(now)],
        json!({ "ai_queries": 4, "voice_minutes": 1.25 })
    );
    assert_eq!(data["totalRecords"], 4);
    assert_eq!(
        part(data, &["period", "tier"]),
        json!({ "period": "last_30_days", "tier": "free" })
    );
}

#[tokio::test]
async fn any_period_can_be_asked_for() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 1).await;
    let today = app.api.ctx.clock.now().date_naive();
    let of = async |query: String| {
        let path = format!("{BASE}/usage-stats?userId=ann&{query}");
        app.api.get(&path, &app.key).await
    };

    assert_eq!(
        of(format!("from={today}")).await.body["data"]["totalRecords"],
        1
    );
    let before = today - TimeDelta::days(1);
    assert_eq!(
        of(format!("from={before}&to={before}")).await.body["data"]["totalRecords"],
        0
    );
    assert_eq!(
        of("period=last_month".into()).await.body["data"]["totalRecords"],
        0
    );
    let wrong = of("from=2026-13-01".into()).await;
    assert_eq!(wrong.body["error"]["code"], "INVALID_PERIOD");
}

#[tokio::test]
async fn a_use_counts_on_its_day_to_the_microsecond_wherever_the_user_is() {
    let app = App::start().await;
    let tick = TimeDelta::microseconds(1);
    for zone in [
        Tz::UTC,
        Tz::America__New_York,
        Tz::Europe__Berlin,
        Tz::Asia__Kolkata,
        Tz::Pacific__Auckland,
    ] {
        let user = zone.name().replace('/', "-");
        let body = json!({ "userId": user, "timeZone": zone.name() });
        assert_eq!(app.post("time-zone", body).await.status, 200);
        let calendar = Calendar { zone, cycle: None };
        let (date, day) = calendar.day(app.api.ctx.clock.now() - TimeDelta::days(3));

        for at in [
            day.starts_at - tick,
            day.starts_at,
            day.ends_at - tick,
            day.ends_at,
        ] {
            let body = json!({ "userId": user, "feature": "ai_queries", "occurredAt": at });
            let answer = app.post("track-usage", body).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }

        let path = format!("{BASE}/usage-stats?userId={user}&period=last_30_days");
        let daily = app.api.get(&path, &app.key).await.body["data"]["daily"].clone();
        let of =
            |days: i64| daily[(date + TimeDelta::days(days)).to_string()]["ai_queries"].clone();
        assert_eq!(
            [of(-1), of(0), of(1)],
            [json!(1), json!(2), json!(1)],
            "{zone}: {daily}"
        );
    }
}
