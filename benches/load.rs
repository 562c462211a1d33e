//! The sender of webhooks, a process of its own: signed Stripe events over keep-alive connections.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tollkeeper::{clock::Clock, signature::stripe};
use uuid::Uuid;

pub const SECRET: &str = "whsec_made_up_for_the_bench";
/// An event as Stripe sends it, 5 KB.
pub const EVENT: &str = include_str!(
    "../tests/it/golden/webhooks/stripe/new/customer.subscription.updated.activated.json"
);

#[derive(Debug, Args)]
pub struct Load {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Deliveries in all.
    #[arg(long)]
    events: usize,
    /// Deliveries a second whatever the answers (0: each connection sends when it was answered).
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub acknowledged: usize,
    pub seconds: f64,
    /// From the moment it was due to its answer.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Load {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut share = vec![Vec::new(); self.connections];
        for number in 0..self.events {
            share[number % self.connections].push((number, delivery()));
        }
        let begun = Instant::now();
        let mut senders = JoinSet::new();
        for mine in share {
            senders.spawn(send(self.to, mine, begun, self.rate));
        }
        let mut waits = Vec::with_capacity(self.events);
        while let Some(sent) = senders.join_next().await {
            waits.append(&mut sent??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        waits.sort();
        let at =
            |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let report = Report {
            acknowledged: waits.len(),
            seconds,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        };
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

/// One delivery, an event of its own, signed now.
fn delivery() -> Vec<u8> {
    let body = EVENT.replacen(
        "evt_1SFixture",
        &format!("evt_{}", Uuid::new_v4().simple()),
        1,
    );
    let signature = stripe::sign(SECRET, body.as_bytes(), Clock::default().now().timestamp());
    format!(
        "POST /stripe/webhook HTTP/1.1\r\nhost: bench.test\r\ncontent-type: application/json\r\n\
         stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn send(
    to: SocketAddr,
    mine: Vec<(usize, Vec<u8>)>,
    begun: Instant,
    rate: f64,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut waits = Vec::with_capacity(mine.len());
    let mut answer = Vec::with_capacity(1024);
    for (number, request) in mine {
        let mut due = Instant::now();
        if rate > 0.0 {
            due = begun + Duration::from_secs_f64(number as f64 / rate);
            sleep_until(due).await;
        }
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut answer).await?;
        waits.push(due.elapsed());
    }
    Ok(waits)
}

/// Read one whole answer, which must be an acknowledgement.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    loop {
        ensure!(
            stream.read_buf(answer).await? > 0,
            "the connection was closed"
        );
        let text = String::from_utf8_lossy(answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .context("an answer without content-length")?
            .parse()?;
        if body.len() >= length {
            ensure!(text.starts_with("HTTP/1.1 200"), "not acknowledged: {text}");
            return Ok(());
        }
    }
}
