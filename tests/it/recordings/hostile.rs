//! No address that a callback or an answer names is ever asked.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tollkeeper::sandbox::{Fault, When};

use super::{SAID, house_of_ann, recorded, state, states};

/// Ways to write down an address so that somebody goes there, or takes it for the provider's.
fn hostile_urls(canary: &str) -> Vec<String> {
    let port = canary.rsplit_once(':').unwrap().1;
    let hosts = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f.1:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("127.1:{port}"),
        format!("0.0.0.0:{port}"),
        format!("api.twilio.com@127.0.0.1:{port}"),
        format!("api.twilio.com:443@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}#api.twilio.com"),
        format!("127.0.0.1:{port}?api.twilio.com"),
        format!("127.0.0.1:{port}\\@api.twilio.com"),
        format!("127.0.0.1:{port}%2f@api.twilio.com"),
        format!("127.0.0.1:{port}/.mp3\r\nHost: api.twilio.com"),
        format!("１２７.0.0.1:{port}"),
        format!("127。0。0。1:{port}"),
    ];
    let path = "/2010-04-01/Accounts/AC0/Recordings/RE0";
    let mut urls = Vec::new();
    for host in &hosts {
        for scheme in ["http://", "https://", "HTTP://"] {
            urls.push(format!("{scheme}{host}{path}"));
        }
    }
    urls.extend([
        format!("//127.0.0.1:{port}{path}"),
        format!("/\\127.0.0.1:{port}{path}"),
        format!("127.0.0.1:{port}"),
        format!("gopher://127.0.0.1:{port}/_GET"),
        format!("ftp://127.0.0.1:{port}/"),
        "file:///etc/passwd".into(),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fd00:ec2::254]/latest".into(),
        "../../../../etc/passwd".into(),
        "javascript:alert(1)".into(),
        "data:audio/mpeg;base64,AAAA".into(),
        "\u{0}".into(),
        "x".repeat(2000),
        String::new(),
    ]);
    urls
}

/// Listens, counts who comes, and tells them nothing.
struct Canary {
    address: String,
    visitors: Arc<AtomicUsize>,
}

impl Canary {
    fn start() -> Canary {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let visitors = Arc::<AtomicUsize>::default();
        let seen = visitors.clone();
        std::thread::spawn(move || {
            while listener.accept().is_ok() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        Canary { address, visitors }
    }
}

#[tokio::test]
async fn no_address_in_a_callback_or_a_redirect_is_asked() {
    let canary = Canary::start();
    let address = &canary.address;
    let (house, web, phone) = house_of_ann(|config| config.speech.analysis = None).await;
    let urls = hostile_urls(address);
    assert!(urls.len() >= 60, "{}", urls.len());
    for url in &urls {
        let recording = recorded(&house, &phone, 1, SAID);
        phone.recorded(&web, &recording, "completed", url).await;
    }
    house.settle().await;
    assert_eq!(
        states(&house).await,
        vec![state("completed", "pending"); urls.len()]
    );

    // The provider itself names another place for the audio, and for a recording.
    let recording = recorded(&house, &phone, 1, SAID);
    let elsewhere = Fault::Redirect {
        location: format!("http://{address}/{}.mp3", recording.sid),
    };
    house.strike("GET", ".mp3", When::Always, elsewhere);
    phone
        .recorded(&web, &recording, "completed", &urls[0])
        .await;
    house.settle().await;
    let why: String = house
        .service
        .value("select transcript_error from recordings where transcript = 'failed'")
        .await;
    assert!(why.contains("status 302"), "{why}");
    assert_eq!(canary.visitors.load(Ordering::SeqCst), 0, "somebody came");
}
