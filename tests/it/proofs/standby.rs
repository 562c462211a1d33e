//! A primary with a synchronous standby: nothing is acknowledged that the standby does not have, so
//! nothing acknowledged is lost with the primary.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{PgConnection, postgres::PgConnectOptions};

use super::customers;
use crate::support::{
    address::Address,
    cluster,
    load::{Load, Sender},
    postgres_server::{Fall, PostgresServer},
    process::{Process, Program},
    proof::{all_held, seed, size},
    until,
    web::golden,
};

const SENDERS: usize = 6;
const DATABASE: &str = "failover";

/// Two servers, the address by which the program knows the primary, and the receiver.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    address: Address,
    database: PgConnectOptions,
    web: Process,
}

impl Pair {
    async fn start() -> Pair {
        let primary = PostgresServer::start_new().await;
        let database = cluster::make_database(&primary.options(), DATABASE).await;
        let standby = primary.start_standby().await;
        primary.wait_for_standbys("*").await;
        let address = Address::of(primary.socket()).await;
        let sandbox = customers::sandbox(Default::default()).await;
        let known = PgConnectOptions::new_without_pgpass()
            .host(&address.at.ip().to_string())
            .port(address.at.port())
            .username(database.get_username())
            .database(DATABASE);
        let web = Program::over(&known, &sandbox)
            .with("INGEST_STORE_DEADLINE", "500ms")
            .ready("web")
            .await;
        Pair {
            primary,
            standby,
            address,
            database,
            web,
        }
    }

    /// The standby takes the primary's place and its address, and gets a standby of its own.
    async fn fail_over(&mut self) {
        self.standby.promote().await;
        self.standby.wait_for_standbys("").await;
        self.address.point_at(self.standby.socket());
        let next = self.standby.start_standby().await;
        self.primary = std::mem::replace(&mut self.standby, next);
        self.primary.wait_for_standbys("*").await;
    }

    async fn stored(&self, server: &PostgresServer) -> BTreeSet<String> {
        let database = server.options().database(DATABASE);
        let database = database.username(self.database.get_username());
        let mut conn = <PgConnection as sqlx::Connection>::connect_with(&database)
            .await
            .unwrap();
        let stored: Vec<String> = sqlx::query_scalar("select event_key from webhooks")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        stored.into_iter().collect()
    }
}

#[tokio::test]
async fn a_primary_that_dies_takes_no_acknowledged_webhook_with_it() {
    let mut dice = StdRng::seed_from_u64(seed("standby"));
    let mut pair = Pair::start().await;
    let load = Load::start(pair.web.address, SENDERS);

    let first = dice.random_range(0..2);
    for round in 0..size(2, 10) {
        let enough = load.acknowledged() + dice.random_range(50..size(100, 1000));
        until("the load goes on", async || load.acknowledged() >= enough).await;
        let receiver = pair.standby.receiver_pid().await;
        let is_behind = (first + round) % 2 == 0;
        if is_behind {
            // The standby falls behind before the primary dies: what comes now would be lost with it.
            let turned_away = load.turned_away();
            stop_and_continue(receiver, libc::SIGSTOP);
            until("nothing is acknowledged any more", async || {
                load.turned_away() > turned_away
            })
            .await;
        }
        pair.primary.fall(Fall::Killed);
        if is_behind {
            stop_and_continue(receiver, libc::SIGCONT);
        }
        pair.fail_over().await;
    }
    let enough = load.acknowledged() + SENDERS;
    until("the load goes on", async || load.acknowledged() >= enough).await;

    assert!(pair.web.is_alive(), "web ended: {}", pair.web.log());
    let turned_away = load.turned_away();
    let acknowledged = load.stop().await;
    let stored = pair.stored(&pair.primary).await;
    let kept = acknowledged.intersection(&stored).count();
    println!("{turned_away} times told to come again");
    all_held(
        "standby_webhooks_kept",
        kept,
        "webhooks",
        acknowledged.len(),
    );
}

#[tokio::test]
async fn without_its_standby_nothing_is_acknowledged_not_even_what_is_stored_already() {
    let pair = Pair::start().await;
    let sender = Sender::to(pair.web.address);
    let file = golden("webhooks/stripe/new/charge.refunded.full.json");
    let body = std::fs::read(file).unwrap();

    pair.standby.fall(Fall::Fast);
    let hangs = sender.post(&body).await;
    // The primary alone has it now, and shows it once it is started again.
    pair.primary.fall(Fall::Fast);
    pair.primary.start().await;
    let alone = pair.stored(&pair.primary).await;
    let mut answers = BTreeSet::new();
    until("the receiver has its connections back", async || {
        let ready = pair.web.get("/readyz").await.unwrap();
        ready.0 == 200
    })
    .await;
    for _ in 0..3 {
        answers.insert(sender.post(&body).await);
    }

    assert_eq!(hangs, Some(503));
    assert_eq!(alone.len(), 1, "{alone:?}");
    assert_eq!(answers, BTreeSet::from([Some(503)]));
    pair.standby.start().await;
    until("it is acknowledged", async || {
        sender.post(&body).await == Some(200)
    })
    .await;
    pair.primary.fall(Fall::Killed);
    pair.standby.promote().await;
    assert_eq!(pair.stored(&pair.standby).await, alone);
}

fn stop_and_continue(pid: i32, signal: i32) {
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}
