//! What is another thing with a number at VoIP.ms.

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tollkeeper_jobs::sweep_provider_resources::DID_MISSING;

use super::Order;
use crate::{
    clients::{
        ClientError,
        on_sale::{OnSale, Wanted},
        voipms::{CALLBACK_FIELDS, Voipms},
    },
    context::Context,
    db::phone_numbers::{self, PhoneNumber},
    journal::{self, Unfinished, voipms::SetMessages},
    queue::{Failure, Lease, Outcome},
    work::account,
};

/// What is to be done at VoIP.ms while it is not set is looked at again so soon.
pub(in crate::work) const SET_WITHIN: TimeDelta = TimeDelta::hours(1);
/// Below `PUBLIC_BASE_URL`; the token follows.
const CALLBACK: &str = "/webhooks/voipms/sms/";

/// VoIP.ms, where all is set that an order needs.
pub fn seller(ctx: &Context) -> Option<&Voipms> {
    ctx.voipms.as_ref().filter(|voipms| voipms.sells())
}

/// It is done once it can be.
pub fn not_set(ctx: &Context) -> Outcome {
    let why = "VOIPMS_USERNAME or VOIPMS_POP is not set: nothing is ordered at VoIP.ms";
    Outcome::Later(ctx.clock.now() + SET_WITHIN, why.into())
}

/// Numbers on sale there.
pub async fn on_sale(ctx: &Context, wanted: &Wanted<'_>) -> Result<Vec<OnSale>, ClientError> {
    match seller(ctx) {
        Some(voipms) => voipms.on_sale(wanted).await,
        None => Ok(Vec::new()),
    }
}

impl Order {
    /// See that messages are switched on and told to us. A number that takes none is taken as it is.
    pub(super) async fn switch_on(
        &self,
        ctx: &Context,
        lease: &Lease,
        number: &PhoneNumber,
    ) -> Result<(), Unfinished> {
        let phone_number = number.phone_number.as_deref().unwrap_or_default();
        let there = match seller(ctx) {
            Some(voipms) => voipms.did(phone_number).await.map_err(Failure::from)?,
            None => None,
        };
        let Some(there) = there else {
            return Err(self.gone(ctx, lease, DID_MISSING, number).await?.into());
        };
        let callback = callback(ctx);
        let is_on = there.is_on && there.callback == callback;
        if there.has_messages && !is_on {
            let effect = SetMessages {
                account_id: &self.account_id,
                number_id: number.id,
                phone_number,
                job_id: lease.job_id,
                callback: callback.as_deref(),
            };
            journal::once(ctx, lease, &effect).await?;
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        phone_numbers::is_able_to(&mut tx, number.id, &there.capabilities()).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What VoIP.ms is to ask when somebody wrote. None: no token is set, and its list is read instead.
fn callback(ctx: &Context) -> Option<String> {
    let token = ctx.config.voipms.callback_tokens.first()?;
    let base = ctx.config.public_base_url.trim_end_matches('/');
    let token = token.expose_secret();
    Some(format!("{base}{CALLBACK}{token}?{CALLBACK_FIELDS}"))
}
