//! What surrounds every API request: budgets, CORS, error bodies, metrics.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, PathPattern, Request, Response,
    http::{Method, header},
    middleware::Cors,
};

use super::caching;

use crate::{
    clock::Clock,
    config::Config,
    http::{
        access_log,
        auth::Authenticator,
        family::Family,
        layers::rendered,
        rate_limits::{RateLimits, Tally},
    },
};

/// The routes as they are served.
pub fn wrap<E: Endpoint + 'static>(
    routes: E,
    authenticator: Authenticator,
    config: &Config,
    clock: Clock,
) -> impl Endpoint<Output = Response> + use<E> {
    let given = Arc::new(Given {
        authenticator: Arc::new(authenticator),
        limits: Arc::new(RateLimits::new(&config.rate_limits)),
        clock: clock.clone(),
    });
    routes
        .around(move |routes, request| counted(routes, request, given.clone()))
        // Without an allow-list no answer carries CORS headers, and browsers keep other origins out.
        .with_if(!config.http.cors_origins.is_empty(), cors(config))
        .around(move |routes, request| measured(routes, request, clock.clone()))
}

/// What every operation finds with its request.
struct Given {
    authenticator: Arc<Authenticator>,
    limits: Arc<RateLimits>,
    clock: Clock,
}

/// Let each request carry who can tell its asker and the tally of what they asked, and say in its answer what came of
/// that: in a refusal too.
async fn counted<E: Endpoint>(
    routes: Arc<E>,
    mut request: Request,
    given: Arc<Given>,
) -> poem::Result<Response> {
    let family = Family::of(request.uri().path());
    let tally = Arc::new(Tally::of(given.limits.clone()));
    request.set_data(tally.clone());
    request.set_data(given.authenticator.clone());
    let mut response = rendered(routes.call(request).await, family, &given.clock);
    tally.tell(response.headers_mut());
    Ok(response)
}

/// An origin that is not on the list is refused before anything is done for it. Credentials are
/// only for listed origins, never for `*`.
fn cors(config: &Config) -> Cors {
    let origins = config.http.cors_origins.clone();
    let is_open = origins.iter().any(|origin| origin == "*");
    let own = config.public_base_url.clone();
    Cors::new()
        .allow_origins_fn(move |origin| {
            is_open || origin == own || origins.iter().any(|listed| listed == origin)
        })
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "x-request-id",
            "x-user-id",
        ])
        .expose_headers([
            header::ETAG.as_str(),
            header::RETRY_AFTER.as_str(),
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
        ])
        .allow_credentials(!is_open)
}

/// Counts and times requests by route; the route is the pattern, so no user's id becomes a label.
async fn measured<E: Endpoint>(
    routes: Arc<E>,
    request: Request,
    clock: Clock,
) -> poem::Result<Response> {
    let family = Family::of(request.uri().path());
    let method = access_log::method(request.method());
    let started = Clock::instant();
    let mut response = rendered(routes.call(request).await, family, &clock);
    caching::vary(&mut response);
    let route = match response.data::<PathPattern>() {
        Some(pattern) if !pattern.0.is_empty() => pattern.0.to_string(),
        _ => "none".to_owned(),
    };
    let status = response.status().as_u16().to_string();
    metrics::counter!("tollkeeper_api_requests_total",
        "route" => route.clone(), "method" => method, "status" => status)
    .increment(1);
    metrics::histogram!("tollkeeper_api_request_seconds", "route" => route, "method" => method)
        .record(started.elapsed().as_secs_f64());
    Ok(response)
}
