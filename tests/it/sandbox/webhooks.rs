//! Signed deliveries: repeated until accepted, doubled, overtaken, lost.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use poem::{
    Endpoint, Request, Response, Server,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
};
use reqwest::Method;
use serde_json::Value;
use sha2::Sha256;
use tollkeeper::sandbox::{Mischief, MischiefRule, Retries, Settings, When, stripe::Standing};

use super::client::World;

const SECRET: &str = "whsec_of_a_test";

/// A webhook receiver that turns down the first attempts at each event.
#[derive(Clone, Default)]
struct Receiver {
    refusals: usize,
    /// Every delivery: the header and the body.
    received: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    async fn listen(&self) -> SocketAddr {
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(self.clone()));
        address
    }

    /// The events in the order of arrival, each checked against its signature.
    fn events(&self) -> Vec<Value> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|(header, body)| verified(header, body))
            .collect()
    }

    fn types(&self) -> Vec<String> {
        self.events()
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Endpoint for Receiver {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let header = request.header("stripe-signature").unwrap().to_owned();
        let body = request.take_body().into_string().await?;
        let mut received = self.received.lock().unwrap();
        let earlier = received.iter().filter(|(_, other)| *other == body).count();
        received.push((header, body));
        Ok(if earlier < self.refusals {
            StatusCode::SERVICE_UNAVAILABLE.into()
        } else {
            StatusCode::OK.into()
        })
    }
}

/// As Stripe documents it, written apart from the code that signs.
fn verified(header: &str, body: &str) -> Value {
    let parts: HashMap<&str, &str> = header
        .split(',')
        .map(|part| part.split_once('=').unwrap())
        .collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(parts["t"].as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.verify_slice(&hex::decode(parts["v1"]).unwrap())
        .unwrap();
    serde_json::from_str(body).unwrap()
}

async fn world_with(receiver: &Receiver) -> World {
    let retries = Retries {
        backoff_first: Duration::from_millis(5),
        attempts_max: 4,
        ..Retries::default()
    };
    let world = World::start_with(Settings {
        retries,
        ..Settings::default()
    })
    .await;
    let url = format!("http://{}/stripe/webhook", receiver.listen().await);
    world.sandbox.add_webhook(&url, SECRET);
    world
}

fn standing(world: &World, event_type: &str) -> Standing {
    let events = world.sandbox.events();
    let event = events
        .iter()
        .find(|event| event.event_type == event_type)
        .unwrap();
    event.standings[0].1
}

async fn undelivered(world: &World) -> Vec<String> {
    let list = world
        .stripe(Method::GET, "/v1/events", &[("delivery_success", "false")])
        .await;
    let events = list.body["data"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_sign_up_sends_its_events_signed() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;

    let subscription = world.sign_up(None);
    world.sandbox.all_delivered().await;

    let mut types = receiver.types();
    types.sort();
    assert_eq!(
        types,
        [
            "checkout.session.completed",
            "customer.subscription.created",
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
    let events = receiver.events();
    let session = events
        .iter()
        .find(|event| event["type"] == "checkout.session.completed")
        .unwrap();
    assert_eq!(session["data"]["object"]["client_reference_id"], "user_42");
    assert_eq!(session["data"]["object"]["subscription"], subscription);
    assert!(undelivered(&world).await.is_empty());
}

#[tokio::test]
async fn a_refused_event_is_sent_again_until_it_is_accepted() {
    let receiver = Receiver {
        refusals: 2,
        ..Receiver::default()
    };
    let world = world_with(&receiver).await;

    world.sign_up(None);
    world.sandbox.all_delivered().await;

    let paid = world
        .sandbox
        .deliveries()
        .into_iter()
        .filter(|delivery| delivery.event_type == "invoice.paid");
    let paid: Vec<_> = paid
        .map(|delivery| (delivery.attempt, delivery.status))
        .collect();
    assert_eq!(paid, [(1, Some(503)), (2, Some(503)), (3, Some(200))]);
    assert_eq!(receiver.events().len(), 21);
}

#[tokio::test]
async fn an_event_nobody_accepts_is_given_up_and_stays_in_the_list() {
    let receiver = Receiver {
        refusals: usize::MAX,
        ..Receiver::default()
    };
    let world = world_with(&receiver).await;

    world.sign_up(None);
    world.sandbox.all_delivered().await;

    assert_eq!(standing(&world, "invoice.paid"), Standing::Failed);
    assert_eq!(undelivered(&world).await.len(), 7);
}

#[tokio::test]
async fn a_doubled_event_arrives_twice_with_the_same_id() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;
    world.sandbox.add_mischief(vec![MischiefRule::new(
        "invoice.paid",
        When::Always,
        Mischief::Twice,
    )]);

    world.sign_up(None);
    world.sandbox.all_delivered().await;

    let events = receiver.events();
    let paid: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "invoice.paid")
        .collect();
    assert_eq!(paid.len(), 2);
    assert_eq!(paid[0], paid[1]);
}

#[tokio::test]
async fn a_late_event_is_overtaken_by_those_after_it() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;
    let late = Mischief::Late {
        by: Duration::from_secs(1),
    };
    world.sandbox.add_mischief(vec![MischiefRule::new(
        "subscription.created",
        When::Always,
        late,
    )]);

    world.sign_up(None);
    world.sandbox.all_delivered().await;

    assert_eq!(world.event_types()[0], "customer.subscription.created");
    assert_eq!(
        receiver.types().last().unwrap(),
        "customer.subscription.created"
    );
}

#[tokio::test]
async fn a_lost_event_is_only_in_the_list_until_it_is_sent_again() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;
    let rule = MischiefRule::new("checkout.session.completed", When::Nth(1), Mischief::Lose);
    world.sandbox.add_mischief(vec![rule]);

    world.sign_up(None);
    world.sandbox.all_delivered().await;
    assert!(
        !receiver
            .types()
            .contains(&"checkout.session.completed".to_owned())
    );
    assert_eq!(undelivered(&world).await, ["checkout.session.completed"]);

    let lost = world.sandbox.events().pop().unwrap();
    assert!(world.sandbox.resend(&lost.id));
    world.sandbox.all_delivered().await;
    assert!(
        receiver
            .types()
            .contains(&"checkout.session.completed".to_owned())
    );
    assert!(undelivered(&world).await.is_empty());
}

