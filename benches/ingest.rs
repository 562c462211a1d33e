//! Webhooks: signed, verified, stored with their job, acknowledged.

use std::net::{SocketAddr, TcpListener};

use anyhow::ensure;
use tokio::net::TcpStream;

use crate::{
    figures::Goal,
    load::{self, Order, Report},
    plain,
    requests::Kind,
    rows::Rows,
    server::{Database, Server},
};

const EVENTS: usize = 100_000;
const SECONDS_OPEN_LOOP: f64 = 10.0;

pub async fn measure(server: &Server, rows: &mut Rows) -> anyhow::Result<()> {
    let (mut throughput, mut waits) = (Vec::new(), Vec::new());
    for _ in 0..rows.rounds {
        let database = server.database("bench_ingest").await?;
        let inserts = plain::event_inserts(server, &database).await?;
        let (address, _web) = serve(&database).await?;
        let closed = load(address, EVENTS, 0.0).await?;
        let acknowledged = closed.acknowledged as f64 / closed.seconds;
        throughput.push((acknowledged, inserts));
        let rate = acknowledged / 4.0;
        let open = load(address, (rate * SECONDS_OPEN_LOOP) as usize, rate).await?;
        waits.push(open.p99_ms);
        let stored: i64 = sqlx::query_scalar("select count(*) from webhooks")
            .fetch_one(&mut database.connect().await?)
            .await?;
        let acknowledged = closed.acknowledged + open.acknowledged;
        ensure!(
            stored as usize == acknowledged,
            "{acknowledged} acknowledged, {stored} stored"
        );
    }
    rows.ratio(
        "ingest_acknowledged_webhooks",
        "webhooks/s",
        throughput,
        Goal::AtLeast(0.8),
    );
    rows.value(
        "ingest_acknowledgement_p99_at_a_quarter_of_that",
        "ms",
        waits,
        Goal::AtMost(20.0),
    );
    Ok(())
}

/// The web role on a port of its own.
pub async fn serve(database: &Database) -> anyhow::Result<(SocketAddr, tokio::process::Child)> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let web = database.product("web", &[("PORT", address.port().to_string())])?;
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok((address, web))
}

/// Deliveries from another process.
pub async fn load(to: SocketAddr, requests: usize, rate: f64) -> anyhow::Result<Report> {
    load::send(&Order {
        to,
        kind: Kind::Webhook,
        key: "",
        users: 1,
        requests,
        rate,
    })
    .await
}
