//! `check-limits`, and the windows in which limits count.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{App, part};

#[tokio::test]
async fn the_free_plan_shows_its_five_features_and_the_month() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 9).await;

    let answer = app.post("check-limits", json!({ "userId": "ann" })).await;

    let data = &answer.body["data"];
    assert_eq!(data["tier"], "free");
    assert_eq!(
        data["subscription"],
        json!({ "id": null, "status": "free", "current_period_end": null })
    );
    let old = ["limit", "used", "remaining", "percentage"];
    let limits = data["limits"].as_object().unwrap();
    assert_eq!(limits.len(), 5);
    assert_eq!(
        part(&limits["calls"], &old),
        json!({ "limit": 0, "used": 0, "remaining": 0, "percentage": 0 })
    );
    assert_eq!(
        part(&limits["ai_queries"], &old),
        json!({ "limit": 10, "used": 9, "remaining": 1, "percentage": 90 })
    );
    let now = app.api.ctx.clock.now();
    let reset: DateTime<Utc> = data["resetDate"].as_str().unwrap().parse().unwrap();
    assert!(
        data["resetDate"]
            .as_str()
            .unwrap()
            .ends_with("-01T00:00:00.000Z"),
        "{data}"
    );
    assert!(now < reset && reset <= now + TimeDelta::days(31));
}

#[tokio::test]
async fn a_subscribers_limits_count_in_the_billing_period_and_by_day() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx2", "active").await;
    let now = app.api.ctx.clock.now();
    let period = (now - TimeDelta::days(20), now + TimeDelta::days(10));
    sqlx::query("update subscriptions set period_starts_at = $1, period_ends_at = $2, anchor_at = $1, created_at = $1")
        .bind(period.0)
        .bind(period.1)
        .execute(&app.api.db)
        .await
        .unwrap();
    app.track("ann", "emails", 50).await;
    app.track("ann", "calls", 3).await;

    let before = app
        .post("check-limits", json!({ "userId": "ann" }))
        .await
        .body["data"]
        .clone();
    app.api.ctx.clock.advance(TimeDelta::days(1));
    let tomorrow = app
        .post("check-limits", json!({ "userId": "ann" }))
        .await
        .body["data"]
        .clone();
    app.api.ctx.clock.advance(TimeDelta::days(12));
    let next = app
        .post("check-limits", json!({ "userId": "ann" }))
        .await
        .body["data"]
        .clone();

    let used = |data: &Value| part(data, &["emails", "calls"]);
    let shown = |data: &Value| {
        used(
            &json!({ "emails": data["limits"]["emails"]["used"], "calls": data["limits"]["calls"]["used"] }),
        )
    };
    assert_eq!(shown(&before), json!({ "emails": 50, "calls": 3 }));
    assert_eq!(shown(&tomorrow), json!({ "emails": 0, "calls": 3 }));
    // The period is over by the clock, whether or not Stripe has said so.
    assert_eq!(shown(&next), json!({ "emails": 0, "calls": 0 }));
    assert_eq!(before["subscription"]["id"], "sub_ann");
    assert_eq!(before["limits"]["emails"]["window"], "day");
    assert_eq!(before["limits"]["calls"]["window"], "cycle");
    let reset: DateTime<Utc> = before["resetDate"].as_str().unwrap().parse().unwrap();
    assert_eq!(reset.timestamp(), period.1.timestamp());
}

#[tokio::test]
async fn unlimited_and_included_are_shown_as_they_are() {
    let app = App::start().await;
    app.api.subscriber("vip", "repx5", "active").await;
    app.api.subscriber("ai", "ai_secretary", "active").await;
    app.track("ai", "voice_minutes", 150).await;

    let vip = app
        .post("check-limits", json!({ "userId": "vip" }))
        .await
        .body["data"]
        .clone();
    let ai = app
        .post("check-limits", json!({ "userId": "ai" }))
        .await
        .body["data"]
        .clone();

    let old = ["limit", "used", "remaining", "percentage"];
    assert_eq!(
        part(&vip["limits"]["calls"], &old),
        json!({ "limit": "unlimited", "used": 0, "remaining": "unlimited", "percentage": 0 })
    );
    assert_eq!(
        part(&ai["limits"]["voice_minutes"], &old),
        json!({ "limit": 100, "used": 150, "remaining": 0, "percentage": 150 })
    );
    assert_eq!(ai["limits"]["calls"]["limit"], 0);
}

#[tokio::test]
async fn a_change_of_plan_moves_the_limit_and_keeps_the_count() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx1", "active").await;
    app.track("ann", "ai_queries", 50).await;
    assert_eq!(app.ask("ann", "ai_queries", 1).await["allowed"], false);

    sqlx::query("update subscriptions set tier = 'repx2'")
        .execute(&app.api.db)
        .await
        .unwrap();

    let names = ["allowed", "currentUsage", "limit"];
    assert_eq!(
        part(&app.ask("ann", "ai_queries", 1).await, &names),
        json!({ "allowed": true, "currentUsage": 50, "limit": 100 })
    );
}

#[tokio::test]
async fn a_day_begins_where_the_user_is() {
    let app = App::start().await;
    app.api.subscriber("ann", "repx2", "active").await;
    let zone = json!({ "userId": "ann", "timeZone": "Pacific/Kiritimati" });
    let set = app.post("time-zone", zone).await;
    assert_eq!(
        set.body["data"]["timeZone"], "Pacific/Kiritimati",
        "{}",
        set.text
    );
    let wrong = app
        .post(
            "time-zone",
            json!({ "userId": "ann", "timeZone": "Mars/Olympus" }),
        )
        .await;
    assert_eq!(wrong.body["error"]["code"], "INVALID_TIME_ZONE");

    let resets_at = app.ask("ann", "emails", 1).await["resetsAt"].clone();

    // Fourteen hours ahead of UTC: midnight there is ten in the morning.
    assert!(
        resets_at.as_str().unwrap().ends_with("T10:00:00.000Z"),
        "{resets_at}"
    );
}
