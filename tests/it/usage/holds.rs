//! Reservations: a place is held until it is known how much was used.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{App, part};
use crate::support::api::assert_enveloped;

impl App {
    async fn reserve(&self, user: &str, feature: &str, quantity: u64) -> Value {
        let body =
            json!({ "userId": user, "feature": feature, "quantity": quantity, "ttlSeconds": 60 });
        self.post("reserve", body).await.body["data"].clone()
    }
}

#[tokio::test]
async fn what_is_held_is_not_there_for_others_until_it_is_settled() {
    let app = App::start().await;
    let hold = app.reserve("ann", "ai_queries", 8).await;
    assert_eq!(hold["allowed"], true);

    let held = app.ask("ann", "ai_queries", 3).await;
    let names = ["allowed", "currentUsage", "held", "remaining", "code"];
    assert_eq!(
        part(&held, &names),
        json!({ "allowed": false, "currentUsage": 0, "held": 8, "remaining": 2, "code": "limit_reached" })
    );
    let settle = json!({ "userId": "ann", "reservationId": hold["reservationId"], "quantity": 5 });
    let settled = app.post("settle", settle.clone()).await;
    assert_eq!(
        part(
            &settled.body["data"],
            &["feature", "quantity", "reserved", "expired"]
        ),
        json!({ "feature": "ai_queries", "quantity": 5, "reserved": 8, "expired": false })
    );
    let names = ["allowed", "currentUsage", "remaining"];
    assert_eq!(
        part(&app.ask("ann", "ai_queries", 5).await, &names),
        json!({ "allowed": true, "currentUsage": 5, "remaining": 5 })
    );

    // Long after it would have expired, too.
    app.api.ctx.clock.advance(TimeDelta::minutes(10));
    let again = app.post("settle", settle).await;
    assert_eq!(again.body["data"], settled.body["data"]);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(app.used("ann", "ai_queries").await, 5);
}

#[tokio::test]
async fn what_is_released_is_free_again() {
    let app = App::start().await;
    let hold = app.reserve("ann", "ai_queries", 10).await;
    let release = json!({ "userId": "ann", "reservationId": hold["reservationId"] });
    for _ in 0..2 {
        let answer = app.post("release", release.clone()).await;
        assert_eq!(answer.body["data"]["released"], true, "{}", answer.text);
    }
    assert_eq!(app.ask("ann", "ai_queries", 10).await["allowed"], true);
    let settle = json!({ "userId": "ann", "reservationId": hold["reservationId"], "quantity": 1 });
    let answer = app.post("settle", settle).await;
    assert_enveloped(
        &answer,
        409,
        "RESERVATION_RELEASED",
        "the reservation was released",
    );
}

#[tokio::test]
async fn a_reservation_expires_by_itself_and_what_was_used_counts_all_the_same() {
    let app = App::start().await;
    let hold = app.reserve("ann", "ai_queries", 10).await;
    let renewed =
        json!({ "userId": "ann", "reservationId": hold["reservationId"], "ttlSeconds": 120 });
    assert_eq!(app.post("renew", renewed.clone()).await.status, 200);

    app.api.ctx.clock.advance(TimeDelta::seconds(110));
    assert_eq!(app.ask("ann", "ai_queries", 1).await["allowed"], false);
    app.api.ctx.clock.advance(TimeDelta::seconds(11));

    assert_eq!(app.ask("ann", "ai_queries", 10).await["allowed"], true);
    let late = app.post("renew", renewed).await;
    assert_eq!(
        late.body["error"]["code"], "RESERVATION_EXPIRED",
        "{}",
        late.text
    );
    let settle = json!({ "userId": "ann", "reservationId": hold["reservationId"], "quantity": 4 });
    let settled = app.post("settle", settle).await;
    assert_eq!(settled.body["data"]["expired"], true, "{}", settled.text);
    assert_eq!(app.used("ann", "ai_queries").await, 4);
}

#[tokio::test]
async fn a_copy_of_a_reservation_holds_nothing_more() {
    let app = App::start().await;
    let body = json!({ "userId": "ann", "feature": "ai_queries", "quantity": 6 });
    let first = app.keyed("reserve", "k", body.clone()).await;
    let copy = app.keyed("reserve", "k", body.clone()).await;
    assert_eq!(first.body["data"], copy.body["data"]);
    assert_eq!(app.ask("ann", "ai_queries", 4).await["allowed"], true);

    // A denial holds nothing, so its key is free for a later try.
    let denied = app.keyed("reserve", "k2", body.clone()).await;
    assert_eq!(denied.body["data"]["allowed"], false);
    let release = json!({ "userId": "ann", "reservationId": first.body["data"]["reservationId"] });
    app.post("release", release).await;
    let granted = app.keyed("reserve", "k2", body).await;
    assert_eq!(granted.body["data"]["allowed"], true);
}

#[tokio::test]
async fn a_reservation_is_ended_by_its_own_user_alone_and_with_a_fitting_quantity() {
    let app = App::start().await;
    let hold = app.reserve("ann", "ai_queries", 5).await;
    let id = &hold["reservationId"];
    for (path, body, status, code) in [
        (
            "settle",
            json!({ "userId": "bob", "reservationId": id, "quantity": 1 }),
            404,
            "RESERVATION_NOT_FOUND",
        ),
        (
            "release",
            json!({ "userId": "bob", "reservationId": id }),
            404,
            "RESERVATION_NOT_FOUND",
        ),
        (
            "renew",
            json!({ "userId": "bob", "reservationId": id }),
            404,
            "RESERVATION_NOT_FOUND",
        ),
        (
            "settle",
            json!({ "userId": "ann", "reservationId": "x", "quantity": 1 }),
            404,
            "RESERVATION_NOT_FOUND",
        ),
        (
            "settle",
            json!({ "userId": "ann", "quantity": 1 }),
            400,
            "MISSING_PARAMETER",
        ),
        (
            "settle",
            json!({ "userId": "ann", "reservationId": id }),
            400,
            "MISSING_PARAMETER",
        ),
        (
            "settle",
            json!({ "userId": "ann", "reservationId": id, "quantity": -1 }),
            400,
            "INVALID_QUANTITY",
        ),
        (
            "settle",
            json!({ "userId": "ann", "reservationId": id, "quantity": 0.5 }),
            400,
            "INVALID_QUANTITY",
        ),
        (
            "renew",
            json!({ "userId": "ann", "reservationId": id, "ttlSeconds": 0 }),
            400,
            "INVALID_TTL",
        ),
    ] {
        let answer = app.post(path, body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["error"]["code"], code);
    }
    assert_eq!(app.ask("ann", "ai_queries", 6).await["allowed"], false);
}
