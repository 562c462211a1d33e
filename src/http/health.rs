//! Whether this process lives, whether it can serve, and its figures.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use poem::{
    Endpoint, EndpointExt, Request, Response, Route, Server, get, handler,
    http::{StatusCode, header},
    web::{Data, Json},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::{error::Elapsed, timeout};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::mask::mask;

use super::{
    auth,
    listener::{Guarded, Limits},
    problem::{Problem, timestamp},
};
use crate::{clients::voipms::Voipms, clock::Clock, context::Context, db::readiness};

const DATABASE_DEADLINE: Duration = Duration::from_secs(1);

/// What is on the other side of the providers' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Providers {
    Real,
    Sandbox,
}

impl Providers {
    /// As `/readyz` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Providers::Real => "real",
            Providers::Sandbox => "sandbox",
        }
    }
}

struct Probe {
    pool: PgPool,
    clock: Clock,
    providers: Providers,
    metrics: PrometheusHandle,
    metrics_token: Option<SecretString>,
}

/// `/healthz`, `/readyz`, `/metrics`, and `/health` and `/` as older clients know them.
pub fn routes(
    ctx: &Context,
    providers: Providers,
    metrics: PrometheusHandle,
) -> impl Endpoint<Output = Response> + use<> {
    let probe = Arc::new(Probe {
        pool: ctx.pools.console.clone(),
        clock: ctx.clock.clone(),
        providers,
        metrics,
        metrics_token: ctx.config.metrics_token.clone(),
    });
    Route::new()
        .at("/", get(health))
        .at("/health", get(health))
        .at("/healthz", get(healthz))
        .at("/readyz", get(readyz))
        .at("/metrics", get(figures))
        .data(probe)
}

/// `/api/phone/health`, as clients of the phone system know it.
pub fn phone(ctx: &Context) -> impl Endpoint<Output = Response> + use<> {
    get(phone_health).data(ctx.clone())
}

/// The same alone, for a process without the web role, until it is told to stop.
pub async fn serve(
    ctx: Context,
    providers: Providers,
    metrics: PrometheusHandle,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = Guarded::new(listener, Limits::of(&ctx.config.http), Arc::default());
    Server::new(listener)
        .run_with_graceful_shutdown(routes(&ctx, providers, metrics), stop.cancelled(), None)
        .await
}

/// The process answers. Nothing else is asked, so that a broken database restarts no process.
#[handler]
fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[handler]
fn health(probe: Data<&Arc<Probe>>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "success": true,
        "service": "tollkeeper",
        "data": { "status": "ok" },
        "timestamp": timestamp(probe.clock.now()),
    }))
}

/// What there is of the phone system. The names are those that its clients have: `supabase` is the database.
#[handler]
async fn phone_health(ctx: Data<&Context>) -> Response {
    let has_database = matches!(missing_migrations(&ctx.pools.console).await, Ok(Ok(_)));
    let (code, status, phone_system) = match has_database {
        true => (StatusCode::OK, "ok", "available"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "degraded", "unavailable"),
    };
    let body = json!({
        "success": has_database,
        "data": {
            "status": status,
            "phone_system": phone_system,
            "default_method": "webrtc",
            "providers": {
                "supabase": has_database,
                "twilio": ctx.twilio.is_available(),
                "voipms": ctx.voipms.as_ref().is_some_and(Voipms::is_available),
                "webrtc": true,
            },
        },
        "timestamp": timestamp(ctx.clock.now()),
    });
    answer(code, &body)
}

/// Whether requests can be served: the database answers in time and has every migration.
#[handler]
async fn readyz(probe: Data<&Arc<Probe>>) -> Response {
    let reasons = probe.reasons().await;
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let body = json!({
        "status": status,
        "reasons": reasons,
        "providers": probe.providers.as_str(),
        "timestamp": timestamp(probe.clock.now()),
    });
    answer(code, &body)
}

fn answer(code: StatusCode, body: &Value) -> Response {
    let mut response = Response::builder().status(code);
    if code == StatusCode::SERVICE_UNAVAILABLE {
        response = response.header(header::RETRY_AFTER, 2);
    }
    response
        .header(header::CACHE_CONTROL, "no-store")
        .content_type("application/json; charset=utf-8")
        .body(body.to_string())
}

/// Asked for a second at most.
async fn missing_migrations(pool: &PgPool) -> Result<sqlx::Result<Vec<i64>>, Elapsed> {
    let look = async {
        let mut conn = pool.acquire().await?;
        readiness::missing_migrations(&mut conn).await
    };
    timeout(DATABASE_DEADLINE, look).await
}

#[handler]
fn figures(request: &Request, probe: Data<&Arc<Probe>>) -> Result<Response, Problem> {
    let told = auth::credential(request.headers());
    match (&probe.metrics_token, told) {
        (Some(_), None) => return Err(Problem::missing_credentials()),
        (Some(token), Some(told)) if !auth::is_secret(told, token) => {
            return Err(Problem::invalid_credentials());
        }
        _ => {}
    }
    Ok(Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(probe.metrics.render()))
}

impl Probe {
    /// Why this process cannot serve; empty when it can.
    async fn reasons(&self) -> Vec<String> {
        match missing_migrations(&self.pool).await {
            Ok(Ok(missing)) if missing.is_empty() => Vec::new(),
            Ok(Ok(missing)) => vec![format!(
                "the database lacks the migrations {missing:?}: run `tollkeeper migrate`"
            )],
            Ok(Err(error)) => {
                tracing::warn!(error = %mask(&error.to_string()), "not ready");
                vec!["the database does not answer as it should".to_owned()]
            }
            Err(_) => vec!["the database did not answer within 1 s".to_owned()],
        }
    }
}
