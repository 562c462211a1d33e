//! What every request passes through: an id, the access log, limits on its body, and one shape for
//! the errors that no endpoint answers itself.

use std::{any::Any, sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, EndpointExt, IntoResponse, PathPattern, Request, Response, Result,
    error::ReadBodyError,
    http::{HeaderValue, StatusCode, header},
    middleware::CatchPanic,
};
use tokio::time::timeout;
use tracing::Instrument;

use super::{access_log, family::Family, listener::Places, problem::Problem, receiver};
use crate::{clock::Clock, context::Context};

/// In bytes, for everything that is not Stripe's.
const BODY_MAX: usize = 64 * 1024;
/// The same for a thousand uses in one report.
const REPORT_MAX: usize = 512 * 1024;

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The routes as the world sees them.
pub fn around<Routes>(
    routes: Routes,
    ctx: &Context,
    places: &Arc<Places>,
) -> impl Endpoint<Output = Response> + use<Routes>
where
    Routes: Endpoint + 'static,
{
    let rules = Arc::new(Rules {
        clock: ctx.clock.clone(),
        body_deadline: ctx.config.http.body_deadline,
        places: places.clone(),
    });
    let clock = ctx.clock.clone();
    routes
        .around(move |next, request| answered(next, request, rules.clone()))
        .with(
            CatchPanic::new().with_handler(move |_: Box<dyn Any + Send>| {
                // The panic's own words were logged where it happened, and may hold anything.
                Problem::internal().into_response(Family::Enveloped, clock.now())
            }),
        )
        .around(logged)
}

/// Outermost: every request has an id and a line in the log, whatever becomes of it.
async fn logged<E: Endpoint>(next: Arc<E>, request: Request) -> Result<Response> {
    let entry = access_log::Entry::of(&request);
    let answered = next.call(request).instrument(entry.span()).await;
    let mut response =
        answered.map_or_else(|error| error.into_response(), E::Output::into_response);
    entry.write(&mut response);
    // What people wrote stays what its type says: no browser guesses another one.
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    Ok(response)
}

struct Rules {
    clock: Clock,
    body_deadline: Duration,
    places: Arc<Places>,
}

/// Its whole body is there before anything else looks at the request, and every error has a body in the shape of its
/// path.
async fn answered<E: Endpoint>(
    next: Arc<E>,
    mut request: Request,
    rules: Arc<Rules>,
) -> Result<Response> {
    let family = Family::of(request.uri().path());
    if let Err(error) = read_body(&mut request, rules.body_deadline).await {
        return Ok(rendered(Err::<(), _>(error), family, &rules.clock));
    }
    // From here on it is us who are slow.
    let peer = request.remote_addr().as_socket_addr().copied();
    let _owed = peer.map(|peer| rules.places.owe(peer, Clock::instant));
    Ok(rendered(next.call(request).await, family, &rules.clock))
}

/// So that no endpoint can be held by a slow one.
async fn read_body(request: &mut Request, deadline: Duration) -> Result<()> {
    let limit = match request.uri().path() {
        path if receiver::is_stripe(path) => receiver::STRIPE_BODY_MAX,
        "/api/subscription/track-usage" => REPORT_MAX,
        _ => BODY_MAX,
    };
    // What says itself that it is too large is not waited for.
    if declared(request).is_some_and(|length| length > limit as u64) {
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
    Ok(())
}

/// How long its body says it is, in bytes.
fn declared(request: &Request) -> Option<u64> {
    request
        .header(header::CONTENT_LENGTH.as_str())?
        .parse()
        .ok()
}

/// What was answered; an error as a body of this shape, with the route that it came from.
pub(super) fn rendered<T: IntoResponse>(
    answered: Result<T>,
    family: Family,
    clock: &Clock,
) -> Response {
    let error = match answered {
        Ok(answer) => return answer.into_response(),
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
    response
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
