//! The journal of outside effects: each one is written down before it is asked for, and once.
//!
//! The order never changes: a row is committed as `sent`, the lease is looked at once more, the
//! request leaves, the answer is recorded. Whatever dies in between, the row claims at least what may
//! be true, and the next run asks `tollkeeper_jobs::outside` what it may do. No connection is held
//! while a provider is asked.

mod outbound;
pub mod speech;
pub mod stripe;
pub mod twilio;
pub mod voipms;

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    mask::mask,
    outside::{self, Answer, Discipline, Refusal, Row, State, Step},
    telephony::desired::Standing,
};
use uuid::Uuid;

use crate::{
    clients::ClientError,
    context::Context,
    crash::{self, Moment},
    db::{self, accounts, findings, provider_calls, telephony},
    queue::{Failure, HoldError, Lease, LeaseLost, Outcome},
};

/// Something that is wanted of a provider once.
pub trait Effect: Sync {
    const PROVIDER: &'static str;
    const KIND: &'static str;
    const DISCIPLINE: Discipline;

    /// What it is done to; one effect per (provider, kind, subject), ever.
    fn subject(&self) -> String;

    fn account_id(&self) -> &str;

    /// What the request asks for. The same subject can never be asked for something else.
    fn request(&self) -> String;

    /// Whether it is still wanted: read and locked in the transaction that writes it down.
    fn permission(
        &self,
        ctx: &Context,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<Permission, Failure>> + Send;

    /// Look whether it is there already.
    fn look(
        &self,
        ctx: &Context,
    ) -> impl Future<Output = Result<Option<Found>, ClientError>> + Send;

    /// Ask for it. `key` is the same for every request that may be one and the same effect.
    fn send(
        &self,
        ctx: &Context,
        key: &str,
    ) -> impl Future<Output = Result<Found, ClientError>> + Send;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    Granted,
    NotWanted(&'static str),
    /// Something else is open that it would cross.
    WaitUntil(DateTime<Utc>, &'static str),
}

/// An effect that is there: the provider's id of it, and what else is worth keeping. Nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub ext_ref: String,
    pub answer: Value,
}

/// An effect whose id is all there is to know of it.
fn nothing_more(ext_ref: String) -> Found {
    Found {
        ext_ref,
        answer: json!({}),
    }
}

/// Under the account's lock: only while its telephony is ordered and not taken away again.
async fn while_ordered(tx: &mut PgConnection, account_id: &str) -> Result<Permission, Failure> {
    accounts::lock(tx, account_id).await?;
    let telephony = telephony::load(tx, account_id).await?;
    let standing = telephony.and_then(|telephony| Standing::parse(&telephony.status));
    Ok(match standing {
        Some(standing) if standing.is_ordered() => Permission::Granted,
        _ => Permission::NotWanted("its telephony was taken away meanwhile"),
    })
}

/// Why an effect is not there.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// A definite no, with nothing of it open.
    #[error("refused (status {}, code {}): {}", .0.status, .0.code, .0.message)]
    Refused(Refusal),
    #[error("not wanted any more: {0}")]
    NotWanted(&'static str),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Unfinished {
    /// How a run ends that has nothing better to do about it.
    pub fn into_verdict(self, what: &str) -> Result<Outcome, Failure> {
        match self {
            Unfinished::Refused(_) => Err(Failure::Stop(format!("{what}: {self}"))),
            Unfinished::NotWanted(why) => Ok(Outcome::Skipped(why.to_owned())),
            Unfinished::Failed(failure) => Err(failure),
        }
    }
}

impl From<HoldError> for Unfinished {
    fn from(error: HoldError) -> Unfinished {
        Unfinished::Failed(error.into())
    }
}

impl From<sqlx::Error> for Unfinished {
    fn from(error: sqlx::Error) -> Unfinished {
        Unfinished::Failed(error.into())
    }
}

/// See that the effect is there, once, however often and beside whomever this is called.
pub async fn once<E: Effect>(
    ctx: &Context,
    lease: &Lease,
    effect: &E,
) -> Result<Found, Unfinished> {
    let mut absent_at = None;
    // At most: look, send, be refused with something open, look again.
    for _ in 0..4 {
        match prepare(ctx, lease, effect, absent_at).await? {
            Next::Have(found) => return Ok(found),
            Next::Look(call_id, began_at) => {
                point::<E>(Moment::Planned);
                let looked = effect.look(ctx).await.map_err(Failure::from)?;
                if let Some(found) = looked {
                    return record_success(ctx, effect, call_id, found).await;
                }
                absent_at = Some(began_at);
            }
            Next::Send(call_id, row) => {
                if let Some(found) = send(ctx, lease, effect, call_id, &row).await? {
                    return Ok(found);
                }
                absent_at = None;
            }
        }
    }
    Err(Failure::Retry(format!(
        "{} of {}: no end in sight",
        E::KIND,
        effect.subject()
    ))
    .into())
}

/// Two providers may have effects of one kind.
fn point<E: Effect>(moment: Moment) {
    crash::point(moment, format_args!("{} {}", E::PROVIDER, E::KIND));
}

enum Next {
    Have(Found),
    /// By the database's clock at which it was decided, which is before the look.
    Look(Uuid, DateTime<Utc>),
    Send(Uuid, Row),
}

/// Decide under the row's lock, and write ahead what is decided.
async fn prepare<E: Effect>(
    ctx: &Context,
    lease: &Lease,
    effect: &E,
    absent_at: Option<DateTime<Utc>>,
) -> Result<Next, Unfinished> {
    let request_sha256 = Sha256::digest(effect.request());
    let subject = effect.subject();
    let identity = provider_calls::Identity {
        provider: E::PROVIDER,
        kind: E::KIND,
        subject: &subject,
        account_id: effect.account_id(),
        request_sha256: &request_sha256,
    };
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let permission = effect.permission(ctx, &mut tx).await?;
    provider_calls::plan(&mut tx, identity).await?;
    let Some(call) = provider_calls::lock(&mut tx, E::PROVIDER, E::KIND, &subject).await? else {
        return Err(Failure::Retry(format!("{} of {subject}: its row is gone", E::KIND)).into());
    };
    if call.request_sha256 != request_sha256.as_slice() {
        return Err(Failure::Stop(format!(
            "{} of {subject} was asked for with another content before; find out which one is right",
            E::KIND
        ))
        .into());
    }
    let row = call.row();
    // One clock for every process: quiet time measured by two would be as short as they differ.
    let now = provider_calls::now(&mut tx).await? + ctx.clock.offset();
    let quiet = ctx.quiet_time();
    let next = match outside::next(&row, E::DISCIPLINE, quiet, now, absent_at) {
        Step::AlreadyDone(ext_ref) => Next::Have(Found {
            ext_ref,
            answer: call.answer.unwrap_or_default(),
        }),
        Step::LookFirst => Next::Look(call.id, now),
        Step::WaitUntil(until) => return Err(wait(now, until, "an earlier request may be open")),
        Step::Dead(why) => {
            let why = format!("{} of {subject} was given up: {why}", E::KIND);
            return Err(Failure::Stop(why).into());
        }
        Step::Refused(refusal) => {
            let row = outside::refused(&row);
            provider_calls::write_ahead(&mut tx, call.id, &row, lease.attempt, lease.token).await?;
            tx.commit().await?;
            return Err(Unfinished::Refused(refusal));
        }
        Step::Send { epoch } => {
            match permission {
                Permission::Granted => {}
                Permission::NotWanted(why) => return Err(Unfinished::NotWanted(why)),
                Permission::WaitUntil(until, why) => return Err(wait(now, until, why)),
            }
            let row = outside::sent(&row, epoch, now);
            provider_calls::write_ahead(&mut tx, call.id, &row, lease.attempt, lease.token).await?;
            Next::Send(call.id, row)
        }
    };
    tx.commit().await?;
    Ok(next)
}

fn wait(now: DateTime<Utc>, until: DateTime<Utc>, why: &str) -> Unfinished {
    Unfinished::Failed(Failure::Wait {
        after: (until - now).to_std().ok(),
        why: format!("{why} until {until}"),
    })
}

/// One request and its record. None: refused while an earlier request is open.
async fn send<E: Effect>(
    ctx: &Context,
    lease: &Lease,
    effect: &E,
    call_id: Uuid,
    row: &Row,
) -> Result<Option<Found>, Unfinished> {
    point::<E>(Moment::WrittenAhead);
    if !lease.is_held() {
        return Err(Failure::LeaseLost(LeaseLost(lease.job_id)).into());
    }
    let key = format!("{}:{}:{}", E::KIND, call_id, row.epoch);
    let error = match effect.send(ctx, &key).await {
        Ok(found) => return record_success(ctx, effect, call_id, found).await.map(Some),
        Err(error) => error,
    };
    point::<E>(Moment::Answered);
    let answer = answer_of(&error);
    let after = outside::after(row, &answer);
    let text = mask(&error.to_string());
    let mut conn = ctx.pools.work.acquire().await?;
    let is_ours = provider_calls::fail(
        &mut conn,
        call_id,
        &after,
        &text,
        lease.attempt,
        lease.token,
    )
    .await?;
    point::<E>(Moment::Failed);
    metrics::counter!("tollkeeper_provider_failures_total", "kind" => E::KIND).increment(1);
    if !is_ours && lease.is_held() {
        // Another run brought the success meanwhile: the next look at the row finds it.
        let why = format!("{text}; and another run was there first");
        return Err(Failure::Wait {
            after: Some(Duration::from_millis(100)),
            why,
        }
        .into());
    }
    if !is_ours {
        return Err(Failure::LeaseLost(LeaseLost(lease.job_id)).into());
    }
    match answer {
        Answer::Refused(refusal) if after.state == State::Planned => {
            Err(Unfinished::Refused(refusal))
        }
        Answer::Refused(_) => Ok(None),
        _ => Err(Failure::from(error).into()),
    }
}

fn answer_of(error: &ClientError) -> Answer {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::TryLater { .. }
        | ClientError::Crowded { .. } => Answer::NothingDone,
        ClientError::Unknown { status, .. } => Answer::Unknown {
            may_be_stored: status.is_some(),
        },
        ClientError::Refused {
            status,
            code,
            message,
            ..
        } => Answer::Refused(Refusal {
            status: *status,
            code: code.clone(),
            message: mask(message),
        }),
    }
}

/// Record what is there, whoever found it. A second one is a person's matter; the first one stays.
async fn record_success<E: Effect>(
    ctx: &Context,
    effect: &E,
    call_id: Uuid,
    found: Found,
) -> Result<Found, Unfinished> {
    point::<E>(Moment::Answered);
    let mut tx = db::begin(&ctx.pools.work).await?;
    let recorded = provider_calls::succeed(&mut tx, call_id, &found.ext_ref, &found.answer).await?;
    if recorded {
        tx.commit().await?;
        point::<E>(Moment::Recorded);
        return Ok(found);
    }
    let subject = effect.subject();
    let call = provider_calls::lock(&mut tx, E::PROVIDER, E::KIND, &subject).await?;
    let kept = call.as_ref().and_then(|call| call.row().ext_ref);
    let detail =
        json!({ "kind": E::KIND, "subject": subject, "kept": kept, "extra": found.ext_ref });
    let account_id = effect.account_id();
    findings::open(
        &mut tx,
        "duplicate_effect",
        &found.ext_ref,
        account_id,
        &detail,
    )
    .await?;
    tx.commit().await?;
    tracing::error!(
        kind = E::KIND,
        kept,
        extra = found.ext_ref,
        "an effect was had twice"
    );
    match (kept, call) {
        (Some(ext_ref), Some(call)) => Ok(Found {
            ext_ref,
            answer: call.answer.unwrap_or_default(),
        }),
        _ => Err(Failure::Retry(format!("{} of {subject}: its row is gone", E::KIND)).into()),
    }
}
