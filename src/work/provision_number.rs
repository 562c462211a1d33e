//! Buy an account a phone number, once, and point it at us: the one its plan includes, or one more.

pub(super) mod dids;
mod purchase;

use chrono::TimeDelta;
use serde_json::json;
use tollkeeper_jobs::{
    ProvisionNumber,
    provision_number::{self, Facts, NumberStatus, Plan, Which},
    provision_subaccount::SubaccountStatus,
    sweep_provider_resources::NUMBER_MISSING,
    telephony::{desired::Standing, outbound::Carrier},
    telephony_notices::{number_failed, number_provisioned},
};
use uuid::Uuid;

use super::{Work, account, provision_subaccount::give_up};
use crate::{
    clients::twilio::Urls,
    context::Context,
    db::{findings, phone_numbers, subaccounts, telephony},
    journal::{self, Unfinished, twilio::PointNumber},
    notify,
    queue::{Failure, Lease, Outcome},
};

/// Order, choose, buy, point, finish, and a candidate or two that was taken meanwhile. More is left
/// to the next run, so that one run stays short.
const STEPS_MAX: usize = 12;
/// A finding: an order for one more number was refused, and not because of the number.
const ORDER_REFUSED: &str = "number_order_refused";

impl Work for ProvisionNumber {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        for _ in 0..STEPS_MAX {
            let order = load(ctx, lease, self).await?;
            if order.facts.carrier == Carrier::Voipms && dids::seller(ctx).is_none() {
                return Ok(dids::not_set(ctx));
            }
            let done = match provision_number::decide(&order.facts) {
                Plan::Nothing(why) => return Ok(Outcome::Skipped(why.into())),
                Plan::WaitForRelease => {
                    let until = ctx.clock.now() + TimeDelta::seconds(5);
                    return Ok(Outcome::Later(
                        until,
                        "the old number is on its way back".into(),
                    ));
                }
                Plan::Order => order.write_down(ctx, lease).await,
                Plan::ChooseCandidate => order.choose_candidate(ctx, lease).await,
                Plan::Buy => order.buy(ctx, lease).await,
                Plan::Configure => order.configure(ctx, lease).await,
                Plan::Finish => return order.finish(ctx, lease).await,
            };
            if let Err(unfinished) = done {
                return match order.is_of_sign_up() {
                    true => give_up(ctx, lease, &self.account_id, unfinished).await,
                    false => order.give_up(ctx, lease, unfinished).await,
                };
            }
        }
        let until = ctx.clock.now() + TimeDelta::seconds(1);
        Ok(Outcome::Later(
            until,
            "many numbers were taken meanwhile".into(),
        ))
    }
}

/// An order as it stood when it was loaded.
struct Order {
    account_id: String,
    facts: Facts,
    area_code: Option<String>,
    subaccount_ref: String,
    number: Option<phone_numbers::PhoneNumber>,
}

async fn load(ctx: &Context, lease: &Lease, wanted: &ProvisionNumber) -> Result<Order, Failure> {
    let account_id = &wanted.account_id;
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    let subaccount = subaccounts::load(&mut tx, account_id).await?;
    let number = match wanted.number_id {
        None => phone_numbers::included(&mut tx, account_id).await?,
        Some(id) => phone_numbers::load(&mut tx, id)
            .await?
            .filter(|number| number.account_id == *account_id),
    };
    tx.commit().await?;
    let telephony = account.telephony.as_ref();
    let which = match &number {
        Some(number) if !number.is_included => Which::Additional,
        None if wanted.number_id.is_some() => Which::Additional,
        _ => Which::Included {
            is_on_demand: telephony.is_some_and(|telephony| telephony.number_on_demand),
        },
    };
    let carrier = number.as_ref().map(|number| number.carrier());
    let facts = Facts {
        standing: account.standing,
        may_stay: account.wanted.may_stay(ctx.clock.now()),
        carrier: carrier.unwrap_or(Carrier::Twilio),
        subaccount: subaccount
            .as_ref()
            .and_then(|subaccount| SubaccountStatus::parse(&subaccount.status)),
        which,
        number: number
            .as_ref()
            .and_then(|number| NumberStatus::parse(&number.status)),
    };
    let by_order = number.as_ref().and_then(|number| number.area_code.clone());
    let area_code = match which {
        Which::Additional => by_order,
        Which::Included { .. } => telephony.and_then(|telephony| telephony.area_code.clone()),
    };
    Ok(Order {
        account_id: account_id.clone(),
        facts,
        area_code,
        subaccount_ref: subaccount
            .and_then(|subaccount| subaccount.subaccount_ref)
            .unwrap_or_default(),
        number,
    })
}

