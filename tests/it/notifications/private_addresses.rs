//! An endpoint is somewhere on the internet, or it is not asked at all.

use std::{cell::Cell, io::ErrorKind, net::TcpListener};

use tollkeeper::worker::Register;

use super::{Teller, threshold};
use crate::support::until;

/// What failed, for an endpoint that was registered under other settings, or whose name leads elsewhere by
/// now; and whether anybody connected to this machine.
async fn asked(url: impl Fn(u16) -> String, allow_private: bool) -> (String, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let teller = Teller::with(|config| config.notify.allow_private = allow_private).await;
    teller.app(&[]).await;
    sqlx::query("update notification_endpoints set url = $1")
        .bind(url(port))
        .execute(&teller.service.db)
        .await
        .unwrap();
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    let is_connected = Cell::new(false);
    until("the delivery has failed three times", async || {
        match listener.accept() {
            // Hung up at once.
            Ok(_) => is_connected.set(true),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        teller
            .service
            .value::<i64>(
                "select count(*) from queue.jobs where kind = 'deliver_notification' and failures >= 3",
            )
            .await
            == 1
    })
    .await;
    worker.stop().await;

    let note = teller
        .service
        .value("select note from queue.jobs where kind = 'deliver_notification'")
        .await;
    (note, is_connected.get() || listener.accept().is_ok())
}

#[tokio::test]
async fn no_private_address_is_ever_asked() {
    for host in ["127.0.0.1", "2130706433", "[::ffff:7f00:1]"] {
        let (note, is_connected) = asked(|port| format!("https://{host}:{port}/"), false).await;
        assert_eq!(note, "its URL is not allowed by the settings", "{host}");
        assert!(!is_connected, "{host}");
    }
    // A name is looked up when the connection is made, and what it leads to then is what counts.
    let (note, is_connected) = asked(|port| format!("https://localhost:{port}/"), false).await;
    assert_eq!(note, "its name leads to no public address");
    assert!(!is_connected);
}

#[tokio::test]
async fn private_addresses_are_asked_where_the_settings_say_so() {
    let (note, is_connected) = asked(|port| format!("https://localhost:{port}/"), true).await;
    assert!(is_connected, "{note}");
}
