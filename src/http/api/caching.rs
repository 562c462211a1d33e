//! What may be kept of an answer, and how its keeper asks whether it still stands.
//!
//! What a GET answers may be kept by the asker's own cache alone, which asks each time whether it is
//! still so, and is told in a few bytes. Nothing else is ever kept.

use std::{collections::BTreeMap, sync::Arc};

use poem::{
    Body, Endpoint, IntoResponse, Request, Response, Result,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::http::family::Family;

const KEPT_BY_THE_ASKER: HeaderValue = HeaderValue::from_static("private, no-cache");
const NEVER_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// What an answer depends on besides its address.
const VARY: HeaderValue = HeaderValue::from_static("Authorization, X-User-Id");
const TAG_BYTES: usize = 16;

/// Tag what a GET answers, and leave its body out when the client has it already. An operation whose
/// answer holds a secret says `no-store` itself, and that stays.
pub async fn answered<E: Endpoint>(routes: Arc<E>, request: Request) -> Result<Response> {
    let is_get = request.method() == Method::GET;
    // Here `uri` has lost the words before the API's own.
    let family = Family::of(request.original_uri().path());
    let known = known_tags(request.headers());
    let mut response = routes.call(request).await?.into_response();
    let says_itself = response.headers().contains_key(header::CACHE_CONTROL);
    if !is_get || response.status() != StatusCode::OK || says_itself {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, NEVER_KEPT);
        return Ok(response);
    }
    let body = response.take_body().into_bytes().await?;
    let tag = tag(family, &body);
    if matches(&known, &tag) {
        response.set_status(StatusCode::NOT_MODIFIED);
        response.headers_mut().remove(header::CONTENT_TYPE);
    } else {
        response.set_body(Body::from(body));
    }
    let headers = response.headers_mut();
    let tag = HeaderValue::try_from(tag).expect("it is plain ASCII");
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, KEPT_BY_THE_ASKER);
    Ok(response)
}

/// Say of an answer that may be kept whose it is. Outside of CORS, which writes its own `Vary` over
/// any other.
pub fn vary(response: &mut Response) {
    if response.headers().contains_key(header::ETAG) {
        response.headers_mut().append(header::VARY, VARY);
    }
}

/// The same on every process and after every restart. Weak: it stands for what is said, not for the
/// bytes it is said in. Enveloped bodies say when they were made, which is no change of what they say.
fn tag(family: Family, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    match members(family, body) {
        Some(mut members) => {
            members.remove("timestamp");
            for (name, value) in members {
                // Neither holds a zero byte: JSON writes it as an escape, and no name has one.
                for part in [name, value.get()] {
                    digest.update(part);
                    digest.update([0]);
                }
            }
        }
        None => digest.update(body),
    }
    let digest = hex::encode(&digest.finalize()[..TAG_BYTES]);
    format!("W/\"{digest}\"")
}

/// The members of an enveloped body, each as the text it is: what is in them is not read.
fn members(family: Family, body: &[u8]) -> Option<BTreeMap<&str, &RawValue>> {
    match family {
        Family::Enveloped => serde_json::from_slice(body).ok(),
        Family::Flat | Family::Titled | Family::Tenant | Family::Bare => None,
    }
}

/// What `If-None-Match` holds, each without the mark of a weak tag: they are compared weakly.
fn known_tags(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::IF_NONE_MATCH).iter();
    // No tag of ours has a comma in it.
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|tag| opaque(tag.trim()).to_owned())
        .collect()
}

fn matches(known: &[String], tag: &str) -> bool {
    known.iter().any(|one| one == "*" || one == opaque(tag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, Route, endpoint::make_sync};

    use super::*;

    fn check(sent: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
        }
        let found = matches(&known_tags(&headers), r#"W/"abc""#);
        assert_eq!(found, expected, "{sent:?}");
    }

    #[test]
    fn tags_are_compared_weakly_and_come_in_lists() {
        check(&[r#"W/"abc""#], true);
        check(&[r#""abc""#], true);
        check(&[r#""x", W/"abc""#], true);
        check(&[r#""x""#, r#"W/"y",W/"abc""#], true);
        check(&["*"], true);
    }

    #[test]
    fn another_tag_is_another() {
        check(&[], false);
        check(&[""], false);
        check(&["abc"], false);
        check(&[r#"W/"abcd""#], false);
        check(&[r#"w/"abc""#], false);
    }

    #[test]
    fn only_the_time_of_an_enveloped_body_is_no_change() {
        let tag = |family, body: &str| tag(family, body.as_bytes());
        let (early, late) = (
            r#"{"data":{"timestamp":1},"timestamp":"08:00"}"#,
            r#"{"data":{"timestamp":1},"timestamp":"09:00"}"#,
        );
        let changed = r#"{"data":{"timestamp":2},"timestamp":"08:00"}"#;

        assert_eq!(tag(Family::Enveloped, early), tag(Family::Enveloped, late));
        assert_ne!(
            tag(Family::Enveloped, early),
            tag(Family::Enveloped, changed)
        );
        assert_ne!(tag(Family::Flat, early), tag(Family::Flat, late));
        assert_ne!(tag(Family::Enveloped, "[1]"), tag(Family::Enveloped, "[2]"));
    }

    #[tokio::test]
    async fn an_answer_that_says_it_is_secret_is_never_kept() {
        let secret = make_sync(|_| "secret".with_header(header::CACHE_CONTROL, "no-store"));
        let routes = Route::new().at("/secret", secret).around(answered);

        let request = Request::builder().uri_str("/secret").finish();
        let response = routes.call(request).await.unwrap();

        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(header::ETAG));
    }
}
