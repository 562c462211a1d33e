//! Signed webhooks at a steady pace over connections that stay open, timed one by one.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    time::{MissedTickBehavior, interval},
};
use tollkeeper::signature::stripe;
use uuid::Uuid;

use crate::support::web::STRIPE_SECRET;

const CONNECTIONS: usize = 8;
/// Of each connection.
const PACE: Duration = Duration::from_millis(25);

/// Where the load goes.
#[derive(Clone, Copy)]
pub struct Load(SocketAddr);

impl Load {
    pub fn at(address: SocketAddr) -> Load {
        Load(address)
    }

    /// So many webhooks over each connection, on a thread of its own; the p99 of the answers in
    /// milliseconds.
    pub async fn run(self, count: usize) -> f64 {
        let all = move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let clients = (0..CONNECTIONS).map(|_| client(self.0, count));
            runtime.block_on(join_all(clients))
        };
        let mut times: Vec<Duration> = tokio::task::spawn_blocking(all).await.unwrap().concat();
        times.sort();
        times[times.len() * 99 / 100].as_secs_f64() * 1e3
    }
}

async fn client(address: SocketAddr, count: usize) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut times = Vec::new();
    for _ in 0..count {
        ticks.tick().await;
        let request = webhook();
        let asked = Instant::now();
        stream.write_all(&request).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"}") {
            let count = stream.read_buf(&mut said).await.unwrap();
            assert!(count > 0, "cut off");
        }
        assert!(
            said.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&said)
        );
        times.push(asked.elapsed());
    }
    times
}

fn webhook() -> Vec<u8> {
    let body = json!({ "id": format!("evt_{}", Uuid::now_v7().simple()), "type": "invoice.paid" })
        .to_string();
    let signature = stripe::sign(STRIPE_SECRET, body.as_bytes(), Utc::now().timestamp());
    format!(
        "POST /stripe/webhook HTTP/1.1\r\nhost: hooks.test\r\nstripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
