//! What an operator does to endpoints and notifications: each verb is one transaction with a row in
//! `operator_actions`.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tollkeeper_jobs::{
    NewNotification,
    notification::{TEST_PING, is_type, is_wanted},
};
use uuid::Uuid;

use super::deliver;
use crate::{
    clients::notifier::{allowed, shown},
    db::{
        findings,
        notification_endpoints::{self as endpoints, Endpoint, NewEndpoint},
        notifications,
    },
    queue::operate::{By, record},
    sealed::{Keyring, Place, SealError},
    signature::standard,
};

/// For so long the secret before a rotation signs beside the new one.
pub const BOTH_SIGN: TimeDelta = TimeDelta::hours(24);
/// The finding about an endpoint that answered that it is no more.
pub const ENDPOINT_GONE: &str = "notification_endpoint_gone";

#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error("there is no endpoint {0}")]
    NoEndpoint(Uuid),
    #[error("there is no notification {0}")]
    NoNotification(Uuid),
    #[error("the endpoint's URL {0}")]
    Url(&'static str),
    #[error("{0:?} is no type: a type is words with a full stop between, as in usage.threshold")]
    Type(String),
    #[error("endpoint {0} is disabled")]
    Disabled(Uuid),
    #[error("endpoint {0} is not disabled")]
    NotDisabled(Uuid),
    #[error("no endpoint that is not disabled wants it")]
    Unwanted,
    #[error("the secret of endpoint {0}: {1}")]
    Sealed(Uuid, SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// An endpoint's new secret, for the one moment it is shown.
#[derive(Debug)]
pub struct Issued {
    pub endpoint_id: Uuid,
    pub secret: SecretString,
}

/// What a new endpoint is made of.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub url: &'a str,
    /// None: every type there is and ever will be.
    pub types: Option<&'a [String]>,
    /// As the setting says.
    pub allow_private: bool,
}

/// Register an endpoint.
pub async fn add(
    conn: &mut PgConnection,
    keyring: &Keyring,
    wish: Wish<'_>,
    now: DateTime<Utc>,
    by: By<'_>,
) -> Result<Issued, OperateError> {
    let url = allowed(wish.url, wish.allow_private).map_err(OperateError::Url)?;
    if let Some(bad) = wish.types.unwrap_or_default().iter().find(|t| !is_type(t)) {
        return Err(OperateError::Type(bad.clone()));
    }
    let (endpoint_id, secret) = (Uuid::now_v7(), standard::generate());
    let row = endpoint_id.to_string();
    let new = NewEndpoint {
        endpoint_id,
        url: &url,
        secret_sealed: &keyring.seal(&secret, Place::endpoint_secret(&row)),
        types: wish.types.filter(|types| !types.is_empty()),
    };
    let mut tx = conn.begin().await?;
    endpoints::insert(&mut tx, &new, now).await?;
    let target = json!({ "endpoint_id": endpoint_id, "url": shown(&url), "types": new.types });
    record(&mut tx, "add_endpoint", by, None, target, 1).await?;
    tx.commit().await?;
    Ok(Issued {
        endpoint_id,
        secret,
    })
}

/// Give an endpoint a new secret. The old one signs beside it for [`BOTH_SIGN`]; one that an earlier
/// rotation had left is over.
pub async fn rotate(
    conn: &mut PgConnection,
    keyring: &Keyring,
    endpoint_id: Uuid,
    now: DateTime<Utc>,
    by: By<'_>,
) -> Result<Issued, OperateError> {
    let mut tx = conn.begin().await?;
    let endpoint = locked(&mut tx, endpoint_id).await?;
    let (secret, row) = (standard::generate(), endpoint_id.to_string());
    let place = Place::endpoint_secret(&row);
    let old = keyring
        .open(&endpoint.secret_sealed, place)
        .map_err(|error| OperateError::Sealed(endpoint_id, error))?;
    endpoints::rotate(
        &mut tx,
        endpoint_id,
        &keyring.seal(&secret, place),
        &keyring.seal(&old, Place::previous_endpoint_secret(&row)),
        now + BOTH_SIGN,
    )
    .await?;
    record(&mut tx, "rotate_endpoint", by, None, target(endpoint_id), 1).await?;
    tx.commit().await?;
    Ok(Issued {
        endpoint_id,
        secret,
    })
}

/// Deliver to it again. What was announced meanwhile is told by [`replay`] alone.
pub async fn enable(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    by: By<'_>,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    locked(&mut tx, endpoint_id).await?;
    if !endpoints::enable(&mut tx, endpoint_id).await? {
        return Err(OperateError::NotDisabled(endpoint_id));
    }
    no_longer_gone(&mut tx, endpoint_id, "it is enabled again").await?;
    record(&mut tx, "enable_endpoint", by, None, target(endpoint_id), 1).await?;
    tx.commit().await?;
    Ok(())
}

/// Deliver nothing more to it; what is on its way already arrives.
pub async fn disable(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    now: DateTime<Utc>,
    by: By<'_>,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    locked(&mut tx, endpoint_id).await?;
    let why = format!("by {}: {}", by.who, by.why);
    if !endpoints::disable(&mut tx, endpoint_id, &why, now).await? {
        return Err(OperateError::Disabled(endpoint_id));
    }
    record(
        &mut tx,
        "disable_endpoint",
        by,
        None,
        target(endpoint_id),
        1,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Forget it and its secrets; the deliveries that wait for it end by themselves.
pub async fn remove(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    by: By<'_>,
) -> Result<(), OperateError> {
    let mut tx = conn.begin().await?;
    let endpoint = locked(&mut tx, endpoint_id).await?;
    endpoints::remove(&mut tx, endpoint_id).await?;
    no_longer_gone(&mut tx, endpoint_id, "it is removed").await?;
    let target = json!({ "endpoint_id": endpoint_id, "url": shown(&endpoint.url) });
    record(&mut tx, "remove_endpoint", by, None, target, 1).await?;
    tx.commit().await?;
    Ok(())
}

/// Tell this endpoint, and no other, that it is being tried. Answers the notification's id.
pub async fn test(
    conn: &mut PgConnection,
    endpoint_id: Uuid,
    by: By<'_>,
) -> Result<Uuid, OperateError> {
    let mut tx = conn.begin().await?;
    enabled(&mut tx, endpoint_id).await?;
    let ping = NewNotification {
        account_id: String::new(),
        kind: TEST_PING.to_owned(),
        occasion: Uuid::now_v7().to_string(),
        data: json!({ "endpointId": endpoint_id }),
    };
    let mut stored = notifications::announce(&mut tx, &[ping]).await?;
    let ping = stored.pop().expect("its occasion is like no other");
    deliver(&mut tx, ping.notification_id, "", &[endpoint_id]).await?;
    record(&mut tx, "test_endpoint", by, None, target(endpoint_id), 1).await?;
    tx.commit().await?;
    Ok(ping.notification_id)
}

/// Deliver a notification again, whatever became of it: to this endpoint, or to all that want its type.
/// A dead delivery stays in the queue beside the new one, and one that waits to be tried again keeps its
/// time. Answers how many endpoints are told.
pub async fn replay(
    conn: &mut PgConnection,
    notification_id: Uuid,
    endpoint_id: Option<Uuid>,
    by: By<'_>,
) -> Result<usize, OperateError> {
    let mut tx = conn.begin().await?;
    let notification = notifications::load(&mut tx, notification_id)
        .await?
        .ok_or(OperateError::NoNotification(notification_id))?;
    let told: Vec<Uuid> = match endpoint_id {
        Some(endpoint_id) => vec![enabled(&mut tx, endpoint_id).await?.endpoint_id],
        None => {
            let all = endpoints::all(&mut tx).await?.into_iter();
            let wants = |e: &Endpoint| is_wanted(e.types.as_deref(), &notification.kind);
            all.filter(|endpoint| endpoint.disabled_at.is_none() && wants(endpoint))
                .map(|endpoint| endpoint.endpoint_id)
                .collect()
        }
    };
    if told.is_empty() {
        return Err(OperateError::Unwanted);
    }
    deliver(&mut tx, notification_id, &notification.account_id, &told).await?;
    let target = json!({ "notification_id": notification_id, "endpoint_ids": told });
    let affected = told.len() as i64;
    record(&mut tx, "replay_notification", by, None, target, affected).await?;
    tx.commit().await?;
    Ok(told.len())
}

fn target(endpoint_id: Uuid) -> Value {
    json!({ "endpoint_id": endpoint_id })
}

async fn locked(tx: &mut PgConnection, endpoint_id: Uuid) -> Result<Endpoint, OperateError> {
    let endpoint = endpoints::lock(tx, endpoint_id).await?;
    endpoint.ok_or(OperateError::NoEndpoint(endpoint_id))
}

async fn enabled(tx: &mut PgConnection, endpoint_id: Uuid) -> Result<Endpoint, OperateError> {
    let endpoint = endpoints::load(tx, endpoint_id).await?;
    match endpoint.ok_or(OperateError::NoEndpoint(endpoint_id))? {
        endpoint if endpoint.disabled_at.is_some() => Err(OperateError::Disabled(endpoint_id)),
        endpoint => Ok(endpoint),
    }
}

async fn no_longer_gone(tx: &mut PgConnection, endpoint_id: Uuid, why: &str) -> sqlx::Result<()> {
    findings::close(tx, ENDPOINT_GONE, &endpoint_id.to_string(), why).await?;
    Ok(())
}
