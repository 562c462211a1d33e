//! A message that leaves.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    outside::Discipline,
    telephony::{
        desired::Standing,
        voipms::{Listed, message_ref},
    },
};

use super::client;
use crate::{
    clients::{ClientError, voipms::PROVIDER},
    context::Context,
    db::outbound::Outbound,
    journal::{Effect, Found, Permission, outbound},
    queue::Failure,
};

/// What is looked at around the wish. Its times are those of a zone that nothing of it names: of two mistakes, to take an
/// equal message of the day before for this one is the better, for that sends none twice.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// Send the message that a row asks for.
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

    /// Who has numbers there and no telephony at Twilio may write; who was suspended may not.
    async fn permission(
        &self,
        ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let may = |standing| !matches!(standing, Some(Standing::Suspended | Standing::Released));
        outbound::permission(ctx, tx, self.wish, may).await
    }

    /// It takes no mark of ours. It is the one that was sent since it was asked for, says the same, and is not known to be
    /// another.
    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let wish = self.wish;
        let days = (
            (wish.asked_at - A_DAY - A_DAY).date_naive(),
            (ctx.clock.now() + A_DAY).date_naive(),
        );
        let since = wish.asked_at - A_DAY;
        let listed = client(ctx)?.messages(&wish.from_number, days).await?;
        let is_it = |listed: &Listed| {
            !listed.is_inbound
                && listed.theirs == wish.to_number
                && listed.text == wish.body
                && listed.at >= since
        };
        let listed = listed.into_iter().filter(is_it);
        let refs: Vec<String> = listed.map(|listed| listed.message_ref()).collect();
        let unknown = outbound::unknown(ctx, wish, PROVIDER, refs).await?;
        // The oldest: wishes between two numbers are decided in their order.
        Ok(unknown.into_iter().next().map(found))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let wish = self.wish;
        let (from, to) = (&wish.from_number, &wish.to_number);
        let id = client(ctx)?.send_message(from, to, &wish.body).await?;
        Ok(found(message_ref(&id)))
    }
}

fn found(message_ref: String) -> Found {
    Found {
        answer: json!({ "status": "sent" }),
        ext_ref: message_ref,
    }
}
