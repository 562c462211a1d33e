//! A listed number, and what we know about it.

use serde_json::json;
use tollkeeper_jobs::{
    NewJob, ProvisionNumber,
    provision_number::NumberStatus,
    sweep_provider_resources::{OnNumber, OurNumber, decide_on_number},
};
use uuid::Uuid;

use super::Sweep;
use crate::{
    clients::twilio,
    context::Context,
    db::{
        accounts,
        phone_numbers::{self, PhoneNumber},
    },
    queue::{self, Failure, Lease},
};

impl Sweep {
    /// `home`: whose subaccount it is in, if that works.
    pub(super) async fn number(
        &mut self,
        ctx: &Context,
        lease: &Lease,
        listed: &twilio::IncomingNumber,
        home: Option<&str>,
    ) -> Result<(), Failure> {
        self.seen_numbers.insert(listed.sid.clone());
        let (ours, row) = self.our_number(ctx, listed).await?;
        let account_id = row.as_ref().map_or("", |row| &row.account_id);
        match decide_on_number(&ours, home.is_some()) {
            OnNumber::Fine => {}
            OnNumber::TakeIn => take_in(ctx, lease, home.unwrap_or_default(), listed).await?,
            OnNumber::Adopt => self.jobs.extend(row.as_ref().map(order_of)),
            OnNumber::Report(kind) => self.report(kind, &listed.sid, account_id, json!({})),
        }
        Ok(())
    }

    async fn our_number(
        &self,
        ctx: &Context,
        listed: &twilio::IncomingNumber,
    ) -> Result<(OurNumber, Option<PhoneNumber>), Failure> {
        let known = self
            .numbers
            .iter()
            .find(|row| row.number_ref.as_deref() == Some(&listed.sid));
        let tagged = listed
            .friendly_name
            .strip_prefix(phone_numbers::TAG)
            .and_then(|id| id.parse::<Uuid>().ok());
        let Some(id) = known.map(|row| row.id).or(tagged) else {
            return Ok((OurNumber::None, None));
        };
        let mut conn = ctx.pools.work.acquire().await?;
        let Some(row) = phone_numbers::load(&mut conn, id).await? else {
            return Ok((OurNumber::None, None));
        };
        let status = NumberStatus::parse(&row.status).unwrap_or(NumberStatus::Ordered);
        let ours = match &row.number_ref {
            Some(own) if *own == listed.sid => OurNumber::Known(status),
            None if row.phone_number.as_deref() == Some(&listed.phone_number) => {
                OurNumber::Ordered(status)
            }
            _ => OurNumber::Stray,
        };
        Ok((ours, Some(row)))
    }
}

/// The job that goes on with the order of a number.
pub(super) fn order_of(row: &PhoneNumber) -> NewJob {
    NewJob::of(&match row.is_included {
        true => ProvisionNumber::included(&row.account_id),
        false => ProvisionNumber::additional(&row.account_id, row.id),
    })
}

/// Bought elsewhere, for this account: it is theirs and billed from now on, and is to be pointed at us.
async fn take_in(
    ctx: &Context,
    lease: &Lease,
    account_id: &str,
    listed: &twilio::IncomingNumber,
) -> Result<(), Failure> {
    let id = Uuid::now_v7();
    let found = phone_numbers::Found {
        account_id,
        phone_number: &listed.phone_number,
        number_ref: &listed.sid,
        friendly_name: &listed.friendly_name,
        capabilities: &listed.capabilities,
    };
    let mut tx = lease.begin(&ctx.pools.work).await?;
    accounts::lock(&mut tx, account_id).await?;
    if phone_numbers::find(&mut tx, id, found, ctx.clock.now()).await? {
        queue::enqueue(&mut tx, &ProvisionNumber::additional(account_id, id)).await?;
        tracing::warn!(
            sid = listed.sid,
            "a number that was bought elsewhere is taken in"
        );
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(())
}
