//! The effects that leave: a call, a message.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    outside::Discipline,
    telephony::{
        desired::Standing,
        outbound::Channel,
        twiml::{self, Verb},
    },
};

use super::PROVIDER;
use crate::{
    clients::{
        ClientError,
        twilio::{Made, NewCall, NewMessage, RECORDING, RECORDING_STATUS, TOLD_AGAIN, Urls},
    },
    context::Context,
    db::{
        accounts,
        outbound::{self, Outbound},
        telephony,
    },
    journal::{Effect, Found, Permission},
    queue::Failure,
};

/// The provider's clock and ours differ by less.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(2);

/// How long somebody may speak, in seconds: as long as Twilio records.
const RECORDED_MAX: u16 = 3600;

/// How soon who waits for another wish looks again.
const ANOTHER_IS_FIRST: TimeDelta = TimeDelta::seconds(1);

/// Place the call, or send the message, that a row asks for.
pub struct Dispatch<'a> {
    pub wish: &'a Outbound,
}

impl Effect for Dispatch<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "dispatch_outbound";
    const DISCIPLINE: Discipline = Discipline::Recognised;

    fn subject(&self) -> String {
        self.wish.id.to_string()
    }

    fn account_id(&self) -> &str {
        &self.wish.account_id
    }

    fn request(&self) -> String {
        let Outbound {
            provider_ref,
            from_number,
            to_number,
            body,
            ..
        } = self.wish;
        let channel = self.wish.channel().as_str();
        format!("{channel} {provider_ref} {from_number} {to_number} {body}")
    }

    /// Not once it comes too late, nor for an account that was suspended meanwhile; and not beside an earlier one between
    /// the same two numbers, which could not be told from this one in the provider's list.
    async fn permission(
        &self,
        ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        accounts::lock(tx, &self.wish.account_id).await?;
        let now = ctx.clock.now();
        if now >= self.wish.expires_at {
            return Ok(Permission::NotWanted("it could not be sent in time"));
        }
        let telephony = telephony::load(tx, &self.wish.account_id).await?;
        let standing = telephony.and_then(|telephony| Standing::parse(&telephony.status));
        if !self.wish.is_fallback && standing != Some(Standing::Active) {
            return Ok(Permission::NotWanted(
                "its telephony was taken away meanwhile",
            ));
        }
        if outbound::is_behind_another(tx, self.wish, now - ctx.quiet_time()).await? {
            let until = now + ANOTHER_IS_FIRST;
            return Ok(Permission::WaitUntil(
                until,
                "an earlier one is not decided",
            ));
        }
        Ok(Permission::Granted)
    }

    /// Neither bears a mark of ours. It is the one that was made since it was asked for, says the same, and is not known
    /// to be another.
    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let Outbound {
            provider_ref,
            from_number: from,
            to_number: to,
            ..
        } = self.wish;
        let made = match self.wish.channel() {
            Channel::Call => ctx.twilio.calls_between(provider_ref, from, to).await?,
            Channel::Message => ctx.twilio.messages_between(provider_ref, from, to).await?,
        };
        let since = self.wish.asked_at - CLOCKS_DIFFER_BY;
        let mut fitting: Vec<Made> = made
            .into_iter()
            .filter(|made| self.fits(made, since))
            .collect();
        let refs: Vec<&str> = fitting.iter().map(|made| made.sid.as_str()).collect();
        let known = async {
            let mut conn = ctx.pools.work.acquire().await?;
            outbound::known_refs(&mut conn, &self.wish.account_id, &refs).await
        };
        let known = known.await.map_err(|error| ClientError::Unknown {
            provider: PROVIDER,
            status: None,
            why: format!("which of them are others cannot be read: {error}"),
        })?;
        fitting.retain(|made| !known.contains(&made.sid));
        // The oldest: wishes between two numbers are decided in their order.
        Ok(fitting.pop().map(found))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let wish = self.wish;
        let base = ctx.config.public_base_url.trim_end_matches('/');
        let urls = Urls::of_account(base, &wish.account_id);
        let status_callback = &format!("{}{TOLD_AGAIN}", urls.status);
        let (from, to, body) = (&wish.from_number, &wish.to_number, &wish.body);
        let made = match wish.channel() {
            Channel::Message => {
                let message = NewMessage {
                    from,
                    to,
                    body,
                    status_callback,
                };
                ctx.twilio
                    .send_message(&wish.provider_ref, &message)
                    .await?
            }
            Channel::Call => {
                let call = NewCall {
                    from,
                    to,
                    twiml: &said(wish, base),
                    status_callback,
                    seconds_max: wish.units.unsigned_abs().saturating_mul(60),
                };
                ctx.twilio.make_call(&wish.provider_ref, &call).await?
            }
        };
        Ok(found(made))
    }
}

impl Dispatch<'_> {
    fn fits(&self, made: &Made, since: chrono::DateTime<chrono::Utc>) -> bool {
        let is_ours = made
            .direction
            .as_deref()
            .is_some_and(|direction| direction.starts_with("outbound"));
        let is_new = made.created_at().is_none_or(|at| at >= since);
        let is_same = match self.wish.channel() {
            Channel::Call => true,
            Channel::Message => made.body.as_deref() == Some(&self.wish.body),
        };
        is_ours && is_new && is_same
    }
}

/// What the called person hears.
fn said(wish: &Outbound, base: &str) -> String {
    let (action, told) = (
        format!("{base}{RECORDING}"),
        format!("{base}{RECORDING_STATUS}{TOLD_AGAIN}"),
    );
    let record = Verb::Record {
        action: &action,
        status_callback: &told,
        seconds_max: RECORDED_MAX,
    };
    match wish.is_recorded {
        true => twiml::response(&[Verb::Say(&wish.body), record, Verb::Hangup]),
        false => twiml::response(&[Verb::Say(&wish.body), Verb::Hangup]),
    }
}

fn found(made: Made) -> Found {
    Found {
        answer: json!({ "status": made.status, "num_segments": made.num_segments }),
        ext_ref: made.sid,
    }
}
