//! A primary with a synchronous standby: nothing is acknowledged that the standby does not have, so
//! nothing acknowledged is lost with the primary.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::customers;
use crate::support::{
    address::Address,
    cluster,
    load::{Load, Sender},
    postgres_server::{Fall, PostgresServer},
    probe::{self, Does, Probe, probes},
    process::{Process, Program},
    proof::{all_held, seed, size},
    service::Service,
    until,
    web::golden,
};

const SENDERS: usize = 6;

/// A primary whose commits wait for its standby.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    /// Ours, on the first primary.
    database: PgConnectOptions,
}

impl Pair {
    async fn start() -> Pair {
        let primary = PostgresServer::start_new().await;
        let database = cluster::make_database(&primary.options(), "failover").await;
        let standby = primary.start_standby().await;
        primary.wait_for_standbys("*").await;
        Pair {
            primary,
            standby,
            database,
        }
    }

    /// The standby takes the primary's place, and gets a standby of its own.
    async fn fail_over(&mut self, address: &Address) {
        self.standby.promote().await;
        self.standby.wait_for_standbys("").await;
        address.point_at(self.standby.socket());
        let next = self.standby.start_standby().await;
        self.primary = std::mem::replace(&mut self.standby, next);
        self.primary.wait_for_standbys("*").await;
    }

    async fn stored_on(&self, server: &PostgresServer) -> BTreeSet<String> {
        let name = self.database.get_database().unwrap();
        let mut conn = PgConnection::connect_with(&server.options().database(name))
            .await
            .unwrap();
        let stored: Vec<String> = sqlx::query_scalar("select event_key from webhooks")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        stored.into_iter().collect()
    }
}

/// The receiver, which knows the primary by that address.
async fn receiver(pair: &Pair, address: &Address) -> Process {
    let sandbox = customers::sandbox(Duration::ZERO).await;
    Program::over(&address.in_the_place_of(&pair.database), &sandbox)
        .with("INGEST_STORE_DEADLINE", "500ms")
        .ready("web")
        .await
}

#[tokio::test]
async fn a_primary_that_dies_takes_no_acknowledged_webhook_with_it() {
    let mut dice = StdRng::seed_from_u64(seed("standby"));
    let mut pair = Pair::start().await;
    let address = Address::of(pair.primary.socket()).await;
    let web = receiver(&pair, &address).await;
    let load = Load::start(web.address, SENDERS);

    for round in 0..size(1, 10) {
        let enough = load.acknowledged() + dice.random_range(50..size(100, 1000));
        until("the load goes on", async || load.acknowledged() >= enough).await;
        let receiver = pair.standby.receiver_pid().await;
        let is_behind = round % 2 == 0;
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
        pair.fail_over(&address).await;
    }
    let enough = load.acknowledged() + SENDERS;
    until("the load goes on", async || load.acknowledged() >= enough).await;

    assert!(web.is_alive(), "web ended: {}", web.log());
    let turned_away = load.turned_away();
    let acknowledged = load.stop().await;
    let stored = pair.stored_on(&pair.primary).await;
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
    let address = Address::of(pair.primary.socket()).await;
    let web = receiver(&pair, &address).await;
    let sender = Sender::to(web.address);
    let file = golden("webhooks/stripe/new/charge.refunded.full.json");
    let body = std::fs::read(file).unwrap();

    pair.standby.fall(Fall::Fast);
    let hangs = sender.post(&body).await;
    // The primary alone has it now, and shows it once it is started again.
    pair.primary.fall(Fall::Fast);
    pair.primary.start().await;
    let alone = pair.stored_on(&pair.primary).await;
    let mut answers = BTreeSet::new();
    until("the receiver has its connections back", async || {
        let ready = web.get("/readyz").await.unwrap();
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
    assert_eq!(pair.stored_on(&pair.standby).await, alone);
}

#[tokio::test]
async fn commits_that_hang_for_longer_than_a_lease_are_no_crash() {
    let pair = Pair::start().await;
    let db = PgPoolOptions::new().connect_lazy_with(pair.database.clone());
    let service = Service::over(db, |config| {
        config.worker.lease = Duration::from_secs(size(1, 6))
    });
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    service
        .enqueue(&Probe::new(test, "held", Does::Block))
        .await;
    until("it runs", async || probe::now(test) == 1).await;

    pair.standby.fall(Fall::Fast);
    until("the lease ran out long ago", async || {
        let sql = "select lease_until < now() - interval '2 s' and pg_postmaster_start_time() < now() - interval '6 s' from queue.jobs";
        service.value::<bool>(sql).await
    })
    .await;
    pair.standby.start().await;
    until("it is renewed", async || {
        let sql = "select coalesce(lease_until, now()) > now() from queue.jobs";
        service.value::<bool>(sql).await
    })
    .await;
    probe::let_go(test, 1);
    service.drain().await;
    worker.stop().await;

    let outcomes: Vec<String> = sqlx::query_scalar(concat!(
        "select outcome from ",
        crate::support::every_run!(),
        " run"
    ))
    .fetch_all(&service.db)
    .await
    .unwrap();
    assert_eq!(outcomes, ["done"]);
}

fn stop_and_continue(pid: i32, signal: i32) {
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}
