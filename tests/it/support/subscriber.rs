//! An app that is told what happened: a real HTTP server that remembers every request and answers as it is
//! told to, and checks signatures by the published algorithm alone.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use poem::{EndpointExt, Request, Response, Route, handler, http::StatusCode, web::Data};
use sha2::Sha256;

use super::web::listen;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Told {
    pub path: String,
    pub headers: poem::http::HeaderMap,
    pub body: String,
}

impl Told {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// What the body says.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of its signatures is by this secret, as Standard Webhooks 1.0 says.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{at}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        let signatures = self.header("webhook-signature").split(' ');
        signatures
            .into_iter()
            .any(|signature| signature == expected)
    }
}

/// How it answers from now on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// None: it never answers.
    pub status: Option<u16>,
    pub retry_after: Option<&'static str>,
    pub location: Option<&'static str>,
}

pub fn answers(status: u16) -> Manner {
    Manner {
        status: Some(status),
        ..Manner::default()
    }
}

pub struct Subscriber {
    pub url: String,
    told: Mutex<Vec<Told>>,
    manner: Mutex<Manner>,
    open: AtomicUsize,
    open_most: AtomicUsize,
}

#[handler]
async fn take(request: &Request, body: String, app: Data<&Arc<Subscriber>>) -> Response {
    app.told.lock().unwrap().push(Told {
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
        body,
    });
    let open = app.open.fetch_add(1, Ordering::SeqCst) + 1;
    app.open_most.fetch_max(open, Ordering::SeqCst);
    let manner = *app.manner.lock().unwrap();
    let Some(status) = manner.status else {
        tokio::time::sleep(Duration::from_secs(600)).await;
        return StatusCode::OK.into();
    };
    app.open.fetch_sub(1, Ordering::SeqCst);
    let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in [
        ("retry-after", manner.retry_after),
        ("location", manner.location),
    ] {
        if let Some(value) = value {
            answer = answer.header(name, value);
        }
    }
    answer.finish()
}

impl Subscriber {
    /// One that answers 200.
    pub async fn start() -> Arc<Subscriber> {
        let (acceptor, address) = listen().await;
        let app = Arc::new(Subscriber {
            url: format!("http://{address}/hook"),
            told: Mutex::default(),
            manner: Mutex::new(answers(200)),
            open: AtomicUsize::new(0),
            open_most: AtomicUsize::new(0),
        });
        let routes = Route::new().at("/*path", take).data(app.clone());
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
        app
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Every request so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// How many requests it has held open at once.
    pub fn open_most(&self) -> usize {
        self.open_most.load(Ordering::SeqCst)
    }
}
