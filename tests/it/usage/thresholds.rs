//! At four fifths of a limit, and at its end, the app is told: once in a window.

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tollkeeper::{
    notify::operate::{self, Wish},
    queue::operate::By,
    worker::Register,
};

use super::{App, part};
use crate::support::{service::Service, subscriber::Subscriber};

impl App {
    /// What was announced of thresholds: of whom, and at how many per cent.
    async fn announced(&self) -> Vec<(String, i64)> {
        let sql =
            "select account_id, (data ->> 'threshold')::bigint from notifications order by 1, 2";
        sqlx::query_as(sql).fetch_all(&self.api.db).await.unwrap()
    }
}

#[tokio::test]
async fn each_threshold_is_announced_once_in_a_window_whatever_crosses_it() {
    let app = App::start().await;
    app.track("ann", "ai_queries", 7).await;
    assert_eq!(app.announced().await, []);
    let eighth = app.track("ann", "ai_queries", 1).await.body["data"]["id"].clone();
    app.track("ann", "ai_queries", 1).await;
    assert_eq!(app.announced().await, [("ann".to_owned(), 80)]);

    // Below it and above it again.
    let body = json!({ "userId": "ann", "eventId": eighth, "reason": "a test" });
    assert_eq!(app.post("usage-corrections", body).await.status, 200);
    let consume = json!({ "userId": "ann", "feature": "ai_queries", "requestedQuantity": 2, "consume": true });
    assert_eq!(
        app.post("validate-access", consume).await.body["data"]["allowed"],
        true
    );
    app.track("ann", "ai_queries", 5).await;

    // All at once, by a hold that is settled, and where nothing has an end.
    let hold = app
        .post(
            "reserve",
            json!({ "userId": "bob", "feature": "ai_queries" }),
        )
        .await;
    let id = &hold.body["data"]["reservationId"];
    app.post(
        "settle",
        json!({ "userId": "bob", "reservationId": id, "quantity": 20 }),
    )
    .await;
    app.api.subscriber("vip", "repx5", "active").await;
    app.track("vip", "ai_queries", 100_000).await;
    app.track("ann", "calls", 5).await;

    let expected = [("ann", 80), ("ann", 100), ("bob", 80), ("bob", 100)];
    let expected = expected.map(|(user, percent)| (user.to_owned(), percent));
    assert_eq!(app.announced().await, expected);
}

#[tokio::test]
async fn of_many_uses_at_once_one_crosses() {
    let app = App::start().await;
    join_all((0..40).map(|_| app.track("ann", "ai_queries", 1))).await;
    let expected = [("ann".to_owned(), 80), ("ann".to_owned(), 100)];
    assert_eq!(app.announced().await, expected);
}

#[tokio::test]
async fn the_app_is_told_over_a_signed_webhook() {
    let app = App::start().await;
    let service = Service {
        ctx: app.api.ctx.clone(),
        db: app.api.db.clone(),
    };
    let endpoint = Subscriber::start().await;
    let wish = Wish {
        url: &endpoint.url,
        types: None,
        allow_private: true,
    };
    let by = By {
        who: "ann",
        why: "the app listens",
    };
    let mut conn = app.api.db.acquire().await.unwrap();
    let now = app.api.ctx.clock.now();
    let issued = operate::add(&mut conn, &app.api.ctx.keyring, wish, now, by)
        .await
        .unwrap();
    let worker = service.work(Register::all());

    app.track("ann", "ai_queries", 9).await;
    service.drain().await;
    worker.stop().await;

    let told = endpoint.told();
    assert_eq!(told.len(), 1);
    assert!(told[0].is_signed_by(issued.secret.expose_secret()));
    let body: Value = told[0].json();
    assert_eq!(body["type"], "usage.threshold");
    let names = [
        "userId",
        "feature",
        "threshold",
        "used",
        "limit",
        "tier",
        "window",
    ];
    assert_eq!(
        part(&body["data"], &names),
        json!({ "userId": "ann", "feature": "ai_queries", "threshold": 80, "used": 9, "limit": 10, "tier": "free",
                "window": "cycle" })
    );
}
