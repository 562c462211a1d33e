//! The sender, a process of its own: requests over keep-alive connections.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::requests::Kind;

#[derive(Debug, Args)]
pub struct Load {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long, value_enum)]
    kind: Kind,
    /// The key of an app.
    #[arg(long, default_value = "")]
    key: String,
    #[arg(long, default_value_t = 1)]
    users: usize,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// In all.
    #[arg(long)]
    requests: usize,
    /// Requests a second whatever the answers (0: each connection sends when it was answered).
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Answered well.
    pub acknowledged: usize,
    pub seconds: f64,
    /// From the moment it was due to its answer.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Report {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.seconds
    }
}

/// What another process is to send.
pub struct Order<'a> {
    pub to: SocketAddr,
    pub kind: Kind,
    pub key: &'a str,
    pub users: usize,
    pub requests: usize,
    /// A second; 0: as fast as it is answered.
    pub rate: f64,
}

/// Have it sent.
pub async fn send(order: &Order<'_>) -> anyhow::Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", "--kind", order.kind.as_str(), "--key", order.key]);
    for (name, value) in [
        ("--to", order.to.to_string()),
        ("--users", order.users.to_string()),
        ("--requests", order.requests.to_string()),
        ("--rate", order.rate.to_string()),
    ] {
        command.args([name, &value]);
    }
    let output = command.stderr(Stdio::inherit()).output().await?;
    serde_json::from_slice(&output.stdout).context("the load failed")
}

impl Load {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut share = vec![Vec::new(); self.connections];
        for number in 0..self.requests {
            let request = self.kind.request(&self.key, number, self.users);
            share[number % self.connections].push((number, request));
        }
        let begun = Instant::now();
        let mut senders = JoinSet::new();
        for mine in share {
            senders.spawn(send_all(self.to, mine, begun, self.rate));
        }
        let mut waits = Vec::with_capacity(self.requests);
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

async fn send_all(
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
