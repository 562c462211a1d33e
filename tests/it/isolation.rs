//! No credential opens another user's account.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tollkeeper::{cli::keys, db, http::auth::Scope};

use crate::support::api::{Answer, Api, Setup, token};

const ANN: &str = "ann";
const BOB: &str = "bob";
const NUMBERS: [(&str, &str); 2] = [(ANN, "+14155550100"), (BOB, "+16465550101")];

/// Every operation about one user, with the user named as that operation names them.
async fn ask_all(api: &Api, credential: &str, account_id: &str) -> Vec<Answer> {
    let order =
        json!({ "userId": account_id, "email": "x@example.com", "subscriptionTier": "repx1" });
    let requests: [(Method, String, Option<Value>); 6] = [
        (
            Method::POST,
            "/api/subscription/provision-twilio".to_owned(),
            Some(order),
        ),
        (
            Method::GET,
            format!("/api/subscription/twilio-config?userId={account_id}"),
            None,
        ),
        (Method::GET, format!("/api/subscription/{account_id}"), None),
        (
            Method::POST,
            format!("/api/twilio/subaccount/provision?userId={account_id}"),
            None,
        ),
        (
            Method::GET,
            format!("/api/twilio/subaccount/provision?userId={account_id}"),
            None,
        ),
        (
            Method::GET,
            format!("/api/twilio/numbers?userId={account_id}"),
            None,
        ),
    ];
    let mut answers = Vec::new();
    for (method, path, body) in requests {
        answers.push(api.call(method, &path, credential, body, &[]).await);
    }
    answers
}

async fn two_tenants() -> Api {
    let api = Api::start_with(Setup {
        provision_wait: Duration::ZERO,
        ..Setup::default()
    })
    .await;
    for (account_id, number) in NUMBERS {
        api.subscriber(account_id, "repx1", "active").await;
        api.provisioned(account_id, number).await;
    }
    api
}

/// Nothing in the text is the other user's: their number, their provider ids, their name.
#[track_caller]
fn assert_nothing_of(account_id: &str, answer: &Answer) {
    let number = NUMBERS.iter().find(|(id, _)| *id == account_id).unwrap().1;
    for trace in [
        number,
        &format!("sub_{account_id}"),
        &format!("\"{account_id}\""),
    ] {
        assert!(!answer.text.contains(trace), "{trace} in {}", answer.text);
    }
}

#[tokio::test]
async fn a_user_reads_and_writes_their_own_account_only() {
    let api = two_tenants().await;
    for (own, other) in [(ANN, BOB), (BOB, ANN)] {
        for answer in ask_all(&api, &token(other), own).await {
            assert_eq!(answer.status, 403, "{}", answer.text);
            assert!(answer.text.contains("FORBIDDEN"), "{}", answer.text);
            assert_nothing_of(own, &answer);
        }
        for answer in ask_all(&api, &token(own), own).await {
            // An active account may have a subaccount already; that is not a question of who asks.
            assert!(
                answer.status == 200 || answer.text.contains("SUBACCOUNT_EXISTS"),
                "{}",
                answer.text
            );
            assert_nothing_of(other, &answer);
        }
    }
    assert_eq!(api.jobs(ANN).await + api.jobs(BOB).await, 0);
}

