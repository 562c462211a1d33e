//! What is sent empty is left out, as the systems before this one took it: a body of no bytes is an object without
//! members, and a parameter without a value is none.

use std::sync::Arc;

use poem::{
    Endpoint, Request, Result,
    http::{HeaderValue, Method, Uri, header},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Hand a request on as if nothing in it were empty.
pub async fn tidied<E: Endpoint>(routes: Arc<E>, mut request: Request) -> Result<E::Output> {
    let body = request.take_body();
    if body.is_empty() && matches!(*request.method(), Method::POST | Method::PUT) {
        request.headers_mut().insert(header::CONTENT_TYPE, JSON);
        request.set_body("{}");
    } else {
        request.set_body(body);
    }
    if let Some(uri) = without_empty(request.uri()) {
        *request.uri_mut() = uri;
    }
    routes.call(request).await
}

/// None: there is nothing to leave out.
fn without_empty(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    let is_given = |pair: &&str| {
        pair.split_once('=')
            .is_some_and(|(_, value)| !value.is_empty())
    };
    if query.split('&').all(|pair| is_given(&pair)) {
        return None;
    }
    let given: Vec<&str> = query.split('&').filter(is_given).collect();
    let mut parts = uri.clone().into_parts();
    let place = format!("{}?{}", uri.path(), given.join("&"));
    parts.path_and_query = Some(place.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_without_a_value_is_none() {
        for (given, tidy) in [
            ("/calls?limit=&cursor=", Some("/calls?")),
            ("/calls?limit=&userId=ann&type", Some("/calls?userId=ann")),
            ("/calls?userId=ann&note=a%20b%3D", None),
            ("/calls?", Some("/calls?")),
            ("/calls", None),
        ] {
            let uri: Uri = given.parse().unwrap();
            let found = without_empty(&uri).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), tidy, "{given}");
        }
    }
}
