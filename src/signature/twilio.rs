//! `X-Twilio-Signature`: base64 of an HMAC over the public URL and, for a form, its sorted parameters.
//!
//! The key is the auth token of the account that owns the number, a subaccount's its own. There is no
//! timestamp: a replay is caught by the provider's ids. Nothing separates names from values in what
//! is signed (`a=bc` signs like `ab=c`), so a reader must check the form of the ids it relies on.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{SignatureError, is_blank, is_same};

/// What was sent beside the URL.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// A GET: everything is in the URL.
    None,
    /// A form, decoded, empty values kept, in any order.
    Form(&'a [(String, String)]),
    /// Any other body: the URL names its SHA-256 as `bodySHA256`.
    Raw(&'a [u8]),
}

/// One request as its signature sees it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `X-Twilio-Signature`.
    pub header: &'a str,
    /// `X-Twilio-Webhooks-Signature-Settings`, where the sender uses shared keys.
    pub settings: Option<&'a str>,
    /// The public URL: configured scheme and host, raw path, raw query.
    pub url: &'a str,
    pub content: Content<'a>,
}

/// Check a request against every active token; the answer is the index of the one that signed.
pub fn verify(signed: &Signed<'_>, tokens: &[&str]) -> Result<usize, SignatureError> {
    if signed.header.is_empty() {
        return Err(SignatureError::MissingHeader);
    }
    if tokens.iter().all(|token| is_blank(token)) {
        return Err(SignatureError::MissingSecret);
    }
    let algorithm = Algorithm::of(signed.settings)?;
    let params = match signed.content {
        Content::None => String::new(),
        Content::Form(params) => joined(params),
        Content::Raw(body) => {
            check_body_hash(signed.url, body)?;
            String::new()
        }
    };
    let candidates: Vec<String> = spellings(signed.url)
        .into_iter()
        .map(|url| url + &params)
        .collect();
    tokens
        .iter()
        .position(|token| {
            !is_blank(token)
                && candidates
                    .iter()
                    .any(|text| is_same(signed.header, &algorithm.sign(token, text)))
        })
        .ok_or(SignatureError::NoMatchingSignature)
}

/// The header Twilio would send for a form (or, without parameters, for a GET or another body).
pub fn sign(token: &str, url: &str, params: &[(String, String)]) -> String {
    Algorithm::HmacSha1.sign(token, &(url.to_owned() + &joined(params)))
}

#[derive(Clone, Copy)]
enum Algorithm {
    HmacSha1,
    HmacSha256,
}

impl Algorithm {
    /// From `key=…,algorithm=HMAC_SHA256`; HMAC-SHA1 where nothing is said.
    fn of(settings: Option<&str>) -> Result<Algorithm, SignatureError> {
        let named = settings.unwrap_or_default().split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim() == "algorithm").then(|| value.trim())
        });
        match named {
            None | Some("HMAC_SHA1") => Ok(Algorithm::HmacSha1),
            Some("HMAC_SHA256") => Ok(Algorithm::HmacSha256),
            Some(_) => Err(SignatureError::UnknownAlgorithm),
        }
    }

    fn sign(self, token: &str, text: &str) -> String {
        const ANY_LENGTH: &str = "an HMAC takes a key of any length";
        match self {
            Algorithm::HmacSha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect(ANY_LENGTH);
                mac.update(text.as_bytes());
                BASE64_STANDARD.encode(mac.finalize().into_bytes())
            }
            Algorithm::HmacSha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect(ANY_LENGTH);
                mac.update(text.as_bytes());
                BASE64_STANDARD.encode(mac.finalize().into_bytes())
            }
        }
    }
}

/// Names and values, in byte order of names, a repeated pair once, with nothing in between.
fn joined(params: &[(String, String)]) -> String {
    let mut pairs: Vec<(&str, &str)> = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();

    pairs
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect()
}

fn check_body_hash(url: &str, body: &[u8]) -> Result<(), SignatureError> {
    let query = url
        .split_once('?')
        .map(|(_, query)| query)
        .unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "bodySHA256")
        .map(|(_, value)| value.into_owned())
        .ok_or(SignatureError::BodyNotBound)?;
    if is_same(&named, &hex::encode(Sha256::digest(body))) {
        Ok(())
    } else {
        Err(SignatureError::NoMatchingSignature)
    }
}

/// The URL as configured, and with its port left out or the scheme's own port put in: Twilio drops
/// the port for voice over https and keeps it elsewhere. A scheme means the same in capitals.
fn spellings(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return vec![url.to_owned()];
    };
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host_starts = authority.rfind('@').map_or(0, |at| at + 1);
    // A colon inside the brackets of an IPv6 host begins no port.
    let port_starts = authority[host_starts..]
        .rfind(':')
        .map(|at| host_starts + at)
        .filter(|at| !authority[*at..].contains(']'));
    let other_port = match port_starts {
        Some(at) => format!("{scheme}://{}{tail}", &authority[..at]),
        None if scheme == "http" => format!("{scheme}://{authority}:80{tail}"),
        None => format!("{scheme}://{authority}:443{tail}"),
    };
    vec![url.to_owned(), format!("{scheme}://{rest}"), other_port]
}
