//! Give a number back to the provider: a suspended account's, or one that its user wants no longer.

use serde_json::Value;
use tollkeeper_jobs::{
    ReleaseNumber, outside,
    provision_number::NumberStatus,
    release_number::{self, Facts, Plan},
    telephony::outbound::Carrier,
};
use uuid::Uuid;

use super::{Work, account, provision_number::dids::SET_WITHIN};
use crate::{
    context::Context,
    db::{phone_numbers, provider_calls, subaccounts, telephony},
    journal::{
        self, Effect,
        twilio::{BuyNumber, GiveNumberBack},
        voipms::{CancelDid, OrderDid},
    },
    queue::{Failure, Lease, Outcome},
};

impl Work for ReleaseNumber {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        if !is_under_way(ctx, self.number_id).await?
            && account::has_news(ctx, lease, &self.account_id).await?
        {
            let at = ctx.clock.now() + account::NEWS_TAKEN_IN;
            return Ok(Outcome::Later(
                at,
                "stripe says something new; that comes first".into(),
            ));
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let account = account::lock(ctx, &mut tx, &self.account_id).await?;
        let number = phone_numbers::load(&mut tx, self.number_id).await?;
        let Some(number) = number.filter(|number| number.account_id == self.account_id) else {
            let why = format!("the account has no number {}", self.number_id);
            return Err(Failure::Stop(why));
        };
        if number.carrier() == Carrier::Voipms && ctx.voipms.is_none() {
            let at = ctx.clock.now() + SET_WITHIN;
            let why = "VOIPMS_USERNAME is not set: nothing is given back at VoIP.ms";
            return Ok(Outcome::Later(at, why.into()));
        }
        let subaccount = subaccounts::load(&mut tx, &self.account_id).await?;
        let (provider, kind) = match number.carrier() {
            Carrier::Twilio => (BuyNumber::PROVIDER, BuyNumber::KIND),
            Carrier::Voipms => (OrderDid::PROVIDER, OrderDid::KIND),
        };
        let calls = provider_calls::of_account(&mut tx, provider, kind, &self.account_id).await?;
        let prefix = format!("{}:", number.id);
        let facts = Facts {
            standing: account.standing,
            wanted: account.wanted,
            release_at: account
                .telephony
                .as_ref()
                .and_then(|telephony| telephony.release_at),
            number: NumberStatus::parse(&number.status).unwrap_or(NumberStatus::Ordered),
            is_bought: number.number_ref.is_some(),
            purchase_open_until: calls
                .iter()
                .filter(|call| call.subject.starts_with(&prefix))
                .filter_map(|call| outside::open_until(&call.row(), ctx.quiet_time()))
                .max(),
            now: ctx.clock.now(),
        };
        let turn = account.telephony.as_ref().map(|telephony| telephony.turn);
        let plan = release_number::decide(&facts);
        if plan == Plan::Release {
            phone_numbers::release(&mut tx, number.id, ctx.clock.now()).await?;
            telephony::release(&mut tx, &self.account_id).await?;
        }
        tx.commit().await?;

        let subaccount_ref = subaccount
            .and_then(|subaccount| subaccount.subaccount_ref)
            .unwrap_or_default();
        match plan {
            Plan::Nothing(why) => Ok(Outcome::Skipped(why.into())),
            Plan::Wait(until) => Ok(Outcome::Later(until, "it is kept until then".into())),
            Plan::LookUp => look_up(ctx, lease, &subaccount_ref, &number, turn).await,
            Plan::Release | Plan::CarryOut => give_back(ctx, lease, &subaccount_ref, &number).await,
        }
    }
}

/// Whether it is written down that the number goes back: then nothing that Stripe may say keeps it.
async fn is_under_way(ctx: &Context, number_id: Uuid) -> Result<bool, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let number = phone_numbers::load(&mut conn, number_id).await?;
    Ok(number.is_some_and(|number| number.status == NumberStatus::Releasing.as_str()))
}

/// Nobody knows whether the candidate was bought. Every request for it is settled, so what its provider says now is
/// final.
async fn look_up(
    ctx: &Context,
    lease: &Lease,
    subaccount_ref: &str,
    number: &phone_numbers::PhoneNumber,
    turn: Option<i32>,
) -> Result<Outcome, Failure> {
    let there = there(ctx, subaccount_ref, number).await?;
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, &number.account_id).await?;
    // Who returned meanwhile may be buying this very candidate: what was seen is out of date.
    if account.telephony.map(|telephony| telephony.turn) != turn {
        let why = "its account's telephony changed meanwhile";
        return Ok(Outcome::Later(ctx.clock.now(), why.into()));
    }
    let status = NumberStatus::Suspended.as_str();
    let outcome = match there {
        Some((number_ref, capabilities)) => {
            phone_numbers::bought(
                &mut tx,
                number.id,
                &number_ref,
                &capabilities,
                status,
                ctx.clock.now(),
            )
            .await?;
            Outcome::Later(ctx.clock.now(), "it was bought after all".into())
        }
        None => {
            phone_numbers::released(&mut tx, number.id, ctx.clock.now()).await?;
            telephony::release(&mut tx, &number.account_id).await?;
            Outcome::Done
        }
    };
    tx.commit().await?;
    Ok(outcome)
}

/// The candidate, as the provider's id of it and what it can do. None: it was not bought.
async fn there(
    ctx: &Context,
    subaccount_ref: &str,
    number: &phone_numbers::PhoneNumber,
) -> Result<Option<(String, Value)>, Failure> {
    let Some(phone_number) = &number.phone_number else {
        return Ok(None);
    };
    Ok(match number.carrier() {
        Carrier::Twilio => {
            let there = ctx.twilio.number_of(subaccount_ref, phone_number).await?;
            there.map(|there| (there.sid, there.capabilities))
        }
        Carrier::Voipms => {
            let there = match &ctx.voipms {
                Some(voipms) => voipms.did(phone_number).await?,
                None => None,
            };
            let ours = there.filter(|there| there.note == number.tag());
            ours.map(|there| (there.number_ref().to_owned(), there.capabilities()))
        }
    })
}

async fn give_back(
    ctx: &Context,
    lease: &Lease,
    subaccount_ref: &str,
    number: &phone_numbers::PhoneNumber,
) -> Result<Outcome, Failure> {
    let (account_id, number_id) = (number.account_id.as_str(), number.id);
    let given_back = match number.carrier() {
        Carrier::Twilio => {
            let effect = GiveNumberBack {
                account_id,
                subaccount_ref,
                number_id,
                number_ref: number.number_ref.as_deref().unwrap_or_default(),
            };
            journal::once(ctx, lease, &effect).await
        }
        Carrier::Voipms => {
            let effect = CancelDid {
                account_id,
                number_id,
                phone_number: number.phone_number.as_deref().unwrap_or_default(),
            };
            journal::once(ctx, lease, &effect).await
        }
    };
    if let Err(unfinished) = given_back {
        return unfinished.into_verdict(number.carrier().as_str());
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    phone_numbers::released(&mut tx, number.id, ctx.clock.now()).await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}
