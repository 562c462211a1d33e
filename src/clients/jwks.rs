//! Fetches the public keys of an identity provider.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use super::ClientError;

const PROVIDER: &str = "the identity provider";
const DEADLINE: Duration = Duration::from_secs(3);
const BODY_MAX: usize = 256 * 1024;

/// Asks one configured address; never one that a token names.
#[derive(Debug, Clone)]
pub struct JwksClient {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl JwksClient {
    pub fn new(url: String) -> JwksClient {
        // Whoever builds a client first installs the one TLS provider of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without certificates of its own builds");
        JwksClient { http, url }
    }

    /// Every key that reads as one; a key of a kind unknown here does not spoil the others.
    pub async fn fetch(&self) -> Result<Vec<Jwk>, ClientError> {
        let mut response = self.http.get(&self.url).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(ClientError::Unknown {
                provider: PROVIDER,
                status: Some(response.status().as_u16()),
                why: "it did not answer with its keys".to_owned(),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_MAX {
                return Err(malformed("its key set is larger than 256 KiB"));
            }
        }
        let set: KeySet =
            serde_json::from_slice(&body).map_err(|_| malformed("its answer is no key set"))?;
        Ok(set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect())
    }
}

fn unreachable(error: reqwest::Error) -> ClientError {
    ClientError::Unreachable {
        provider: PROVIDER,
        why: error.without_url().to_string(),
    }
}

fn malformed(why: &str) -> ClientError {
    ClientError::Unknown {
        provider: PROVIDER,
        status: None,
        why: why.to_owned(),
    }
}
