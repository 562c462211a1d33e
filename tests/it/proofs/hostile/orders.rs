//! What an app with every right may send, and must not get away with: ids, parameters and bodies.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tollkeeper::{cli::keys, http::auth::Scope};

use super::{Case, all_refused, case, guarded, request};
use crate::support::{api::token, web::Web};

const PROVISION: &str = "/api/subscription/provision-twilio";
const SUBACCOUNT: &str = "/api/twilio/subaccount/provision";
const JSON: (&str, &str) = ("content-type", "application/json");

/// User ids in the query that are none.
fn ids(key: &str) -> Vec<Case> {
    let long = "x".repeat(201);
    let refused = |what: &str, method: &str, target: String, code| {
        case(
            format!("{method} {target:.80}, {what}"),
            request(method, &target, &[("authorization", key)], b""),
            400,
            code,
        )
    };
    let paths = [
        ("GET", "/api/subscription/twilio-config"),
        ("GET", "/api/twilio/numbers"),
        ("GET", SUBACCOUNT),
        ("POST", SUBACCOUNT),
    ];
    let mut cases = Vec::new();
    for (method, path) in paths {
        for (what, id, code) in [
            ("a NUL", "a%00b", "INVALID_USER_ID"),
            ("a NUL alone", "%00", "INVALID_USER_ID"),
            ("a line break", "a%0d%0aset-cookie:%20x", "INVALID_USER_ID"),
            ("an escape of the terminal", "a%1b%5b31m", "INVALID_USER_ID"),
            ("a space before it", "%20ann", "INVALID_USER_ID"),
            ("201 letters", &long, "INVALID_USER_ID"),
            ("nothing", "", "MISSING_PARAMETER"),
        ] {
            cases.push(refused(what, method, format!("{path}?userId={id}"), code));
        }
        let key_and = |name, value| [("authorization", key), (name, value)];
        cases.push(case(
            format!("{method} {path}, a user id that is not UTF-8"),
            latin1(request(method, path, &key_and("x-user-id", "ann~"), b"")),
            400,
            "INVALID_USER_ID",
        ));
        cases.push(case(
            format!("{method} {path}, two users"),
            request(
                method,
                &format!("{path}?userId=ann"),
                &key_and("x-user-id", "bob"),
                b"",
            ),
            400,
            "CONFLICTING_USER_IDS",
        ));
    }
    for (what, id) in [
        ("a NUL", "a%00b"),
        ("a line break", "%0d%0a"),
        ("201 letters", long.as_str()),
    ] {
        cases.push(refused(
            what,
            "GET",
            format!("/api/subscription/{id}"),
            "INVALID_USER_ID",
        ));
    }
    cases
}

/// With a byte that is no UTF-8 in the place of the `~`.
fn latin1(mut request: Vec<u8>) -> Vec<u8> {
    for byte in &mut request {
        if *byte == b'~' {
            *byte = 0xe9;
        }
    }
    request
}

