//! The candidate, and its purchase.

use serde_json::{Value, json};
use tollkeeper_jobs::{
    provision_number::{
        self, CANDIDATES_MAX, NONE_ON_SALE, NumberStatus, Which, is_about_the_candidate,
    },
    telephony::outbound::Carrier,
};

use super::{Order, dids};
use crate::{
    clients::on_sale::Wanted,
    config::TelephonyConfig,
    context::Context,
    db::{findings, phone_numbers},
    journal::{self, Found, Unfinished, twilio::BuyNumber, voipms::OrderDid},
    queue::{Failure, Lease},
    work::account,
};

/// More than are ever refused of one order.
const OFFERED_MAX: u16 = 50;

impl Order {
    /// Take a number that is on sale as the candidate. Nothing is bought yet.
    pub(super) async fn choose_candidate(
        &self,
        ctx: &Context,
        lease: &Lease,
    ) -> Result<(), Unfinished> {
        let number = self.number()?;
        if number.refused.len() >= CANDIDATES_MAX {
            let carrier = self.facts.carrier.as_str();
            let why = format!(
                "{carrier} refused {CANDIDATES_MAX} candidates of order {}",
                number.id
            );
            return Err(Failure::Stop(why).into());
        }
        let config = &ctx.config.telephony;
        for area_code in self.area_codes(config) {
            let wanted = Wanted {
                country: &config.country,
                area_code,
                count: OFFERED_MAX,
                ..Wanted::default()
            };
            let offered = match self.facts.carrier {
                Carrier::Twilio => ctx.twilio.on_sale(&self.subaccount_ref, &wanted).await,
                Carrier::Voipms => dids::on_sale(ctx, &wanted).await,
            };
            let offered: Vec<String> = match offered {
                Ok(offered) => offered.into_iter().map(|one| one.phone_number).collect(),
                // A bad or sold-out area code: the next one.
                Err(error) if is_refused_area(&error) => continue,
                Err(error) => return Err(Failure::from(error).into()),
            };
            let luck = number.id.as_u128() as usize;
            let mut passed_over = number.refused.clone();
            while let Some(candidate) = provision_number::choose(&offered, &passed_over, luck) {
                let mut tx = lease.begin(&ctx.pools.work).await?;
                account::lock(ctx, &mut tx, &self.account_id).await?;
                let is_chosen = phone_numbers::choose(&mut tx, number.id, candidate).await?;
                let there = phone_numbers::load(&mut tx, number.id).await?;
                tx.commit().await?;
                let went_on = there.is_none_or(|there| there.status != number.status);
                if is_chosen || went_on {
                    return Ok(());
                }
                // Another order reaches for it.
                passed_over.push(candidate.to_owned());
            }
        }
        if self.facts.which == Which::Additional {
            return self.close(ctx, lease, NONE_ON_SALE).await;
        }
        let why = format!("no number is on sale in {}", config.country);
        Err(Failure::Retry(why).into())
    }

    /// Where candidates are looked for, one after the other. Who orders one more number gets it where they want it, or
    /// none; to have the included one at all counts for more than where it is.
    fn area_codes<'a>(&'a self, config: &'a TelephonyConfig) -> Vec<Option<&'a str>> {
        let wanted = self.area_code.as_deref();
        if self.facts.which == Which::Additional {
            return vec![wanted];
        }
        let others = config.area_codes.iter().map(String::as_str);
        let preferred = wanted.into_iter().chain(others).map(Some);
        preferred.chain([None]).collect()
    }

    /// Buy the candidate, and nothing but the candidate.
    pub(super) async fn buy(&self, ctx: &Context, lease: &Lease) -> Result<(), Unfinished> {
        let number = self.number()?;
        let phone_number = number.phone_number.as_deref().unwrap_or_default();
        let bought = match self.bought(ctx, lease, number).await {
            Ok(bought) => Some(bought),
            Err(Unfinished::Refused(refusal)) if is_about_the_candidate(&refusal.code) => {
                if number.is_exact {
                    return self.close(ctx, lease, &refusal.code).await;
                }
                None
            }
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
                    let detail = json!({ "order": number.id });
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
                        "a number was bought and its order {} is closed; a finding is open",
                        number.id
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
}

impl Order {
    /// One purchase, at whoever sells the number.
    async fn bought(
        &self,
        ctx: &Context,
        lease: &Lease,
        number: &phone_numbers::PhoneNumber,
    ) -> Result<Found, Unfinished> {
        let phone_number = number.phone_number.as_deref().unwrap_or_default();
        let (account_id, number_id) = (self.account_id.as_str(), number.id);
        let (candidate, mark) = (number.refused.len(), number.tag());
        match self.facts.carrier {
            Carrier::Twilio => {
                let effect = BuyNumber {
                    account_id,
                    subaccount_ref: &self.subaccount_ref,
                    number_id,
                    candidate,
                    phone_number,
                    friendly_name: &mark,
                    urls: &self.urls(ctx),
                };
                journal::once(ctx, lease, &effect).await
            }
            Carrier::Voipms => {
                let effect = OrderDid {
                    account_id,
                    number_id,
                    candidate,
                    phone_number,
                    mark: &mark,
                };
                journal::once(ctx, lease, &effect).await
            }
        }
    }
}

fn is_refused_area(error: &crate::clients::ClientError) -> bool {
    use crate::clients::ClientError::Refused;
    matches!(error, Refused { code, .. } if is_about_the_candidate(code))
}
