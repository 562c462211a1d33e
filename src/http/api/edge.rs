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
        layers::render,
        rate_limits::{RateLimits, counted},
    },
};

/// The routes as they are served.
pub fn wrap<E: Endpoint + 'static>(
    routes: E,
    config: &Config,
    clock: Clock,
) -> impl Endpoint<Output = Response> + use<E> {
    let inner_clock = clock.clone();
    let limits = Arc::new(RateLimits::new(&config.rate_limits));
    routes
        .around(move |routes, request| render(routes, request, inner_clock.clone()))
        .around(move |routes, request| counted(routes, request, limits.clone()))
        // Without an allow-list no answer carries CORS headers, and browsers keep other origins out.
        .with_if(!config.http.cors_origins.is_empty(), cors(config))
        .around(caching::varying)
        .around(move |routes, request| render(routes, request, clock.clone()))
        .around(measure)
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
async fn measure<E: Endpoint<Output = Response>>(
    routes: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let method = access_log::method(request.method());
    let started = Clock::instant();
    let response = routes.call(request).await?;
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
