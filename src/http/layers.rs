//! What every request passes through: an id, the access log, limits on its body, and one shape for
//! the errors that no endpoint answers itself.

use std::{any::Any, sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, EndpointExt, Error, IntoResponse, Request, Response, Result,
    error::{MethodNotAllowedError, NotFoundError},
    http::StatusCode,
    middleware::{CatchPanic, RequestId, ReuseId},
};
use serde_json::json;
use tokio::time::timeout;

use super::receiver;
use crate::clock::Clock;

/// In bytes, for everything that is not Stripe's.
const BODY_MAX: usize = 64 * 1024;

/// The routes as the world sees them. The order matters: the last one named is the first one passed.
pub fn around<Routes>(
    routes: Routes,
    clock: &Clock,
    body_deadline: Duration,
) -> impl Endpoint<Output = Response> + use<Routes>
where
    Routes: Endpoint + 'static,
{
    let (unknown, unsupported, broken) = (clock.clone(), clock.clone(), clock.clone());
    let clock = clock.clone();
    routes
        .around(move |next, request| {
            let clock = clock.clone();
            async move { with_whole_body(next, request, body_deadline, &clock).await }
        })
        .catch_error(move |_: NotFoundError| {
            let response = problem(
                &unknown,
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "there is no such path",
            );
            async move { response }
        })
        .catch_error(move |_: MethodNotAllowedError| {
            let response = problem(
                &unsupported,
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "this path does not take that method",
            );
            async move { response }
        })
        .with(
            CatchPanic::new().with_handler(move |_: Box<dyn Any + Send>| {
                // The panic's own words were logged where it happened, and may hold anything.
                problem(
                    &broken,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "INTERNAL_ERROR",
                    "something went wrong on our side",
                )
            }),
        )
        .around(logged)
        .with(RequestId::new().reuse_id(ReuseId::Use))
}

/// Read the body before anything else looks at it, so that no endpoint can be held by a slow one.
async fn with_whole_body<E: Endpoint>(
    next: Arc<E>,
    mut request: Request,
    deadline: Duration,
    clock: &Clock,
) -> Result<Response> {
    let limit = if receiver::is_stripe(request.uri().path()) {
        receiver::STRIPE_BODY_MAX
    } else {
        BODY_MAX
    };
    let body = request.take_body().into_bytes_limit(limit);
    match timeout(deadline, body).await {
        Ok(Ok(body)) => request.set_body(Body::from(body)),
        Ok(Err(error)) => {
            let error = Error::from(error);
            return Ok(if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                problem(
                    clock,
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "BODY_TOO_LARGE",
                    "the body is too large",
                )
            } else {
                problem(
                    clock,
                    StatusCode::BAD_REQUEST,
                    "BODY_UNREADABLE",
                    "the body cannot be read",
                )
            });
        }
        Err(_) => {
            return Ok(problem(
                clock,
                StatusCode::REQUEST_TIMEOUT,
                "BODY_TOO_SLOW",
                "the body took too long",
            ));
        }
    }
    next.call(request).await.map(IntoResponse::into_response)
}

/// One line for each request: no query, no token, no number.
async fn logged<E: Endpoint>(next: Arc<E>, request: Request) -> Result<Response> {
    let method = request.method().clone();
    let path = tollkeeper_jobs::mask::mask(receiver::loggable(request.uri().path()));
    let started = Clock::instant();
    let response = match next.call(request).await {
        Ok(response) => response.into_response(),
        Err(error) => error.into_response(),
    };
    let status = response.status().as_u16();
    let millis = started.elapsed().as_millis() as u64;
    metrics::histogram!("tollkeeper_http_request_seconds", "status" => status.to_string())
        .record(started.elapsed());
    tracing::info!(%method, path, status, millis, "{method} {path} {status}");
    Ok(response)
}

fn problem(clock: &Clock, status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({
        "success": false,
        "error": { "code": code, "message": message, "statusCode": status.as_u16() },
        "message": message,
        "timestamp": clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    });
    Response::builder()
        .status(status)
        .content_type("application/json")
        .body(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::{Route, endpoint::make};

    #[tokio::test]
    async fn a_panic_is_answered_and_tells_nothing() {
        let routes = Route::new().at(
            "/broken",
            make(async |_| -> Result<()> { panic!("a secret") }),
        );
        let app = around(routes, &Clock::default(), Duration::from_secs(1));

        let request = Request::builder().uri_str("/broken").finish();
        let response = app.call(request).await.unwrap();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().into_string().await.unwrap();
        assert!(
            body.contains("INTERNAL_ERROR") && !body.contains("secret"),
            "{body}"
        );
    }
}
