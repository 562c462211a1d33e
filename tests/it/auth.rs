//! Who is let in, and what an app is told who is not.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tollkeeper::{cli::keys, db::api_keys, http::auth::Scope};

use crate::support::{
    api::{Api, JWT_SECRET, signed, token},
    command::said,
};

const NUMBERS: &str = "/api/twilio/numbers";

fn claims() -> Value {
    json!({ "sub": "ann", "exp": Utc::now().timestamp() + 600 })
}

async fn status(api: &Api, credential: &str) -> u16 {
    api.get(NUMBERS, credential).await.status.as_u16()
}

/// A token put together by hand, with a signature of its own.
fn forged(header: Value, claims: Value, signature: &str) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as base64};
    let part = |value: Value| base64.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn a_token_opens_with_and_without_the_word_bearer() {
    let api = Api::start().await;
    let token = token("ann");
    let ask = async |value: String| {
        let headers = [("authorization", value.as_str())];
        api.call(Method::GET, NUMBERS, "", None, &headers)
            .await
            .status
    };

    assert_eq!(ask(format!("Bearer {token}")).await, 200);
    assert_eq!(ask(format!("bearer {token}")).await, 200);
    assert_eq!(ask(token.clone()).await, 200);
    assert_eq!(ask(format!("Basic {token}")).await, 401);
}

#[tokio::test]
async fn a_missing_credential_and_a_bad_one_are_told_apart_by_path() {
    let api = Api::start().await;

    let none = api.get("/api/subscription/twilio-config", "").await;
    assert_eq!(none.status, 401);
    assert_eq!(
        none.headers["www-authenticate"],
        r#"Bearer realm="tollkeeper""#
    );
    let message = "Missing or invalid authorization header";
    assert_eq!(none.body["code"], "UNAUTHENTICATED");
    assert_eq!(none.body["error"], message);
    assert_eq!(none.body["message"], message);

    let bad = api.get("/api/subscription/ann", "nonsense").await;
    assert_eq!(
        bad.headers["www-authenticate"],
        r#"Bearer realm="tollkeeper", error="invalid_token""#
    );
    assert_eq!(
        bad.body,
        json!({ "success": false, "error": "Invalid or expired token", "code": "INVALID_TOKEN" })
    );

    let tenant = api.get(NUMBERS, "").await;
    assert_eq!(tenant.body["error"], "Not authenticated");
}

#[tokio::test]
async fn nothing_of_a_request_is_read_before_its_credential() {
    let api = Api::start().await;

    let answer = api
        .post(
            "/api/subscription/provision-twilio",
            "",
            json!(["no object"]),
        )
        .await;

    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_token_that_nobody_signed_is_refused() {
    let api = Api::start().await;
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "NONE", "typ": "JWT" }),
        json!({ "typ": "JWT" }),
    ] {
        assert_eq!(
            status(&api, &forged(header.clone(), claims(), "")).await,
            401,
            "{header}"
        );
    }
    let good = token("ann");
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    for bad in [
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{good}A"),
        signed(&claims(), "another secret"),
        signed(&claims(), ""),
    ] {
        assert_eq!(status(&api, &bad).await, 401, "{bad}");
    }
    assert_eq!(status(&api, &good).await, 200);
}

#[tokio::test]
async fn a_token_that_asks_for_what_nobody_understands_is_refused() {
    let api = Api::start().await;
    let header = Header {
        crit: Some(vec!["exp".to_owned()]),
        ..Header::new(Algorithm::HS256)
    };
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());

    let token = encode(&header, &claims(), &key).unwrap();

    assert_eq!(status(&api, &token).await, 401);
}

#[tokio::test]
async fn another_hmac_than_the_agreed_one_is_refused() {
    let api = Api::start().await;
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    for alg in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(
            status(&api, &encode(&Header::new(alg), &claims(), &key).unwrap()).await,
            401,
            "{alg:?}"
        );
    }
}

#[tokio::test]
async fn a_token_ends_with_the_services_own_clock() {
    let api = Api::start().await;
    let token = token("ann");
    assert_eq!(status(&api, &token).await, 200);

    api.ctx.clock.advance(TimeDelta::hours(2));

    assert_eq!(status(&api, &token).await, 401);
}

