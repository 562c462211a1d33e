//! A job that died, or was taken away, leaves nothing set aside that was never sent, and sends nothing twice.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tollkeeper::{
    queue::operate::{self, By},
    sandbox::{Fault, When},
};
use uuid::Uuid;

use super::{Ann, CALL, THEM, assert_refused};
use crate::support::{api::Answer, until};

const BY: By<'static> = By {
    who: "a test",
    why: "it is to be seen",
};

impl Ann {
    /// The same call, however often: it has a key.
    async fn keyed(&self) -> Answer {
        let body = json!({ "to": THEM, "message": "Hello", "idempotencyKey": "one" });
        self.ask(CALL, body).await
    }

    /// Its job fails for the last time.
    async fn die(&self) {
        let sql =
            "update queue.jobs set state = 'dead' where kind = 'place_call' and state = 'waiting'";
        while self.house.service.execute(sql).await == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn job(&self) -> Uuid {
        self.house
            .service
            .value("select id from queue.jobs where kind = 'place_call'")
            .await
    }

    async fn retry(&self) {
        let mut conn = self.house.service.db.acquire().await.unwrap();
        operate::retry(&mut conn, self.job().await, BY)
            .await
            .unwrap();
        self.house.settle().await;
    }

    async fn state(&self) -> String {
        self.house.service.value("select state from outbound").await
    }

    fn strike_calls(&self, method: &str, fault: Fault) {
        self.house.strike(method, "Calls.json", When::Always, fault);
    }
}

fn busy() -> Fault {
    Fault::TooManyRequests {
        retry_after_seconds: Some(100),
    }
}

#[tokio::test]
async fn what_was_never_sent_fails_and_its_money_comes_back_and_a_retry_sends_nothing() {
    let ann = Ann::waiting(Duration::from_millis(100), |_| {}).await;
    ann.strike_calls("POST", busy());
    assert_eq!(ann.keyed().await.status, 202);
    ann.die().await;
    assert_eq!((ann.spent().await, ann.held().await), (60 * 14_000, 60));

    ann.house.sweep().await;

    assert_eq!((ann.spent().await, ann.held().await), (0, 0));
    assert_refused(&ann.keyed().await, 409, "NOT_SENT");
    ann.house.sandbox.clear_rules();
    ann.retry().await;
    assert_eq!(ann.made(), (0, 0));
    assert_refused(&ann.keyed().await, 409, "NOT_SENT");
    assert_eq!((ann.spent().await, ann.held().await), (0, 0));
}

#[tokio::test]
async fn what_may_have_been_sent_stays_set_aside_is_told_a_person_and_is_found_by_a_retry() {
    let ann = Ann::waiting(Duration::from_millis(100), |_| {}).await;
    ann.strike_calls("POST", Fault::CutAfterEffect);
    ann.strike_calls("GET", busy());
    assert_eq!(ann.keyed().await.status, 202);
    ann.die().await;

    for _ in 0..2 {
        ann.house.sweep().await;
    }

    assert_eq!((ann.spent().await, ann.held().await), (60 * 14_000, 60));
    assert_eq!(ann.house.findings().await, ["outbound_unknown"]);
    let shown = ann.keyed().await;
    assert_eq!(
        (shown.status.as_u16(), &shown.body["status"]),
        (202, &json!("unknown"))
    );
    ann.house.sandbox.clear_rules();
    ann.retry().await;
    assert_eq!((ann.made(), &*ann.state().await), ((1, 0), "sent"));
    assert_eq!(
        ann.keyed().await.body["sid"],
        ann.house.sandbox.phone_calls()[0].sid
    );
    assert_eq!(ann.house.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_operator_took_away_in_the_middle_is_looked_for_once_it_is_too_late_to_send() {
    let ann = Ann::waiting(Duration::from_millis(100), |_| {}).await;
    ann.strike_calls("POST", Fault::CutBeforeEffect);
    ann.strike_calls("GET", busy());
    assert_eq!(ann.keyed().await.status, 202);
    let mut conn = ann.house.service.db.acquire().await.unwrap();
    operate::cancel(&mut conn, ann.job().await, BY)
        .await
        .unwrap();

    ann.house.sweep().await;
    assert_eq!(ann.state().await, "asked", "it may be on its way");
    ann.house.sandbox.clear_rules();
    ann.house.sandbox.advance(TimeDelta::minutes(6));
    ann.house.sweep().await;

    assert_eq!((ann.made(), &*ann.state().await), ((0, 0), "failed"));
    assert_eq!((ann.spent().await, ann.held().await), (0, 0));
    assert_eq!(ann.house.findings().await, Vec::<String>::new());
}

/// A run has read its wish, and waits for the account while that is settled.
#[tokio::test]
async fn nothing_leaves_for_a_wish_that_was_settled_since_it_was_read() {
    let ann = Ann::waiting(Duration::from_millis(100), |_| {}).await;
    ann.strike_calls("POST", busy());
    assert_eq!(ann.keyed().await.status, 202);
    let db = &ann.house.service.db;
    ann.house.sandbox.clear_rules();
    let mut settling = db.begin().await.unwrap();
    let lock = "select from accounts where account_id = 'ann' for update";
    sqlx::query(lock).execute(&mut *settling).await.unwrap();
    let mut conn = db.acquire().await.unwrap();
    operate::retry(&mut conn, ann.job().await, BY)
        .await
        .unwrap();
    ann.house.service.ctx.wake.ring();
    until("the run waits", async || {
        let waits = "select exists (select from pg_stat_activity
                                    where datname = current_database() and wait_event_type = 'Lock')";
        ann.house.service.value::<bool>(waits).await
    })
    .await;
    let settled = "with day as (update outbound_spend set micros = 0)
                   update outbound set state = 'failed', error_code = 'not_sent', cost_micros = 0";
    sqlx::query(settled).execute(&mut *settling).await.unwrap();
    settling.commit().await.unwrap();
    ann.house.settle().await;

    assert_eq!((ann.made(), &*ann.state().await), ((0, 0), "failed"));
}