impl Order {
    async fn write_down(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        phone_numbers::order(&mut tx, Uuid::now_v7(), &self.account_id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// See that the number sends everything to us; then it may be used.
    async fn configure(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let number = self.number()?;
        match self.facts.carrier {
            Carrier::Twilio => self.point(ctx, lease, number).await?,
            Carrier::Voipms => self.switch_on(ctx, lease, number).await?,
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let account = account::lock(ctx, &mut tx, &self.account_id).await?;
        if account
            .standing
            .is_some_and(|standing| standing.is_ordered())
        {
            let is_new = self.facts.number == Some(NumberStatus::Configuring);
            if phone_numbers::activate(&mut tx, number.id).await? && is_new {
                let phone_number = number.phone_number.as_deref().unwrap_or_default();
                let (id, is_included) = (number.id, number.is_included);
                let told = number_provisioned(&self.account_id, id, phone_number, is_included);
                notify::announce(&mut tx, &[told]).await?;
            }
            phone_numbers::elect(&mut tx, &self.account_id).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// See that a number at Twilio points at us.
    async fn point(
        &self,
        ctx: &Context,
        lease: &Lease,
        number: &phone_numbers::PhoneNumber,
    ) -> Result<(), Unfinished> {
        let number_ref = number.number_ref.as_deref().unwrap_or_default();
        let there = ctx
            .twilio
            .number(&self.subaccount_ref, number_ref)
            .await
            .map_err(Failure::from)?;
        let urls = self.urls(ctx);
        match there {
            Some(there) if urls.are_set_on(&there) => {}
            Some(_) => {
                let effect = PointNumber {
                    account_id: &self.account_id,
                    subaccount_ref: &self.subaccount_ref,
                    number_id: number.id,
                    number_ref,
                    job_id: lease.job_id,
                    urls: &urls,
                };
                journal::once(ctx, lease, &effect).await?;
            }
            None => return Err(self.gone(ctx, lease, NUMBER_MISSING, number).await?.into()),
        }
        Ok(())
    }

    /// Nothing is bought by this order any more.
    async fn close(&self, ctx: &Context, lease: &Lease, why: &str) -> Result<(), Unfinished> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        phone_numbers::give_up(&mut tx, self.number()?.id, why, ctx.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether telephony stands and falls with it. Else it is one number of somebody who has telephony.
    fn is_of_sign_up(&self) -> bool {
        self.facts.which != Which::Additional && self.facts.standing != Some(Standing::Active)
    }

    /// A definite refusal ends an order: its user is told, and a person. Everything else is the queue's matter.
    async fn give_up(
        &self,
        ctx: &Context,
        lease: &Lease,
        unfinished: Unfinished,
    ) -> Result<Outcome, Failure> {
        let (why, detail) = match &unfinished {
            Unfinished::Refused(refusal) => {
                let detail = json!({ "code": refusal.code, "status": refusal.status });
                (Some(refusal.code.as_str()), detail)
            }
            // With a candidate something of it may still be open: only without one it is over.
            Unfinished::Failed(Failure::Stop(_)) => {
                let is_over = self.facts.number == Some(NumberStatus::Ordered);
                (is_over.then_some("candidates_refused"), json!({}))
            }
            _ => return unfinished.into_verdict(self.facts.carrier.as_str()),
        };
        let number = self.number()?;
        let subject = number.id.to_string();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        let account_id = &self.account_id;
        if let Some(why) = why
            && phone_numbers::give_up(&mut tx, number.id, why, ctx.clock.now()).await?
        {
            let told = number_failed(account_id, Some(number.id), why, &subject);
            notify::announce(&mut tx, &[told]).await?;
        }
        findings::open(&mut tx, ORDER_REFUSED, &subject, account_id, &detail).await?;
        tx.commit().await?;
        unfinished.into_verdict(self.facts.carrier.as_str())
    }

    async fn finish(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        if let Some(number) = &self.number {
            let subject = number.id.to_string();
            findings::close(&mut tx, ORDER_REFUSED, &subject, "its number is active").await?;
        }
        if self.facts.which != Which::Additional {
            telephony::activate(&mut tx, &self.account_id).await?;
            let why = "its telephony is active";
            findings::close(&mut tx, "provisioning_refused", &self.account_id, why).await?;
        }
        tx.commit().await?;
        Ok(Outcome::Done)
    }

    /// Its provider knows the number no longer. A person decides: the customer gave that number to others.
    async fn gone(
        &self,
        ctx: &Context,
        lease: &Lease,
        finding: &str,
        number: &phone_numbers::PhoneNumber,
    ) -> Result<Failure, Failure> {
        let number_ref = number.number_ref.as_deref().unwrap_or_default();
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let detail = json!({ "order": number.id });
        findings::open(&mut tx, finding, number_ref, &self.account_id, &detail).await?;
        tx.commit().await?;
        let carrier = self.facts.carrier.as_str();
        let why = format!(
            "{carrier} knows the number of order {} no longer; a finding is open",
            number.id
        );
        Ok(Failure::Stop(why))
    }

    fn number(&self) -> Result<&phone_numbers::PhoneNumber, Failure> {
        let why = || Failure::Retry("the order's row is gone".into());
        self.number.as_ref().ok_or_else(why)
    }

    fn urls(&self, ctx: &Context) -> Urls {
        Urls::of_account(&ctx.config.public_base_url, &self.account_id)
    }
}