#[tokio::test]
async fn without_a_good_credential_nothing_is_read_or_written() {
    let api = two_tenants().await;
    let mut conn = api.db.acquire().await.unwrap();
    let now = api.ctx.clock.now();
    let soon = Some(now + TimeDelta::seconds(1));
    let expired = keys::create(&mut conn, "expired", &[Scope::All], soon, now)
        .await
        .unwrap();
    api.ctx.clock.advance(TimeDelta::seconds(2));
    let revoked = keys::create(&mut conn, "revoked", &[Scope::All], None, now)
        .await
        .unwrap();
    keys::revoke(&mut conn, revoked.id, now).await.unwrap();
    let never_made = format!("tk_live_{}", "0".repeat(64));
    for credential in [
        "",
        "garbage",
        "a.b.c",
        "tk_live_short",
        "' or true --",
        &never_made,
        expired.secret.expose_secret(),
        revoked.secret.expose_secret(),
    ] {
        for account_id in [ANN, BOB] {
            for answer in ask_all(&api, credential, account_id).await {
                assert_eq!(answer.status, 401, "{credential}: {}", answer.text);
                assert_nothing_of(account_id, &answer);
            }
        }
    }
    assert_eq!(api.jobs(ANN).await + api.jobs(BOB).await, 0);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_for_the_user_it_names() {
    let api = two_tenants().await;
    // The operations of `ask_all`, by the scope that each needs.
    let needs = [
        Scope::TelephonyWrite,
        Scope::TelephonyRead,
        Scope::SubscriptionRead,
        Scope::TelephonyWrite,
        Scope::TelephonyRead,
        Scope::TelephonyRead,
    ];
    for held in Scope::ALL {
        let key = api.key(&[held]).await;
        for (named, other) in [(ANN, BOB), (BOB, ANN)] {
            for (answer, needed) in ask_all(&api, &key, named).await.into_iter().zip(needs) {
                assert_nothing_of(other, &answer);
                if held.covers(needed) {
                    assert_ne!(answer.status, 403, "{held}: {}", answer.text);
                    assert_ne!(answer.status, 401, "{held}: {}", answer.text);
                } else {
                    assert_eq!(answer.status, 403, "{held}: {}", answer.text);
                    assert!(answer.text.contains("MISSING_SCOPE"), "{}", answer.text);
                    assert_nothing_of(named, &answer);
                }
            }
        }
    }
}

#[tokio::test]
async fn alternating_users_on_one_pool_never_see_each_other() {
    let api = two_tenants().await;
    let tokens = NUMBERS.map(|(account_id, number)| (token(account_id), number));
    let ask = async |turn: usize| {
        let (token, number) = &tokens[turn % 2];
        let answer = api.get("/api/twilio/numbers", token).await;
        let numbers = answer.body["numbers"].as_array().unwrap();
        assert_eq!(numbers.len(), 1);
        assert_eq!(numbers[0]["phone_number"], *number);
    };
    for round in 0..100 {
        tokio::join!(
            ask(round),
            ask(round + 1),
            ask(round),
            ask(round + 1),
            ask(round)
        );
    }
}

async fn rows(conn: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn without_a_named_account_the_app_role_sees_no_row() {
    let api = two_tenants().await;
    let mut tx = api
        .db
        .begin_with("begin; set local role tollkeeper_app")
        .await
        .unwrap();
    for table in [
        "accounts",
        "subscriptions",
        "telephony",
        "phone_numbers",
        "queue.jobs",
    ] {
        assert_eq!(rows(&mut tx, table).await, 0, "{table}");
    }
    drop(tx);
    for nobody in ["", "carl"] {
        let mut tx = db::as_account(&api.db, nobody).await.unwrap();
        assert_eq!(rows(&mut tx, "phone_numbers").await, 0);
    }
    // The connections of the pool keep nothing of the transactions that were on them.
    let mut plain = api.db.acquire().await.unwrap();
    assert_eq!(rows(&mut plain, "phone_numbers").await, 2);
}

#[tokio::test]
async fn an_account_transaction_sees_and_changes_its_own_rows_only() {
    let api = two_tenants().await;
    let mut tx = db::as_account(&api.db, ANN).await.unwrap();
    for table in ["accounts", "subscriptions", "telephony", "phone_numbers"] {
        assert_eq!(rows(&mut tx, table).await, 1, "{table}");
    }
    let changed = sqlx::query("update telephony set status = 'released'")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let smuggled = sqlx::query("insert into accounts (account_id) values ('carl')")
        .execute(&mut *tx)
        .await;
    assert!(
        smuggled
            .unwrap_err()
            .to_string()
            .contains("row-level security")
    );
}

#[tokio::test]
async fn the_app_role_reads_no_sealed_token_and_no_key() {
    let api = two_tenants().await;
    for statement in [
        "select auth_token_sealed from twilio_subaccounts",
        "select key_sha256 from api_keys",
        "select body from webhooks",
    ] {
        let mut tx = db::as_account(&api.db, ANN).await.unwrap();
        let refused = sqlx::query(statement).fetch_all(&mut *tx).await;
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("permission denied"),
            "{statement}"
        );
    }
}
