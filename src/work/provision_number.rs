//! Buy an account the phone number its plan includes, once, and point it at us.

use chrono::TimeDelta;
use serde_json::Value;
use tollkeeper_jobs::{
    ProvisionNumber,
    provision_number::{self, CANDIDATES_MAX, Facts, NumberStatus, Plan, is_about_the_candidate},
    provision_subaccount::SubaccountStatus,
};
use uuid::Uuid;

use super::{Work, account, provision_subaccount::give_up};
use crate::{
    clients::twilio::Urls,
    context::Context,
    db::{findings, phone_numbers, subaccounts, telephony},
    journal::{
        self, Unfinished,
        twilio::{BuyNumber, PointNumber},
    },
    queue::{Failure, Lease, Outcome},
};

/// Order, choose, buy, point, finish, and a candidate or two that was taken meanwhile. More is left
/// to the next run, so that one run stays short.
const STEPS_MAX: usize = 12;

impl Work for ProvisionNumber {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        for _ in 0..STEPS_MAX {
            let order = load(ctx, lease, &self.account_id).await?;
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
                return give_up(ctx, lease, &self.account_id, unfinished).await;
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

async fn load(ctx: &Context, lease: &Lease, account_id: &str) -> Result<Order, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    let subaccount = subaccounts::load(&mut tx, account_id).await?;
    let number = phone_numbers::included(&mut tx, account_id).await?;
    tx.commit().await?;
    let facts = Facts {
        standing: account.standing,
        may_stay: account.wanted.may_stay(ctx.clock.now()),
        subaccount: subaccount
            .as_ref()
            .and_then(|subaccount| SubaccountStatus::parse(&subaccount.status)),
        number: number
            .as_ref()
            .and_then(|number| NumberStatus::parse(&number.status)),
    };
    Ok(Order {
        account_id: account_id.to_owned(),
        facts,
        area_code: account.telephony.and_then(|telephony| telephony.area_code),
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

    /// Take a number that is on sale as the candidate. Nothing is bought yet.
    async fn choose_candidate(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let number = self.number()?;
        if number.refused.len() >= CANDIDATES_MAX {
            let why = format!(
                "twilio refused {CANDIDATES_MAX} candidates of order {}",
                number.id
            );
            return Err(Failure::Stop(why).into());
        }
        let config = &ctx.config.telephony;
        let preferred = self.area_code.iter().chain(&config.area_codes).map(Some);
        for area_code in preferred.chain([None]) {
            let offered = ctx
                .twilio
                .numbers_on_sale(
                    &self.subaccount_ref,
                    &config.country,
                    area_code.map(String::as_str),
                )
                .await;
            let offered = match offered {
                Ok(offered) => offered,
                // A bad or sold-out area code: the next one.
                Err(error) if is_refused_area(&error) => continue,
                Err(error) => return Err(Failure::from(error).into()),
            };
            let luck = number.id.as_u128() as usize;
            let Some(candidate) = provision_number::choose(&offered, &number.refused, luck) else {
                continue;
            };
            let mut tx = lease.begin(&ctx.pools.work).await?;
            account::lock(ctx, &mut tx, &self.account_id).await?;
            phone_numbers::choose(&mut tx, number.id, candidate).await?;
            tx.commit().await?;
            return Ok(());
        }
        let why = format!("no number is on sale in {}", config.country);
        Err(Failure::Retry(why).into())
    }

    /// Buy the candidate, and nothing but the candidate.
    async fn buy(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let number = self.number()?;
        let phone_number = number.phone_number.as_deref().unwrap_or_default();
        let effect = BuyNumber {
            account_id: &self.account_id,
            subaccount_ref: &self.subaccount_ref,
            number_id: number.id,
            candidate: number.refused.len(),
            phone_number,
            friendly_name: &number.tag(),
            urls: &self.urls(ctx),
        };
        let bought = match journal::once(ctx, lease, &effect).await {
            Ok(bought) => Some(bought),
            Err(Unfinished::Refused(refusal)) if is_about_the_candidate(&refusal.code) => None,
            Err(unfinished) => return Err(unfinished),
        };

        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        match bought {
            Some(bought) => {
                let capabilities = bought.answer.get("capabilities").unwrap_or(&Value::Null);
                let recorded = phone_numbers::bought(
                    &mut tx,
                    number.id,
                    &bought.ext_ref,
                    capabilities,
                    NumberStatus::Configuring.as_str(),
                    ctx.clock.now(),
                )
                .await?;
                let there = phone_numbers::load(&mut tx, number.id).await?;
                let is_kept =
                    there.is_some_and(|there| there.number_ref.as_deref() == Some(&bought.ext_ref));
                if !recorded && !is_kept {
                    let detail = serde_json::json!({ "order": number.id });
                    findings::open(
                        &mut tx,
                        "bought_number_lost",
                        &bought.ext_ref,
                        &self.account_id,
                        &detail,
                    )
                    .await?;
                    tx.commit().await?;
                    let why = format!(
                        "{} was bought and its order is closed; a finding is open",
                        bought.ext_ref
                    );
                    return Err(Failure::Stop(why).into());
                }
            }
            None => {
                phone_numbers::refuse(&mut tx, number.id, phone_number).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// See that the number sends everything to us; then it may be used.
    async fn configure(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let number = self.number()?;
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
            None => return Err(self.gone(ctx, lease, number_ref).await?.into()),
        }
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let account = account::lock(ctx, &mut tx, &self.account_id).await?;
        if account
            .standing
            .is_some_and(|standing| standing.is_ordered())
        {
            phone_numbers::activate(&mut tx, number.id).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn finish(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        account::lock(ctx, &mut tx, &self.account_id).await?;
        telephony::activate(&mut tx, &self.account_id).await?;
        let why = "its telephony is active";
        findings::close(&mut tx, "provisioning_refused", &self.account_id, why).await?;
        tx.commit().await?;
        Ok(Outcome::Done)
    }

    /// Twilio knows the number no longer. A person decides: the customer gave that number to others.
    async fn gone(
        &self,
        ctx: &Context,
        lease: &Lease,
        number_ref: &str,
    ) -> Result<Failure, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let detail = serde_json::json!({});
        findings::open(
            &mut tx,
            "number_missing",
            number_ref,
            &self.account_id,
            &detail,
        )
        .await?;
        tx.commit().await?;
        let why = format!("twilio knows the number {number_ref} no longer; a finding is open");
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

fn is_refused_area(error: &crate::clients::ClientError) -> bool {
    use crate::clients::ClientError::Refused;
    matches!(error, Refused { code, .. } if is_about_the_candidate(code))
}
