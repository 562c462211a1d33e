//! Whatever is sent: the right status and a code that does not change, nothing stored, and the next
//! honest request is served.

mod callbacks;
mod credentials;
mod orders;
mod transport;
mod webhooks;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tollkeeper::config::Config;

use crate::support::{
    api::JWT_SECRET,
    proof::{all_held, size},
    tables::Contents,
    web::Web,
};

const VOIPMS_TOKEN: &str = "a-token-of-the-callback-url";

/// One request, byte for byte, and what becomes of it.
struct Case {
    what: String,
    request: Vec<u8>,
    /// 0: the connection ends without an answer.
    status: u16,
    /// Of the JSON body; of a text, the text.
    code: &'static str,
}

fn case(what: impl Into<String>, request: Vec<u8>, status: u16, code: &'static str) -> Case {
    Case {
        what: what.into(),
        request,
        status,
        code,
    }
}

/// A whole request that asks for the connection to end after it.
fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut all = vec![("content-length", length.as_str())];
    all.extend(headers);
    head(method, target, &all, body)
}

/// The same without a `content-length` of ours.
fn head(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: hooks.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Send it and read until the connection ends: the status and the code, 0 and nothing without an answer.
async fn sent(web: &Web, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    let writing = async {
        // It may be refused before it was read to its end.
        let _ = writer.write_all(request).await;
    };
    let reading = async {
        let mut part = [0; 4096];
        // A reset ends it as well as a proper close.
        while let Ok(count @ 1..) = reader.read(&mut part).await {
            said.extend_from_slice(&part[..count]);
        }
    };
    timeout(Duration::from_secs(20), async {
        tokio::join!(writing, reading)
    })
    .await
    .expect("an answer, or the end of the connection");
    let said = String::from_utf8_lossy(&said);
    let Some((head, body)) = said.split_once("\r\n\r\n") else {
        return (0, String::new());
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let code = match serde_json::from_str::<Value>(body) {
        Ok(body) => [&body["code"], &body["error"]["code"], &body["status"]]
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        Err(_) => body.to_owned(),
    };
    (status, code)
}

fn guarded(config: &mut Config) {
    config.jwt.secret = Some(JWT_SECRET.to_owned().into());
    config.voipms.callback_tokens = vec![VOIPMS_TOKEN.into()];
    config.http.store_deadline = Duration::from_secs(30);
    // What never comes is waited for as long as this.
    config.http.header_deadline = Duration::from_secs(1);
    config.http.body_deadline = Duration::from_secs(1);
}

/// Send each case, compare every table after it, and see that the service still serves.
async fn all_refused(name: &str, web: &Web, cases: Vec<Case>) {
    let db = &web.service.db;
    let contents = Contents::of(db).await;
    let before = contents.now(db).await;
    let mut held = 0;
    // One by one it is plain which of them stored something.
    for some in cases.chunks(size(32, 1)) {
        let answers = join_all(some.iter().map(|case| sent(web, &case.request))).await;
        for (case, (status, code)) in some.iter().zip(answers) {
            if (status, code.as_str()) == (case.status, case.code) {
                held += 1;
                continue;
            }
            let Case {
                what,
                status: wanted,
                code: named,
                ..
            } = case;
            println!("{what}: {status} {code:?} instead of {wanted} {named:?}");
        }
        let whats: Vec<&str> = some.iter().map(|case| case.what.as_str()).collect();
        assert_eq!(
            contents.now(db).await,
            before,
            "stored by one of {whats:#?}"
        );
    }
    assert_eq!(sent(web, &request("GET", "/readyz", &[], b"")).await.0, 200);
    let event = json!({ "id": "evt_honest", "type": "invoice.paid" }).to_string();
    let honest = web.stripe("/stripe/webhook", event.as_bytes()).await;
    assert_eq!(honest.status(), 200);
    assert_ne!(
        contents.now(db).await,
        before,
        "an honest webhook is stored"
    );
    all_held(name, held, "requests", cases.len());
}
