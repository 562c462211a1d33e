//! The client of the apps' endpoints: one request, its status, and nothing else of the answer.
//!
//! Who may register an endpoint chooses what we ask. So only public addresses are asked, by https; no
//! redirect is followed, no proxy of the environment used, and no body of an answer read.

mod places;
mod public_only;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Client, Url};
use tollkeeper_jobs::{deliver_notification::Answer, public_address::is_public};
use uuid::Uuid;

use self::{
    places::Places,
    public_only::{NotPublic, PublicOnly},
};
use super::call;
use crate::config::NotifyConfig;

pub use places::Place;

const URL_MAX: usize = 2000;

/// One for each process; clones share it.
#[derive(Clone)]
pub struct Notifier {
    allow_private: bool,
    timeout: Duration,
    places: Arc<Places>,
    /// Made for the first delivery: most processes make none.
    client: Arc<OnceLock<Client>>,
}

/// One attempt, signed.
pub struct Delivery {
    pub url: String,
    /// The notification's: the same on every attempt.
    pub id: Uuid,
    /// Unix seconds of this attempt.
    pub timestamp: i64,
    pub signature: String,
    pub body: String,
}

impl Notifier {
    /// `slots` is how many jobs of the lane run at once.
    pub fn new(config: &NotifyConfig, slots: usize) -> Notifier {
        Notifier {
            allow_private: config.allow_private,
            timeout: config.timeout,
            places: Arc::new(Places::among(slots)),
            client: Arc::default(),
        }
    }

    /// A place for a delivery to this endpoint, held until it is dropped. None: as many as may be are on
    /// their way, and this one waits in the queue.
    pub fn admit(&self, endpoint_id: Uuid) -> Option<Place> {
        Places::take(&self.places, endpoint_id)
    }

    /// Ask once.
    pub async fn post(&self, delivery: &Delivery) -> Answer {
        let url = match parse(&delivery.url, self.allow_private) {
            Ok(url) => url,
            // It was registered under other settings.
            Err(_) => return Answer::None("its URL is not allowed by the settings"),
        };
        let request = self
            .client()
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", delivery.id.to_string())
            .header("webhook-timestamp", delivery.timestamp)
            .header("webhook-signature", &delivery.signature)
            .body(delivery.body.clone());
        // The body of the answer is left unread: dropping it closes the connection.
        match request.send().await {
            Ok(answer) => Answer::Status {
                status: answer.status().as_u16(),
                retry_after: answer
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
            },
            Err(error) => Answer::None(why(&error)),
        }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let builder = call::builder()
                .timeout(self.timeout)
                .no_proxy()
                // A connection of its own for each, so that every one is to an address just looked at.
                .pool_max_idle_per_host(0);
            let builder = match self.allow_private {
                true => builder,
                false => builder.dns_resolver(Arc::new(PublicOnly)),
            };
            builder
                .build()
                .expect("a client without files or proxies of its own always builds")
        })
    }
}

/// The URL as it is stored, if an endpoint may be there; else why not.
pub fn allowed(url: &str, allow_private: bool) -> Result<String, &'static str> {
    parse(url, allow_private).map(String::from)
}

/// A URL without what may be secret of it: its user and its query.
pub fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "no URL".to_owned();
    };
    if url.query().is_some() {
        url.set_query(Some("…"));
    }
    // Neither can fail for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string().replace("%E2%80%A6", "…")
}

fn parse(url: &str, allow_private: bool) -> Result<Url, &'static str> {
    let parsed = Url::parse(url).map_err(|_| "is not a URL")?;
    match parsed.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("does not begin with https://"),
    }
    let Some(host) = parsed.host_str().filter(|host| !host.is_empty()) else {
        return Err("names no host");
    };
    if url.len() > URL_MAX {
        return Err("is too long");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("carries a user or a password: the signature says who asks");
    }
    if parsed.fragment().is_some() {
        return Err("has a fragment, which no server ever sees");
    }
    // A name is looked up and judged when the connection is made; here are only addresses, in whatever
    // form they were written: parsing has put them into the usual one.
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    match address {
        Ok(address) if !allow_private && !is_public(address) => Err("is not at a public address"),
        _ => Ok(parsed),
    }
}

/// Never the error's own text: it names the URL.
fn why(error: &reqwest::Error) -> &'static str {
    let causes =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
            error.source()
        });
    for cause in causes {
        if cause.is::<NotPublic>() {
            return "its name leads to no public address";
        }
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (_, true) => "it cannot be reached",
        _ => "the connection broke off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_https_url_of_the_internet_is_registered() {
        for good in [
            "https://hooks.example.com/tollkeeper",
            "https://hooks.example.com:8443/a?b=c",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
        ] {
            assert_eq!(allowed(good, false).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "hooks.example.com",
            "ftp://hooks.example.com/",
            "http://hooks.example.com/",
            "https://me@hooks.example.com/",
            "https://me:secret@hooks.example.com/",
            "https://hooks.example.com/#part",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://169.254.169.254./latest",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
        ] {
            assert!(allowed(bad, false).is_err(), "{bad}");
        }
        let at_home = "http://127.0.0.1:8080/hook";
        assert_eq!(allowed(at_home, true).as_deref(), Ok(at_home));
        assert!(allowed("http://me:secret@127.0.0.1/", true).is_err());
    }

    #[test]
    fn a_shown_url_has_no_user_and_no_query() {
        for (url, is) in [
            ("https://a.test/hook", "https://a.test/hook"),
            ("https://me:pw@a.test/hook?token=x", "https://a.test/hook?…"),
            ("nonsense", "no URL"),
        ] {
            assert_eq!(shown(url), is);
        }
    }
}