#[tokio::test]
async fn a_key_is_stored_as_a_digest_and_ends_when_it_is_revoked() {
    let api = Api::start().await;
    let mut conn = api.db.acquire().await.unwrap();
    let now = api.ctx.clock.now();
    let made = keys::create(&mut conn, "crm", &[Scope::TelephonyRead], None, now)
        .await
        .unwrap();
    let secret = made.secret.expose_secret();
    let path = format!("{NUMBERS}?userId=ann");
    assert!(
        secret.starts_with("tk_live_") && secret.len() == 72,
        "{secret}"
    );
    assert_eq!(api.get(&path, secret).await.status, 200);

    let row: String = sqlx::query_scalar("select row_to_json(api_keys)::text from api_keys")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert!(!row.contains(&secret[16..]), "{row}");

    let (db, id) = (api.db.clone(), made.id.to_string());
    let revoking = spawn_blocking(move || said(&db, &["keys", "revoke", &id]));
    // In use all the while: whoever serves it has it at hand.
    while !revoking.is_finished() {
        api.get(&path, secret).await;
    }
    revoking.await.unwrap();
    assert_eq!(api.get(&path, secret).await.status, 401);
    assert!(keys::revoke(&mut conn, made.id, now).await.is_err());
    let listed = keys::list(&mut conn).await.unwrap();
    assert_eq!(listed[0].name, "crm");
    assert!(listed[0].revoked_at.is_some() && secret.starts_with(&listed[0].prefix));
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let api = Api::start().await;
    let mut conn = api.db.acquire().await.unwrap();
    let now = api.ctx.clock.now();
    let soon = Some(now + TimeDelta::hours(1));
    let made = keys::create(&mut conn, "crm", &[Scope::All], soon, now)
        .await
        .unwrap();
    let path = format!("{NUMBERS}?userId=ann");
    assert_eq!(
        api.get(&path, made.secret.expose_secret()).await.status,
        200
    );

    api.ctx.clock.advance(TimeDelta::hours(1));

    assert_eq!(
        api.get(&path, made.secret.expose_secret()).await.status,
        401
    );
}

#[tokio::test]
async fn a_key_that_could_do_nothing_is_not_made() {
    let api = Api::start().await;
    let mut conn = api.db.acquire().await.unwrap();
    let now = api.ctx.clock.now();
    let past = Some(now - TimeDelta::seconds(1));

    assert!(
        keys::create(&mut conn, " ", &[Scope::All], None, now)
            .await
            .is_err()
    );
    assert!(
        keys::create(&mut conn, "crm", &[], None, now)
            .await
            .is_err()
    );
    assert!(
        keys::create(&mut conn, "crm", &[Scope::All], past, now)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_last_use_of_a_key_is_written_at_most_once_a_minute() {
    let api = Api::start().await;
    let key = api.key(&[Scope::TelephonyRead]).await;
    let path = format!("{NUMBERS}?userId=ann");
    sqlx::raw_sql(
        "create table writes (at timestamptz);
         create function count_write() returns trigger language plpgsql as $$
         begin insert into writes values (new.last_used_at); return null; end $$;
         create trigger count_write after update on api_keys
         for each row execute function count_write()",
    )
    .execute(&api.db)
    .await
    .unwrap();
    let writes = async || -> i64 {
        sqlx::query_scalar("select count(*) from writes")
            .fetch_one(&api.db)
            .await
            .unwrap()
    };

    join_all((0..20).map(|_| api.get(&path, &key))).await;
    assert_eq!(writes().await, 1);
    api.ctx.clock.advance(TimeDelta::minutes(1));
    join_all((0..20).map(|_| api.get(&path, &key))).await;

    assert_eq!(writes().await, 2);
}

#[tokio::test]
async fn of_two_requests_that_saw_a_key_idle_one_writes_its_use() {
    let api = Api::start().await;
    let mut conn = api.db.acquire().await.unwrap();
    let now = api.ctx.clock.now();
    let made = keys::create(&mut conn, "crm", &[Scope::All], None, now)
        .await
        .unwrap();

    assert!(api_keys::touch(&mut conn, made.id, now).await.unwrap());
    assert!(!api_keys::touch(&mut conn, made.id, now).await.unwrap());
}

#[tokio::test]
async fn an_app_may_name_its_user_in_a_header_but_not_two() {
    let api = Api::start().await;
    let key = api.key(&[Scope::TelephonyRead]).await;
    let ask = async |path: &str, user: &str| {
        api.call(Method::GET, path, &key, None, &[("x-user-id", user)])
            .await
    };

    assert_eq!(ask(NUMBERS, "ann").await.status, 200);
    let two = ask(&format!("{NUMBERS}?userId=bob"), "ann").await;
    assert_eq!(two.status, 400);
    assert_eq!(two.body["code"], "CONFLICTING_USER_IDS");
}
