//! Stripe's webhooks, and the promise of the receiver: acknowledged means stored, with its job, once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tollkeeper::signature::stripe;
use tollkeeper_jobs::stripe_events;

use crate::support::{
    until,
    web::{STRIPE_SECRET, Web, golden_files},
};

const PATHS: [&str; 3] = [
    "/stripe/webhook",
    "/api/stripe/webhook",
    "/stripe-webhook-endpoint",
];

fn event(id: &str, event_type: &str) -> Vec<u8> {
    json!({ "id": id, "object": "event", "type": event_type })
        .to_string()
        .into_bytes()
}

async fn counts(web: &Web) -> (i64, i64) {
    let webhooks = web.service.value("select count(*) from webhooks").await;
    let jobs = web.service.value("select count(*) from queue.jobs").await;
    (webhooks, jobs)
}

#[tokio::test]
async fn every_recorded_event_in_three_copies_is_stored_once_with_one_job() {
    let web = Web::start().await;
    let files: Vec<(String, Vec<u8>)> = ["new", "old", "thin"]
        .iter()
        .flat_map(|shape| golden_files(&format!("webhooks/stripe/{shape}"), ".json"))
        .collect();
    assert!(files.len() >= 60, "only {} recorded events", files.len());

    let copies = files
        .iter()
        .flat_map(|(_, body)| PATHS.map(|path| web.stripe(path, body)));
    let answers = join_all(copies).await;

    for answer in answers {
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.json::<Value>().await.unwrap(),
            json!({ "received": true, "success": true, "data": { "received": true } })
        );
    }
    for (name, body) in &files {
        let recorded: Value = serde_json::from_slice(body).unwrap();
        let event_type = recorded["type"].as_str().unwrap();
        let is_handled = stripe_events::route(event_type).is_some();
        let stored: Vec<(String, Vec<u8>, String, i64)> = sqlx::query_as(
            "select kind, body, state, (select count(*) from queue.jobs
                 where kind = 'handle_stripe_event' and key = webhooks.id::text)
             from webhooks where provider = 'stripe' and event_key = $1",
        )
        .bind(recorded["id"].as_str().unwrap())
        .fetch_all(&web.service.db)
        .await
        .unwrap();
        let state = if is_handled { "stored" } else { "ignored" };
        let jobs = i64::from(is_handled);
        assert_eq!(
            stored,
            [(event_type.to_owned(), body.clone(), state.to_owned(), jobs)],
            "{name}"
        );
    }
    let handled = files.iter().filter(|(_, body)| {
        let recorded: Value = serde_json::from_slice(body).unwrap();
        stripe_events::route(recorded["type"].as_str().unwrap()).is_some()
    });
    let jobs = handled.count() as i64;
    assert_eq!(counts(&web).await, (files.len() as i64, jobs));
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_kept_and_acknowledged() {
    let web = Web::start().await;

    let answer = web
        .stripe(PATHS[0], &event("evt_1", "entitlements.changed"))
        .await;

    assert_eq!(answer.status(), 200);
    let state: String = web.service.value("select state from webhooks").await;
    assert_eq!((state.as_str(), counts(&web).await), ("ignored", (1, 0)));
}

#[tokio::test]
async fn what_stripe_did_not_sign_is_refused_and_leaves_nothing() {
    let web = Web::start().await;
    let body = event("evt_1", "invoice.paid");
    let now = web.service.ctx.clock.now().timestamp();
    let old = stripe::sign(STRIPE_SECRET, &body, now - 301);
    let changed = stripe::sign(STRIPE_SECRET, &event("evt_2", "invoice.paid"), now);
    let foreign = stripe::sign("whsec_of_somebody_else", &body, now);

    for header in [
        None,
        Some(""),
        Some(&*old),
        Some(&*changed),
        Some(&*foreign),
    ] {
        for path in PATHS {
            let mut request = web.post(path).body(body.clone());
            if let Some(header) = header {
                request = request.header("stripe-signature", header);
            }
            assert_eq!(request.send().await.unwrap().status(), 400, "{header:?}");
        }
    }
    // Signed, and still nothing that could be an event.
    for body in [
        &b"hello"[..],
        b"{}",
        b"{\"id\":\"evt\\u0000\",\"type\":\"a\"}",
    ] {
        assert_eq!(web.stripe(PATHS[0], body).await.status(), 400);
    }

    assert_eq!(counts(&web).await, (0, 0));
}

