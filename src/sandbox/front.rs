//! The HTTP side: reads a request, has it answered, or cuts the line.

use std::{sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, Request as HttpRequest, Response,
    http::{StatusCode, header},
};

use super::{
    Sandbox, Shared, control,
    line::Lines,
    wire::{Params, Provider, Reply, Request},
    world::{Beginning, End},
};

const BODY_MAX: usize = 1024 * 1024;
/// Recordings come here.
const SPEECH_BODY_MAX: usize = 64 * 1024 * 1024;

/// All the sandbox's paths: `/stripe/…`, `/twilio/…`, `/speech/…`, `/voipms/…` and `/sandbox/…`.
pub(super) struct Front {
    pub sandbox: Sandbox,
    pub lines: Lines,
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, mut http: HttpRequest) -> poem::Result<Response> {
        let client = http.remote_addr().as_socket_addr().copied();
        let path = http.uri().path().to_owned();
        let body_max = match path.starts_with("/speech/") {
            true => SPEECH_BODY_MAX,
            false => BODY_MAX,
        };
        let body = http.take_body().into_bytes_limit(body_max).await?;
        if let Some(path) = path.strip_prefix("/sandbox/") {
            return Ok(control::answer(&self.sandbox, http.method(), path, &body));
        }
        let provider = if path.starts_with("/stripe/") {
            Provider::Stripe
        } else if path.starts_with("/twilio/") {
            Provider::Twilio
        } else if path.starts_with("/speech/") {
            Provider::Speech
        } else if path.starts_with("/voipms/") {
            Provider::Voipms
        } else {
            return Ok(StatusCode::NOT_FOUND.into());
        };
        let request = read(provider, &http, &path, &body);
        // A task of its own: like a provider's, it ends even when the client hangs up.
        let serving = tokio::spawn(serve(self.sandbox.shared.clone(), request));
        match serving.await {
            Ok((call, End::Answer(reply))) => {
                self.sandbox
                    .shared
                    .world()
                    .audit
                    .set_status(call, reply.status);
                Ok(response(reply))
            }
            Ok((_, End::Cut)) => {
                if let Some(client) = client {
                    self.lines.cut(&client);
                }
                Ok(StatusCode::SERVICE_UNAVAILABLE.into())
            }
            Err(_) => Ok(StatusCode::INTERNAL_SERVER_ERROR.into()),
        }
    }
}

async fn serve(shared: Arc<Shared>, request: Request) -> (usize, End) {
    let (call, beginning) = shared.world().begin(&request, shared.clock.now());
    match beginning {
        Beginning::Over(end) => (call, end),
        Beginning::Begun { after, fault } => {
            if after > Duration::ZERO {
                tokio::time::sleep(after).await;
            }
            let end = shared
                .world()
                .carry_out(call, &request, fault.as_ref(), shared.clock.now());
            (call, end)
        }
    }
}

fn read(provider: Provider, http: &HttpRequest, path: &str, body: &[u8]) -> Request {
    let header = |name: &str| http.header(name).map(str::to_owned);
    let mut params = Params::default();
    params.extend_encoded(http.uri().query().unwrap_or_default().as_bytes());
    let is_form = body.is_empty()
        || http
            .content_type()
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form {
        params.extend_encoded(body);
    }
    // All the prefixes are as long.
    let path = match (provider, params.get("method")) {
        (Provider::Voipms, Some(method)) => format!("/{method}"),
        _ => path["/stripe".len()..].to_owned(),
    };
    Request {
        provider,
        method: http.method().to_string(),
        path,
        params,
        is_form,
        content_type: http.content_type().map(str::to_owned),
        body: if is_form { Vec::new() } else { body.to_vec() },
        authorization: header("authorization"),
        idempotency_key: header("idempotency-key"),
        stripe_version: header("stripe-version"),
    }
}

fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::builder().status(status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    if let Some((kind, bytes)) = reply.media {
        return response
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(bytes));
    }
    match reply.body {
        None => response.finish(),
        Some(body) => response
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
    }
}
