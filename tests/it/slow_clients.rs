//! Clients that keep a connection and do not get on with it are cut; their neighbours notice nothing.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};
use tollkeeper::config::Config;

use crate::support::web::Web;

const HEAD: &[u8] = b"GET /no/such/path HTTP/1.1\r\nhost: a\r\n\r\n";

fn impatient(config: &mut Config) {
    config.http.header_deadline = Duration::from_millis(400);
    config.http.body_deadline = Duration::from_millis(400);
}

/// Send a start, then a byte every 20 milliseconds; the answer is all that came back until the end.
async fn drip(web: &Web, start: &[u8], byte: u8) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    stream.write_all(start).await.unwrap();
    let begun = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    let mut ticks = interval(Duration::from_millis(20));
    let dripping = async {
        loop {
            ticks.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = async {
        let mut part = [0; 1024];
        // A reset ends it as well as a proper close.
        while let Ok(count @ 1..) = reader.read(&mut part).await {
            said.extend_from_slice(&part[..count]);
        }
    };
    tokio::select! {
        () = dripping => {}
        () = reading => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("still open after 20 s"),
    }
    (said, begun.elapsed())
}

/// Run it while a normal client asks over one connection, which must be answered each time.
async fn beside_a_normal_client<T>(web: &Web, slow: impl Future<Output = T>) -> T {
    let mut normal = TcpStream::connect(web.address).await.unwrap();
    let mut asked = 0;
    let asking = async {
        let mut ticks = interval(Duration::from_millis(30));
        loop {
            ticks.tick().await;
            ask(&mut normal).await;
            asked += 1;
        }
    };
    let outcome = tokio::select! {
        outcome = slow => outcome,
        () = asking => unreachable!("it asks for ever"),
    };
    assert!(asked > 3, "the normal client was answered {asked} times");
    outcome
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(HEAD).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"}") {
        let mut part = [0; 1024];
        let count = timeout(Duration::from_secs(10), stream.read(&mut part))
            .await
            .expect("an answer")
            .unwrap();
        assert!(count > 0, "cut off");
        said.extend_from_slice(&part[..count]);
    }
    assert!(said.starts_with(b"HTTP/1.1 404"));
}

async fn is_open(stream: &mut TcpStream) -> bool {
    let asked = async {
        stream.write_all(HEAD).await?;
        let mut part = [0; 1];
        stream.read_exact(&mut part).await
    };
    asked.await.is_ok()
}

#[tokio::test]
async fn a_dripping_head_is_cut_and_a_normal_client_beside_it_is_served() {
    let web = Web::with(impatient).await;

    for start in ["POST /stripe/webhook HTTP/1.1\r\nx-slow: ", "", "\r\n"] {
        let byte = if start == "\r\n" { b'\n' } else { b'a' };
        let slow = drip(&web, start.as_bytes(), byte);
        let (said, lasted) = beside_a_normal_client(&web, slow).await;
        assert_eq!(String::from_utf8_lossy(&said), "", "{start:?}");
        assert!(
            lasted < Duration::from_secs(5),
            "{start:?} lasted {lasted:?}"
        );
    }
}

#[tokio::test]
async fn a_dripping_body_is_cut_and_a_normal_client_beside_it_is_served() {
    let web = Web::with(impatient).await;

    for path in ["/stripe/webhook", "/api/twilio/voice", "/no/such/path"] {
        let start = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n");
        let slow = drip(&web, start.as_bytes(), b'a');
        let (said, lasted) = beside_a_normal_client(&web, slow).await;
        // The end of a connection may overtake the answer to a client that is still sending.
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 408"),
            "{path}: {}",
            String::from_utf8_lossy(&said)
        );
        assert!(lasted < Duration::from_secs(5), "{path} lasted {lasted:?}");
    }
}

#[tokio::test]
async fn every_head_on_a_kept_connection_has_the_deadline() {
    let web = Web::with(impatient).await;

    let mut start = HEAD.to_vec();
    start.extend_from_slice(b"GET /again HTTP/1.1\r\nx-slow: ");
    let (said, lasted) = beside_a_normal_client(&web, drip(&web, &start, b'a')).await;

    assert!(said.starts_with(b"HTTP/1.1 404"));
    assert_eq!(
        said.windows(8).filter(|part| part == b"HTTP/1.1").count(),
        1
    );
    assert!(lasted < Duration::from_secs(5), "lasted {lasted:?}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
    let web = Web::with(impatient).await;
    let mut silent = TcpStream::connect(web.address).await.unwrap();

    let count = timeout(Duration::from_secs(10), silent.read(&mut [0; 1])).await;

    assert!(matches!(count, Ok(Ok(0) | Err(_))), "{count:?}");
}

#[tokio::test]
async fn http2_in_the_clear_is_cut() {
    let web = Web::with(impatient).await;

    let (said, _) = drip(&web, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0).await;

    assert_eq!(said, b"");
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let web = Web::with(|config| config.http.connections_per_address_max = 2).await;
    let mut first = TcpStream::connect(web.address).await.unwrap();
    let mut second = TcpStream::connect(web.address).await.unwrap();
    assert!(is_open(&mut first).await && is_open(&mut second).await);

    let mut third = TcpStream::connect(web.address).await.unwrap();
    assert!(!is_open(&mut third).await);

    drop(first);
    crate::support::until("a place is free again", async || {
        let mut next = TcpStream::connect(web.address).await.unwrap();
        is_open(&mut next).await
    })
    .await;
}