/// Bodies that are no order.
fn bodies(key: &str) -> Vec<Case> {
    let order = |change: Value| {
        let mut order =
            json!({ "userId": "ann", "email": "ann@example.com", "subscriptionTier": "repx1" });
        for (name, value) in change.as_object().unwrap() {
            order[name] = value.clone();
        }
        order.to_string().into_bytes()
    };
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let bodies: Vec<(&str, Vec<u8>, &'static str)> = vec![
        ("nothing", b"".to_vec(), "MISSING_PARAMETERS"),
        ("a list", b"[]".to_vec(), "INVALID_REQUEST"),
        ("null", b"null".to_vec(), "INVALID_REQUEST"),
        ("a number", b"1e999".to_vec(), "INVALID_REQUEST"),
        (
            "half of it",
            br#"{"userId":"ann","#.to_vec(),
            "INVALID_REQUEST",
        ),
        (
            "invalid UTF-8",
            b"{\"userId\":\"\xff\"}".to_vec(),
            "INVALID_REQUEST",
        ),
        (
            "half a surrogate",
            br#"{"userId":"\udc00"}"#.to_vec(),
            "INVALID_REQUEST",
        ),
        (
            "10,000 levels",
            deep(10_000).into_bytes(),
            "INVALID_REQUEST",
        ),
        (
            "30,000 levels within it",
            format!(r#"{{"more":{}}}"#, deep(30_000)).into_bytes(),
            "INVALID_REQUEST",
        ),
        (
            "a list of users",
            order(json!({ "userId": ["ann"] })),
            "INVALID_REQUEST",
        ),
        (
            "a yes for a user",
            order(json!({ "userId": true })),
            "INVALID_REQUEST",
        ),
        (
            "a number that lost digits for a user",
            order(json!({ "userId": 123456789012345678901234.0 })),
            "INVALID_REQUEST",
        ),
        (
            "an object for a tier",
            order(json!({ "subscriptionTier": {} })),
            "INVALID_REQUEST",
        ),
        (
            "a large number for an area code",
            order(json!({ "areaCode": 1e300 })),
            "INVALID_AREA_CODE",
        ),
        (
            "a NUL in the user",
            order(json!({ "userId": "a\0" })),
            "INVALID_USER_ID",
        ),
        (
            "a NUL in the address",
            order(json!({ "email": "a\0@b.c" })),
            "INVALID_EMAIL",
        ),
        (
            "a header in the address",
            order(json!({ "email": "a@b.c\r\nBcc: d@e.f" })),
            "INVALID_EMAIL",
        ),
        (
            "an endless address",
            order(json!({ "email": format!("{}@b.c", "a".repeat(1000)) })),
            "INVALID_EMAIL",
        ),
        (
            "a NUL in the tier",
            order(json!({ "subscriptionTier": "repx1\0" })),
            "INVALID_TIER",
        ),
        (
            "an endless tier",
            order(json!({ "subscriptionTier": "r".repeat(60_000) })),
            "INVALID_TIER",
        ),
        (
            "a NUL in the area code",
            order(json!({ "areaCode": "41\0" })),
            "INVALID_AREA_CODE",
        ),
        (
            "an area code of another script",
            order(json!({ "areaCode": "٤١٥" })),
            "INVALID_AREA_CODE",
        ),
        (
            "SQL for an area code",
            order(json!({ "areaCode": "'--" })),
            "INVALID_AREA_CODE",
        ),
    ];
    let mut cases: Vec<Case> = bodies
        .into_iter()
        .map(|(what, body, code)| {
            let request = request("POST", PROVISION, &[("authorization", key), JSON], &body);
            case(format!("an order that is {what}"), request, 400, code)
        })
        .collect();
    let good = order(json!({}));
    let utf16: Vec<u8> = String::from_utf8_lossy(&good)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let types = [
        ("no type", None, &good, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            "a form",
            Some("application/x-www-form-urlencoded"),
            &good,
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "XML",
            Some("text/xml"),
            &good,
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "no type at all",
            Some("json"),
            &good,
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "UTF-16",
            Some("application/json; charset=utf-16"),
            &utf16,
            400,
            "INVALID_REQUEST",
        ),
    ];
    for (what, kind, body, status, code) in types {
        let mut headers = vec![("authorization", key)];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        cases.push(case(
            format!("an order as {what}"),
            request("POST", PROVISION, &headers, body),
            status,
            code,
        ));
    }
    let long = "k".repeat(256);
    for (what, idempotency_key) in [("empty", ""), ("endless", &long)] {
        let headers = [
            ("authorization", key),
            JSON,
            ("idempotency-key", idempotency_key),
        ];
        let what = format!("an idempotency key that is {what}");
        cases.push(case(
            what,
            request("POST", PROVISION, &headers, &good),
            400,
            "INVALID_IDEMPOTENCY_KEY",
        ));
    }
    cases
}

#[tokio::test]
async fn absurd_orders_are_refused_whoever_sends_them() {
    let web = Web::with(guarded).await;
    web.service
        .execute("insert into accounts (account_id) values ('ann'), ('bob')")
        .await;
    web.service
        .execute(
            "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, created_at, synced_at)
             values ('sub_ann', 'ann', 'cus_ann', 'active', 'repx1', now(), now())",
        )
        .await;
    let mut conn = web.service.db.acquire().await.unwrap();
    let key = keys::create(
        &mut conn,
        "an app",
        &[Scope::All],
        None,
        web.service.ctx.clock.now(),
    )
    .await
    .unwrap();
    drop(conn);
    let key = format!("Bearer {}", key.secret.expose_secret());
    let mut cases = ids(&key);
    cases.extend(bodies(&key));
    let user = format!("Bearer {}", token("ann"));
    let own = [("authorization", user.as_str())];
    for id in ["ann%00", "%20ann", "ann%20", "ANN", "..%2fann", "ann%2f"] {
        let target = format!("/api/subscription/{id}");
        cases.push(case(
            &target,
            request("GET", &target, &own, b""),
            403,
            "FORBIDDEN",
        ));
        let target = format!("/api/twilio/numbers?userId={id}");
        cases.push(case(
            &target,
            request("GET", &target, &own, b""),
            403,
            "FORBIDDEN",
        ));
    }
    all_refused("hostile_orders", &web, cases).await;
}
