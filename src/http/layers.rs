//! What every request passes through: an id, the access log, limits on its body, and one shape for
//! the errors that no endpoint answers itself.

use std::{any::Any, sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, EndpointExt, IntoResponse, PathPattern, Request, Response, Result,
    error::ReadBodyError,
    http::{StatusCode, header},
    middleware::{CatchPanic, RequestId, ReuseId, SetHeader},
};
use tokio::time::timeout;

use super::{access_log, family::Family, listener::Places, problem::Problem, receiver};
use crate::{clock::Clock, context::Context};

/// In bytes, for everything that is not Stripe's.
const BODY_MAX: usize = 64 * 1024;
/// The same for a thousand uses in one report.
const REPORT_MAX: usize = 512 * 1024;

/// The routes as the world sees them. The order matters: the last one named is the first one passed.
pub fn around<Routes>(
    routes: Routes,
    ctx: &Context,
    places: &Arc<Places>,
) -> impl Endpoint<Output = Response> + use<Routes>
where
    Routes: Endpoint + 'static,
{
    let body_deadline = ctx.config.http.body_deadline;
    let places = places.clone();
    let (clock, broken) = (ctx.clock.clone(), ctx.clock.clone());
    routes
        .around(move |next, request| with_whole_body(next, request, body_deadline, places.clone()))
        .around(move |next, request| render(next, request, clock.clone()))
        .with(
            CatchPanic::new().with_handler(move |_: Box<dyn Any + Send>| {
                // The panic's own words were logged where it happened, and may hold anything.
                Problem::internal().into_response(Family::Enveloped, broken.now())
            }),
        )
        // What people wrote stays what its type says: no browser guesses another one.
        .with(SetHeader::new().overriding("x-content-type-options", "nosniff"))
        .around(access_log::logged)
        .with(RequestId::new().reuse_id(ReuseId::Use))
        .around(access_log::with_plain_id)
}

/// Read the body before anything else looks at it, so that no endpoint can be held by a slow one.
async fn with_whole_body<E: Endpoint>(
    next: Arc<E>,
    mut request: Request,
    deadline: Duration,
    places: Arc<Places>,
) -> Result<Response> {
    let limit = match request.uri().path() {
        path if receiver::is_stripe(path) => receiver::STRIPE_BODY_MAX,
        "/api/subscription/track-usage" => REPORT_MAX,
        _ => BODY_MAX,
    };
    // What says itself that it is too large is not waited for.
    if declared(&request).is_some_and(|length| length > limit as u64) {
        return Err(ReadBodyError::PayloadTooLarge.into());
    }
    let body = request.take_body().into_bytes_limit(limit);
    let body = timeout(deadline, body).await.map_err(|_| {
        let status = StatusCode::REQUEST_TIMEOUT;
        Problem::new(
            status,
            "BODY_TOO_SLOW",
            "The body of the request took too long",
        )
    })??;
    request.set_body(Body::from(body));
    // From here on it is us who are slow.
    let peer = request.remote_addr().as_socket_addr().copied();
    let _owed = peer.map(|peer| places.owe(peer, Clock::instant));
    next.call(request).await.map(IntoResponse::into_response)
}

/// How long its body says it is, in bytes.
fn declared(request: &Request) -> Option<u64> {
    request
        .header(header::CONTENT_LENGTH.as_str())?
        .parse()
        .ok()
}

/// Every error becomes a body in the shape of its path.
pub(super) async fn render<E: Endpoint>(
    routes: Arc<E>,
    request: Request,
    clock: Clock,
) -> Result<Response> {
    let family = Family::of(request.uri().path());
    let error = match routes.call(request).await {
        Ok(response) => return Ok(response.into_response()),
        Err(error) => error,
    };
    let pattern = error.data::<PathPattern>().cloned();
    let mut response = match Problem::of_error(&error) {
        Some(problem) => problem.into_response(family, clock.now()),
        None => error.into_response(),
    };
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    Ok(response)
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
        let app = routes.with(CatchPanic::new().with_handler(|_: Box<dyn Any + Send>| {
            Problem::internal().into_response(Family::Enveloped, Clock::default().now())
        }));

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
