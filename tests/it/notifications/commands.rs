//! Endpoints and notifications as an operator has them, on the command line.

use std::process::Command;

use serde_json::Value;
use sqlx::ConnectOptions;
use tollkeeper::worker::Register;
use tollkeeper_jobs::NewNotification;
use uuid::Uuid;

use super::{
    Teller,
    mail::{ADDRESS, Office, trial},
    threshold,
};
use crate::support::subscriber::Subscriber;

/// The key that the service of the tests seals with.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

impl Teller {
    fn command(&self, arguments: &[&str]) -> Command {
        let url = self.service.db.connect_options().to_url_lossy();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        command
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", url.as_str())
            .env("ENCRYPTION_KEY", KEY)
            .env("NOTIFY_ALLOW_PRIVATE", "true")
            .env("USER", "ann");
        command
    }

    /// What a command prints, as a document.
    fn said(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(arguments);
        let output = command.args(["--output", "json"]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command prints for people, and what it refuses with.
    fn read(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    }
}

#[tokio::test]
async fn a_notification_is_shown_with_its_mail_and_without_the_address() {
    let office = Office::new().await;
    let id = office.tell(trial()).await.to_string();

    let shown = office.teller.said(&["notifications", "show", &id]);
    let (_, read) = office.teller.read(&["notifications", "show", &id]);

    assert!(shown["mailed_at"].is_string(), "{shown}");
    assert_eq!(shown["deliveries"][0]["kind"], "notify_customer");
    assert_eq!(shown["deliveries"][0]["state"], "done");
    assert!(read.contains("\n  mailed     2"), "{read}");
    assert!(!read.contains(ADDRESS), "{read}");
}

#[tokio::test]
async fn an_operator_registers_tries_and_renews_an_endpoint() {
    let teller = Teller::new().await;
    let app = Subscriber::start().await;
    let worker = teller.service.work(Register::all());
    let url = format!("{}?token=hunter2", app.url);

    let added = teller.said(&["endpoints", "add", &url, "--types", "usage.threshold"]);
    let (id, secret) = (text(&added, "endpoint_id"), text(&added, "secret"));
    let listed = teller.said(&["endpoints", "list"]);
    assert_eq!(listed[0]["endpoint_id"], id);
    assert_eq!(listed[0]["types"][0], "usage.threshold");
    assert!(!listed.to_string().contains("hunter2"), "{listed}");
    assert!(!listed.to_string().contains("sealed"), "{listed}");

    let tried = teller.said(&["endpoints", "test", &id]);
    teller.service.drain().await;
    assert!(app.told()[0].is_signed_by(&secret));
    let shown = teller.said(&["notifications", "show", &text(&tried, "notification_id")]);
    assert_eq!(shown["type"], "test.ping");
    assert_eq!(shown["deliveries"][0]["state"], "done");

    let renewed = teller.said(&["endpoints", "rotate", &id, "--why", "it was in a chat"]);
    assert_ne!(text(&renewed, "secret"), secret);
    teller.said(&["endpoints", "disable", &id, "--why", "moving"]);
    let (_, list) = teller.read(&["endpoints", "list"]);
    assert!(list.contains("disabled: by ann: moving"), "{list}");
    let (is_done, refusal) = teller.read(&["endpoints", "test", &id]);
    assert!(!is_done && refusal.contains("is disabled"), "{refusal}");
    teller.said(&["endpoints", "enable", &id]);
    teller.said(&["endpoints", "remove", &id]);
    let (_, list) = teller.read(&["endpoints", "list"]);
    assert_eq!(list, "there are no endpoints\n");
    worker.stop().await;

    let deeds: i64 = teller
        .service
        .value("select count(*) from queue.operator_actions where who = 'ann'")
        .await;
    assert_eq!(deeds, 6);
}

#[tokio::test]
async fn an_operator_finds_a_notification_and_sends_it_again() {
    let teller = Teller::new().await;
    let app = teller.app(&[]).await;
    let worker = teller.service.work(Register::all());
    let of_ben = NewNotification {
        account_id: "ben".into(),
        ..threshold(80)
    };
    let ids = teller.announce(&[threshold(80), of_ben]).await;
    teller.service.drain().await;
    let id = ids[0].to_string();

    let all = teller.said(&["notifications", "list", "--type", "usage.threshold"]);
    let of_ann = teller.said(&["notifications", "list", "--account", "ann"]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(of_ann[0]["notification_id"], id);
    let endpoint = app.endpoint_id.to_string();
    teller.said(&["notifications", "replay", &id, "--endpoint", &endpoint]);
    teller.service.drain().await;
    let (_, story) = teller.read(&["notifications", "show", &id]);
    worker.stop().await;

    assert_eq!(story.matches("  done").count(), 2, "{story}");
    assert_eq!(app.subscriber.told().len(), 3);
    let (is_done, refusal) = teller.read(&["notifications", "show", &Uuid::nil().to_string()]);
    assert!(!is_done && refusal.contains("there is no notification"));
}

fn text(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap().to_owned()
}