#[tokio::test]
async fn the_secret_that_verifies_names_the_endpoint_and_a_rolled_one_still_works() {
    let web = Web::with(|config| {
        config.stripe.webhook_secrets = vec!["whsec_one".into(), "whsec_two".into()];
    })
    .await;
    let now = web.service.ctx.clock.now().timestamp();

    for (id, secret) in [
        ("evt_1", "whsec_one"),
        ("evt_2", "whsec_two"),
        ("evt_3", "whsec_one"),
    ] {
        let body = event(id, "invoice.paid");
        let header = stripe::sign(secret, &body, now);
        let request = web
            .post(PATHS[0])
            .header("stripe-signature", header)
            .body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    let endpoints: Vec<String> =
        sqlx::query_scalar("select endpoint from webhooks order by event_key")
            .fetch_all(&web.service.db)
            .await
            .unwrap();
    assert_eq!(endpoints[0], endpoints[2]);
    assert_ne!(endpoints[0], endpoints[1]);
    assert!(endpoints.iter().all(|endpoint| !endpoint.contains("whsec")));
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_database_is_down() {
    let web = Web::start().await;
    web.service.ctx.pools.ingest.close().await;

    let answer = web.stripe(PATHS[0], &event("evt_1", "invoice.paid")).await;

    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_slow_database_is_no_acknowledgement_and_the_next_delivery_is_stored_once() {
    let web = Web::with(|config| config.http.store_deadline = Duration::from_millis(200)).await;
    let body = event("evt_1", "invoice.paid");
    let mut blocked = web.service.db.begin().await.unwrap();
    sqlx::raw_sql("lock table webhooks in access exclusive mode")
        .execute(&mut *blocked)
        .await
        .unwrap();

    assert_eq!(web.stripe(PATHS[0], &body).await.status(), 503);
    blocked.rollback().await.unwrap();

    assert_eq!(web.stripe(PATHS[0], &body).await.status(), 200);
    assert_eq!(web.stripe(PATHS[0], &body).await.status(), 200);
    assert_eq!(counts(&web).await, (1, 1));
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_in_whole_or_in_chunks() {
    let web = Web::start().await;
    let padded = |size: usize| {
        let mut body = event("evt_large", "invoice.paid");
        body.pop();
        body.extend_from_slice(b",\"pad\":\"");
        body.resize(size - 2, b'a');
        body.extend_from_slice(b"\"}");
        body
    };

    let limit = 256 * 1024;
    assert_eq!(web.stripe(PATHS[0], &padded(limit)).await.status(), 200);
    assert_eq!(web.stripe(PATHS[0], &padded(limit + 1)).await.status(), 413);
    let mut chunked = TcpStream::connect(web.address).await.unwrap();
    let mut request =
        b"POST /stripe/webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..33 {
        request.extend_from_slice(b"2000\r\n");
        request.resize(request.len() + 0x2000, b'a');
        request.extend_from_slice(b"\r\n");
    }
    chunked.write_all(&request).await.unwrap();
    let mut start = [0; 12];
    chunked.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    let form = web
        .post("/api/twilio/voice")
        .body(vec![b'a'; 64 * 1024 + 1]);
    assert_eq!(form.send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn what_was_taken_in_before_a_stop_is_stored_and_answered() {
    let web = Web::start().await;
    let mut blocked = web.service.db.begin().await.unwrap();
    sqlx::raw_sql("lock table webhooks in access exclusive mode")
        .execute(&mut *blocked)
        .await
        .unwrap();
    let now = web.service.ctx.clock.now().timestamp();
    let body = event("evt_1", "invoice.paid");
    let header = stripe::sign(STRIPE_SECRET, &body, now);
    let request = web
        .post(PATHS[0])
        .header("stripe-signature", header)
        .body(body);
    let answer = tokio::spawn(request.send());
    until("the webhook is on its way", async || {
        let waiting: i64 = web
            .service
            .value("select count(*) from pg_locks where not granted")
            .await;
        waiting > 0
    })
    .await;

    web.tell_to_stop();
    blocked.rollback().await.unwrap();

    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert_eq!(counts(&web).await, (1, 1));
    web.ended().await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_in_the_shape_of_all_errors_with_the_request_id() {
    let web = Web::start().await;

    let request = web.get("/no/such/path").header("x-request-id", "abc-1");
    let answer = request.send().await.unwrap();

    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["x-request-id"], "abc-1");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["success"], false);
    assert_eq!(body["error"]["code"], "NOT_FOUND");
    assert_eq!(body["error"]["statusCode"], 404);
    assert!(body["timestamp"].is_string());
    let answer = web.get("/stripe/webhook").send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert!(answer.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn an_event_whose_object_is_in_no_known_shape_is_stored_with_its_job_all_the_same() {
    let web = Web::start().await;
    for (at, data) in [
        json!(5),
        json!([]),
        json!({}),
        json!({ "object": 5 }),
        json!({ "object": { "customer": ["cus_1"], "metadata": "none" } }),
        Value::Null,
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "id": format!("evt_{at}"), "type": "invoice.paid", "data": data });
        let answer = web.stripe(PATHS[0], body.to_string().as_bytes()).await;
        assert_eq!(answer.status(), 200, "{body}");
    }
    assert_eq!(counts(&web).await, (6, 6));
}