#[tokio::test]
async fn an_endpoint_made_by_the_api_gets_what_it_asked_for_in_its_own_version() {
    let receiver = Receiver::default();
    let world = World::start().await;
    let url = format!("http://{}/hook", receiver.listen().await);
    let form = [
        ("url", url.as_str()),
        ("enabled_events[]", "invoice.*"),
        ("api_version", "2025-02-24.acacia"),
    ];
    let made = world
        .stripe(Method::POST, "/v1/webhook_endpoints", &form)
        .await;
    let secret = made.body["secret"].as_str().unwrap();

    let subscription = world.sign_up(None);
    world.sandbox.all_delivered().await;

    assert!(secret.starts_with("whsec_"));
    let received = receiver.received.lock().unwrap().clone();
    assert_eq!(received.len(), 4);
    for (_, body) in received {
        let event: Value = serde_json::from_str(&body).unwrap();
        assert!(event["type"].as_str().unwrap().starts_with("invoice."));
        assert_eq!(event["data"]["object"]["subscription"], subscription);
    }
}

#[tokio::test]
async fn of_many_events_under_every_mischief_all_but_the_lost_arrive() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;
    let by = Duration::from_millis(20);
    let mischief = [Mischief::Lose, Mischief::Twice, Mischief::Late { by }];
    let rules = mischief
        .into_iter()
        .map(|what| MischiefRule::new("", When::Share(0.2), what));
    world.sandbox.add_mischief(rules.collect());

    for _ in 0..60 {
        world.sign_up(None);
    }
    world.sandbox.all_delivered().await;

    let received = receiver.events();
    let is_received = |id: &str| received.iter().any(|event| event["id"] == id);
    let events = world.sandbox.events();
    let lost = events
        .iter()
        .filter(|event| event.standings[0].1 == Standing::Lost);
    assert!(lost.clone().count() > 0 && lost.clone().all(|event| !is_received(&event.id)));
    let delivered = events
        .iter()
        .filter(|event| event.standings[0].1 == Standing::Delivered);
    assert!(delivered.clone().all(|event| is_received(&event.id)));
    assert_eq!(lost.count() + delivered.clone().count(), 420);
    assert!(received.len() > delivered.count(), "some arrive twice");
}

#[tokio::test]
async fn an_event_that_was_delivered_once_stays_delivered() {
    let receiver = Receiver::default();
    let world = world_with(&receiver).await;
    world.sign_up(None);
    world.sandbox.all_delivered().await;

    let event = world.sandbox.events().pop().unwrap();
    let endpoint = format!("/v1/webhook_endpoints/{}", event.standings[0].0);
    assert_eq!(
        world.stripe(Method::DELETE, &endpoint, &[]).await.body["deleted"],
        true
    );
    assert!(world.sandbox.resend(&event.id));
    world.sandbox.all_delivered().await;

    assert_eq!(
        receiver.events().len(),
        7,
        "a deleted endpoint gets nothing more"
    );
    assert!(undelivered(&world).await.is_empty());
}
