//! Operations of the API × every credential that must not open them. That every operation asks who is calling, and asks
//! in the same way, is shown by `isolation`.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollkeeper::{cli::keys, http::auth::Scope};

use super::{Case, all_refused, case, guarded, request};
use crate::{
    identity_provider::{self, Provider},
    support::{
        api::{JWT_SECRET, signed, token},
        web::Web,
    },
};

/// Operations for the user ann, of each scope that opens any of them, and that scope.
const OPERATIONS: [(&str, &str, Scope); 6] = [
    (
        "POST",
        "/api/subscription/provision-twilio",
        Scope::TelephonyWrite,
    ),
    (
        "GET",
        "/api/subscription/twilio-config?userId=ann",
        Scope::TelephonyRead,
    ),
    ("GET", "/api/subscription/ann", Scope::SubscriptionRead),
    (
        "POST",
        "/api/twilio/subaccount/provision?userId=ann",
        Scope::TelephonyWrite,
    ),
    (
        "GET",
        "/api/twilio/subaccount/provision?userId=ann",
        Scope::TelephonyRead,
    ),
    (
        "GET",
        "/api/twilio/numbers?userId=ann",
        Scope::TelephonyRead,
    ),
];

fn order() -> Vec<u8> {
    json!({ "userId": "ann", "email": "ann@example.com", "subscriptionTier": "repx1" })
        .to_string()
        .into_bytes()
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": Utc::now().timestamp() + 600 })
}

fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// A token put together by hand.
fn assembled(header: &str, claims: &str, signature: &str) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// Tokens that nobody whose word counts has signed, and signed ones that are over, early or absurd.
fn bad_tokens(provider: &Arc<Provider>) -> Vec<(&'static str, String)> {
    let now = Utc::now().timestamp();
    let house = |claims: Value| signed(&claims, JWT_SECRET);
    let with = |alg: Algorithm, secret: &[u8]| {
        let key = EncodingKey::from_secret(secret);
        encode(&Header::new(alg), &claims(), &key).unwrap()
    };
    let good = token("ann");
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let public = provider.published(0);
    let foreign = identity_provider::p256();
    let by_stranger = |header: Header| encode(&header, &claims(), &foreign).unwrap();
    let own_key = format!(r#"{{"alg":"ES256","kid":"r","jwk":{public}}}"#);
    vec![
        ("expired", house(changed("exp", json!(now - 31)))),
        ("of the year 1970", house(changed("exp", json!(0)))),
        ("without an end", house(json!({ "sub": "ann" }))),
        (
            "with an end that is a text",
            house(changed("exp", json!("9999999999"))),
        ),
        (
            "with an end beyond numbers",
            assembled(
                r#"{"alg":"HS256"}"#,
                r#"{"sub":"ann","exp":1e999}"#,
                signature,
            ),
        ),
        ("of tomorrow", house(changed("nbf", json!(now + 86_400)))),
        ("of nobody", house(changed("sub", Value::Null))),
        ("of two users", house(changed("userId", json!("bob")))),
        (
            "of a user with a NUL",
            house(changed("sub", json!("ann\0"))),
        ),
        (
            "of a user with a line break",
            house(changed("sub", json!("ann\r\nx: y"))),
        ),
        (
            "of a user of 201 letters",
            house(changed("sub", json!("a".repeat(201)))),
        ),
        ("of a list of users", house(changed("sub", json!(["ann"])))),
        (
            "alg none",
            assembled(r#"{"alg":"none"}"#, &claims().to_string(), ""),
        ),
        (
            "alg nOnE",
            assembled(
                r#"{"alg":"nOnE","typ":"JWT"}"#,
                &claims().to_string(),
                signature,
            ),
        ),
        (
            "two algs",
            assembled(r#"{"alg":"HS256","alg":"none"}"#, &claims().to_string(), ""),
        ),
        ("without its signature", format!("{unsigned}.")),
        (
            "with another's signature",
            format!(
                "{unsigned}.{}",
                house(changed("sub", json!("bob")))
                    .rsplit_once('.')
                    .unwrap()
                    .1
            ),
        ),
        (
            "another secret",
            with(Algorithm::HS256, b"another secret that nobody agreed on"),
        ),
        ("the empty secret", with(Algorithm::HS256, b"")),
        ("HS384", with(Algorithm::HS384, JWT_SECRET.as_bytes())),
        (
            "HS256 with the public key",
            with(Algorithm::HS256, public.to_string().as_bytes()),
        ),
        (
            "HS256 with the public modulus",
            with(Algorithm::HS256, public["n"].as_str().unwrap().as_bytes()),
        ),
        (
            "a stranger's key",
            by_stranger(Header::new(Algorithm::ES256)),
        ),
        (
            "a stranger's key under a known name",
            by_stranger(Header {
                kid: Some("r".into()),
                ..Header::new(Algorithm::ES256)
            }),
        ),
        (
            "a stranger's key under the name of a file",
            by_stranger(Header {
                kid: Some("../../dev/null".into()),
                ..Header::new(Algorithm::ES256)
            }),
        ),
        (
            "a stranger's key at an address",
            by_stranger(Header {
                jku: Some("http://127.0.0.1:9/keys".into()),
                ..Header::new(Algorithm::ES256)
            }),
        ),
        (
            "a key of its own",
            assembled(&own_key, &claims().to_string(), signature),
        ),
        (
            "a header of 10,000 levels",
            assembled(&"[".repeat(10_000), &claims().to_string(), signature),
        ),
        (
            "claims of 5,000 levels",
            assembled(r#"{"alg":"HS256"}"#, &"[".repeat(5_000), signature),
        ),
        (
            "a token of 9 kB",
            house(changed("more", json!("x".repeat(9_000)))),
        ),
        ("dots", "....".to_owned()),
        ("a number", "1".to_owned()),
    ]
}

/// Keys that are none, or none any more.
async fn bad_keys(web: &Web) -> Vec<(&'static str, String)> {
    let mut conn = web.service.db.acquire().await.unwrap();
    let now = web.service.ctx.clock.now();
    let past = now - TimeDelta::hours(2);
    let expired = keys::create(
        &mut conn,
        "expired",
        &[Scope::All],
        Some(now - TimeDelta::hours(1)),
        past,
    )
    .await
    .unwrap();
    let revoked = keys::create(&mut conn, "revoked", &[Scope::All], None, past)
        .await
        .unwrap();
    keys::revoke(&mut conn, revoked.id, now).await.unwrap();
    let good = keys::create(&mut conn, "good", &[Scope::All], None, past)
        .await
        .unwrap();
    let good = good.secret.expose_secret().to_owned();
    vec![
        ("an expired key", expired.secret.expose_secret().to_owned()),
        ("a revoked key", revoked.secret.expose_secret().to_owned()),
        ("a key of nobody", format!("tk_live_{}", "0".repeat(64))),
        (
            "a key's digest",
            format!("tk_live_{}", hex::encode(Sha256::digest(&good))),
        ),
        ("a key in upper case", good.to_uppercase()),
        ("half a key", good[..40].to_owned()),
        ("a key and more", format!("{good}0")),
        ("a key's prefix", good[..12].to_owned()),
    ]
}

async fn cases(web: &Web, provider: &Arc<Provider>) -> Vec<Case> {
    let mut conn = web.service.db.acquire().await.unwrap();
    let now = web.service.ctx.clock.now();
    let mut bad = bad_tokens(provider);
    bad.extend(bad_keys(web).await);
    let mut cases = Vec::new();
    for (method, target, scope) in OPERATIONS {
        let ask = |headers: &[(&str, &str)]| {
            let mut all = vec![("content-type", "application/json")];
            all.extend(headers);
            request(method, target, &all, &order())
        };
        let name = |what: &str| format!("{method} {target}, {what}");
        for (what, credential) in &bad {
            let header = format!("Bearer {credential}");
            cases.push(case(
                name(what),
                ask(&[("authorization", &header)]),
                401,
                "INVALID_TOKEN",
            ));
        }
        let good = format!("Bearer {}", token("ann"));
        for (what, headers) in [
            ("nothing", vec![]),
            (
                "two credentials",
                vec![
                    ("authorization", good.as_str()),
                    ("authorization", good.as_str()),
                ],
            ),
            ("two in one", vec![("authorization", "Bearer a b")]),
            (
                "another scheme",
                vec![("authorization", "Basic YW5uOmFubg==")],
            ),
            ("no ASCII", vec![("authorization", "Bearer é")]),
            ("a cookie", vec![("cookie", good.as_str())]),
        ] {
            cases.push(case(name(what), ask(&headers), 401, "UNAUTHENTICATED"));
        }
        let others: Vec<Scope> = Scope::ALL
            .into_iter()
            .filter(|other| *other != scope && *other != Scope::All)
            .collect();
        let key = keys::create(&mut conn, "without the scope", &others, None, now)
            .await
            .unwrap();
        let unfit = format!("Bearer {}", key.secret.expose_secret());
        let bob = format!("Bearer {}", token("bob"));
        cases.push(case(
            name("every other scope"),
            ask(&[("authorization", &unfit)]),
            403,
            "MISSING_SCOPE",
        ));
        cases.push(case(
            name("another user"),
            ask(&[("authorization", &bob)]),
            403,
            "FORBIDDEN",
        ));
        let as_ann = [("authorization", bob.as_str()), ("x-user-id", "ann")];
        cases.push(case(
            name("another user in ann's name"),
            ask(&as_ann),
            403,
            "FORBIDDEN",
        ));
        let ann_as_bob = [("authorization", good.as_str()), ("x-user-id", "bob")];
        cases.push(case(
            name("ann and another"),
            ask(&ann_as_bob),
            400,
            "CONFLICTING_USER_IDS",
        ));
    }
    cases
}

#[tokio::test]
async fn what_opens_nothing_opens_nothing_anywhere() {
    let provider = Provider::start().await;
    provider.publish(&identity_provider::rsa(), Algorithm::RS256, "r");
    let web = Web::with(|config| {
        guarded(config);
        config.jwt.jwks_url = Some(provider.url.clone());
    })
    .await;
    web.service
        .execute("insert into accounts (account_id) values ('ann'), ('bob')")
        .await;
    let cases = cases(&web, &provider).await;
    all_refused("hostile_credentials", &web, cases).await;
}
