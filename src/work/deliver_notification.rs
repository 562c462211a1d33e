//! Tell one endpoint one notification; see the promise in `jobs/deliver_notification.rs`.

use secrecy::SecretString;
use serde_json::json;
use tollkeeper_jobs::{
    DeliverNotification,
    deliver_notification::{Verdict, decide},
    notification,
};
use uuid::Uuid;

use super::{Work, step_back};
use crate::{
    clients::notifier::Delivery,
    context::Context,
    crash::{self, Moment},
    db::{
        findings,
        notification_endpoints::{self, Endpoint},
        notifications::{self, Notification},
    },
    notify::operate::ENDPOINT_GONE,
    queue::{Failure, Lease, LeaseLost, Outcome},
    sealed::{Place, SealError},
    signature::standard,
};

impl Work for DeliverNotification {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(_place) = ctx.notifier.admit(self.endpoint_id) else {
            return Err(Failure::Wait {
                after: Some(step_back(lease)),
                why: "as many deliveries as may be are on their way".into(),
            });
        };
        // The connection goes back before the endpoint is asked.
        let mut conn = ctx.pools.work.acquire().await?;
        let notification = notifications::load(&mut conn, self.notification_id).await?;
        let endpoint = notification_endpoints::load(&mut conn, self.endpoint_id).await?;
        drop(conn);
        let (notification, endpoint) = match (notification, endpoint) {
            (None, _) => return Ok(Outcome::Skipped("it is forgotten".into())),
            (_, None) => return Ok(Outcome::Skipped("the endpoint was removed".into())),
            (Some(notification), Some(endpoint)) => (notification, endpoint),
        };
        if endpoint.disabled_at.is_some() {
            return Ok(Outcome::Skipped("the endpoint is disabled".into()));
        }

        let delivery = signed(ctx, &notification, &endpoint)?;
        if !lease.is_held() {
            return Err(LeaseLost(lease.job_id).into());
        }
        let answer = ctx.notifier.post(&delivery).await;
        crash::point(Moment::Done, "an endpoint was asked");
        match decide(&answer, notification.created_at, ctx.clock.now()) {
            Verdict::Delivered => Ok(Outcome::Done),
            Verdict::Gone => close(ctx, lease, self.endpoint_id).await,
            Verdict::Later(after, why) => Err(Failure::Wait {
                after: Some(after),
                why,
            }),
            Verdict::Retry(why) => Err(Failure::Retry(why)),
        }
    }
}

/// This attempt, signed with each secret that signs now.
fn signed(
    ctx: &Context,
    notification: &Notification,
    endpoint: &Endpoint,
) -> Result<Delivery, Failure> {
    let secrets = secrets(ctx, endpoint).map_err(|error| Failure::Retry(error.to_string()))?;
    let body = notification::body(
        &notification.kind,
        notification.created_at,
        &notification.data,
    );
    let id = notification.notification_id;
    let timestamp = ctx.clock.now().timestamp();
    let signature = standard::sign(&secrets, &id.to_string(), timestamp, body.as_bytes())
        .map_err(|error| Failure::Stop(error.to_string()))?;
    Ok(Delivery {
        url: endpoint.url.clone(),
        id,
        timestamp,
        signature,
        body,
    })
}

fn secrets(ctx: &Context, endpoint: &Endpoint) -> Result<Vec<SecretString>, SealError> {
    let row = endpoint.endpoint_id.to_string();
    let place = Place::endpoint_secret(&row);
    let mut secrets = vec![ctx.keyring.open(&endpoint.secret_sealed, place)?];
    let still_signs = endpoint
        .previous_until
        .is_some_and(|until| ctx.clock.now() < until);
    if let Some(previous) = endpoint
        .previous_secret_sealed
        .as_ref()
        .filter(|_| still_signs)
    {
        let place = Place::previous_endpoint_secret(&row);
        secrets.push(ctx.keyring.open(previous, place)?);
    }
    Ok(secrets)
}

/// It answered that it is no more: tell it nothing again, and tell a person.
async fn close(ctx: &Context, lease: &Lease, endpoint_id: Uuid) -> Result<Outcome, Failure> {
    let why = "it answered that it is gone (410)";
    let mut tx = lease.begin(&ctx.pools.work).await?;
    if notification_endpoints::disable(&mut tx, endpoint_id, why, ctx.clock.now()).await? {
        let subject = endpoint_id.to_string();
        findings::open(&mut tx, ENDPOINT_GONE, &subject, "", &json!({})).await?;
    }
    tx.commit().await?;
    Ok(Outcome::Skipped(format!("the endpoint is disabled: {why}")))
}
