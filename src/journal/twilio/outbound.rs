//! The effects that leave: a call, a message.

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
    db::outbound::Outbound,
    journal::{Effect, Found, Permission, outbound},
    queue::Failure,
};

/// How long somebody may speak, in seconds: as long as Twilio records.
const RECORDED_MAX: u16 = 3600;

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
        outbound::request(self.wish)
    }

    async fn permission(
        &self,
        ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let is_fallback = self.wish.is_fallback;
        // One whose included number failed may have another that works.
        let may = |standing| match standing {
            Some(Standing::Suspended | Standing::Released) => false,
            Some(_) => true,
            None => is_fallback,
        };
        outbound::permission(ctx, tx, self.wish, may).await
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
        let since = self.wish.asked_at - outbound::CLOCKS_DIFFER_BY;
        let mut fitting: Vec<Made> = made
            .into_iter()
            .filter(|made| self.fits(made, since))
            .collect();
        let refs = fitting.iter().map(|made| made.sid.clone()).collect();
        let unknown = outbound::unknown(ctx, self.wish, PROVIDER, refs).await?;
        fitting.retain(|made| unknown.contains(&made.sid));
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
