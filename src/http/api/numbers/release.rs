//! A number given back by its user: from the moment it is written down it cannot be kept and is not billed any longer.

use tollkeeper_jobs::{ReleaseNumber, telephony::outbound::Carrier};

use super::{Shared, no_subaccount, not_found, suspended};
use crate::{
    db::{
        accounts,
        number_orders::{self, NumberOrder},
        phone_numbers,
    },
    http::{
        auth::{AccountId, Caller},
        problem::Problem,
    },
    queue,
};

/// Which of the user's numbers.
pub enum Which {
    /// By our id of it, its SID or its digits.
    Named(String),
    /// The only one there is.
    TheOnly,
}

/// Where the way back stands when its request has waited long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    Done,
    /// It is written down and will be done.
    UnderWay,
}

impl Shared {
    /// Give a number back. One that was given back before is answered alike; 404 for one that was never theirs.
    pub async fn release_number(
        &self,
        caller: &Caller,
        account: &AccountId,
        which: &Which,
    ) -> Result<Released, Problem> {
        let mut tx = self.begin(account).await?;
        accounts::lock(&mut tx, account.as_str()).await?;
        let number = match which {
            Which::Named(name) => number_orders::bought(&mut tx, account.as_str(), name)
                .await?
                .ok_or_else(not_found)?,
            Which::TheOnly => the_only(number_orders::kept(&mut tx, account.as_str()).await?)?,
        };
        if !["releasing", "released"].contains(&number.status.as_str()) {
            // Not as strict as an order: what others took away at the provider is given back here all the same.
            if !self.is_ordered(&mut tx, account).await? {
                return Err(match number.carrier() {
                    Carrier::Twilio => no_subaccount(),
                    Carrier::Voipms => suspended(),
                });
            }
            phone_numbers::release(&mut tx, number.id, self.clock.now()).await?;
            phone_numbers::elect(&mut tx, account.as_str()).await?;
            if number.is_included {
                // What was given back on purpose is not bought again by itself.
                number_orders::want_none(&mut tx, account.as_str()).await?;
            }
            let job = ReleaseNumber {
                account_id: account.as_str().to_owned(),
                number_id: number.id,
            };
            queue::enqueue(&mut tx, &job).await?;
            tx.commit().await?;
            self.wake.ring();
            let by = caller.principal();
            tracing::info!(number.id = %number.id, %by, "number {} given back by {by}", number.id);
        }
        self.until_released(account, &number).await
    }

    async fn until_released(
        &self,
        account: &AccountId,
        number: &NumberOrder,
    ) -> Result<Released, Problem> {
        let mut patience = self.patience();
        loop {
            let mut tx = self.begin(account).await?;
            let there = number_orders::load(&mut tx, account.as_str(), number.id).await?;
            drop(tx);
            if there.is_none_or(|there| there.status == "released") {
                return Ok(Released::Done);
            }
            if !patience.lasts().await {
                return Ok(Released::UnderWay);
            }
        }
    }
}

/// Who does not say which number has one. Else a request that is repeated, because its answer was lost, would give the
/// next one back as well.
fn the_only(kept: Vec<NumberOrder>) -> Result<NumberOrder, Problem> {
    let mut kept = kept.into_iter();
    match (kept.next(), kept.next()) {
        (Some(number), None) => Ok(number),
        (None, _) => Err(Problem::bad_request(
            "NO_PHONE_NUMBER",
            "No phone number to release",
        )),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "AMBIGUOUS_PHONE_NUMBER",
            "The user has several numbers; say which one in phone_number",
        )),
    }
}
