//! The web role as a test runs it, over a real socket, and what a provider would send it.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use poem::listener::{Acceptor, Listener, TcpAcceptor};
use reqwest::{Client, RequestBuilder, Response};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollkeeper::{
    config::Config,
    http::{self, api::Options, auth::RefreshRule, health::Providers},
    signature::{stripe, twilio},
};

use super::service::Service;

/// The first secret of the tests' configuration.
pub const STRIPE_SECRET: &str = "whsec_test_tollkeeper";

/// What VoIP.ms' callbacks are believed by.
pub const VOIPMS_TOKEN: &str = "9f1c_SECRET_PATH_TOKEN_OF_CALLBACKS";

/// What the API is told beside the context.
pub fn options() -> Options {
    Options {
        providers: Providers::Sandbox,
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        provision_wait: Duration::from_secs(8),
        jwks_refresh: RefreshRule::default(),
    }
}

pub struct Web {
    pub service: Service,
    pub client: Client,
    pub address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Web {
    pub async fn start() -> Web {
        Web::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Web {
        let service = Service::with(|config| {
            // Patient: a busy machine is no slow database.
            config.http.store_deadline = Duration::from_secs(30);
            change(config);
        })
        .await;
        Web::over(service)
    }

    /// Over a service that is there already.
    pub fn over(service: Service) -> Web {
        Web::told(service, options())
    }

    pub fn told(service: Service, options: Options) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let ended = tokio::spawn(http::serve(
            service.ctx.clone(),
            options,
            listener,
            stop.clone(),
        ));
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Web {
            service,
            client: Client::new(),
            address,
            stop,
            ended,
        }
    }

    pub fn post(&self, target: &str) -> RequestBuilder {
        self.client.post(format!("http://{}{target}", self.address))
    }

    pub fn get(&self, target: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{target}", self.address))
    }

    /// A delivery of Stripe, signed now.
    pub async fn stripe(&self, path: &str, body: &[u8]) -> Response {
        let now = self.service.ctx.clock.now().timestamp();
        self.post(path)
            .header("stripe-signature", stripe::sign(STRIPE_SECRET, body, now))
            .body(body.to_vec())
            .send()
            .await
            .unwrap()
    }

    /// A form of Twilio, signed with this token.
    pub async fn twilio(&self, target: &str, params: &[(&str, &str)], token: &str) -> Response {
        let params: Vec<(String, String)> = params
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let url = format!("{}{target}", self.service.ctx.config.public_base_url);
        self.post(target)
            .header("x-twilio-signature", twilio::sign(token, &url, &params))
            .form(&params)
            .send()
            .await
            .unwrap()
    }

    /// Told to stop; requests that run may end.
    pub fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    pub async fn ended(self) {
        self.ended.await.unwrap().unwrap();
    }
}

/// A folder or file of `tests/it/golden/`.
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/golden")
        .join(path)
}

/// The recorded files of a folder that end so, in the order of their names.
pub fn golden_files(folder: &str, end: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(golden(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.ends_with(end))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {folder}");
    files
}

/// A port of its own for a server that a test plays.
pub async fn listen() -> (TcpAcceptor, SocketAddr) {
    let listener = poem::listener::TcpListener::bind("127.0.0.1:0");
    let acceptor = listener.into_acceptor().await.unwrap();
    let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
    (acceptor, address)
}
