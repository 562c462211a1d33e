//! Ordering telephony for an account and waiting a while for it.
//!
//! The order is a row and a job in one transaction; workers carry it out. Ordering twice is
//! harmless: there is one row per account, at most one live job, and what is bought is bought once.

use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, ProvisionSubaccount, ReactivateTelephony, mask::mask, usage::Entitlement,
};

use super::{Shared, plan::is_eligible};
use crate::{
    db::{
        overview::{self, Subaccount, Telephony},
        telephony_orders::{self, NumberWish},
    },
    http::{
        auth::{AccountId, Caller},
        problem::Problem,
    },
    queue,
};

/// What an account has of what it ordered.
pub struct Standing {
    pub telephony: Option<Telephony>,
    pub subaccount: Option<Subaccount>,
}

/// Why no telephony is bought for an account.
pub struct Ineligible {
    /// The tier that counts.
    pub tier: String,
    /// Of the subscription; none without one.
    pub status: Option<String>,
}

impl Standing {
    /// Whether asking again buys nothing: what is under way or there already stays as it is. Who gave their number back
    /// is bought another one by it.
    pub fn is_ordered(&self) -> bool {
        let is_over = |status: &str| ["failed", "released"].contains(&status);
        self.telephony
            .as_ref()
            .is_some_and(|telephony| !is_over(&telephony.status) && !telephony.number_on_demand)
    }

    /// An order that may buy something takes from the caller's budget. Clients that repeat it until it
    /// is done only ask.
    pub fn count_order(&self, caller: &Caller, account: &AccountId) -> Result<(), Problem> {
        match self.is_ordered() {
            true => Ok(()),
            false => caller.count_order(account),
        }
    }

    /// The number, once it takes calls.
    pub fn active_number(&self) -> Option<&str> {
        let telephony = self.telephony.as_ref()?;
        let is_active = telephony.status == "active" && telephony.has_active_number;
        telephony.phone_number.as_deref().filter(|_| is_active)
    }

    pub fn active_subaccount(&self) -> Option<&Subaccount> {
        self.subaccount
            .as_ref()
            .filter(|sub| sub.status == "active")
    }

    /// What made the workers give up.
    pub fn failure(&self) -> Option<Problem> {
        let telephony = self.telephony.as_ref()?;
        (telephony.status == "failed").then(|| {
            let why = telephony.why.as_deref().unwrap_or("no reason was recorded");
            Problem {
                details: Some(mask(why).into()),
                ..Problem::new(
                    poem::http::StatusCode::INTERNAL_SERVER_ERROR,
                    "PROVISIONING_ERROR",
                    "Failed to provision Twilio",
                )
            }
        })
    }
}

impl Shared {
    /// Whether telephony may be bought for the account. Its own subscription decides, never what
    /// the request says about it.
    pub async fn eligibility(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
    ) -> sqlx::Result<Result<(), Ineligible>> {
        let (subscription, Entitlement { tier, lost, .. }) =
            self.subscription(conn, account).await?;
        // A tier that nobody knows is named as it is stored.
        let named = subscription.as_ref().and_then(|one| one.tier.clone());
        let named = named.filter(|_| lost.is_none());
        let status = subscription.map(|subscription| subscription.status);
        let is_eligible = status
            .as_deref()
            .is_some_and(|status| is_eligible(tier, status));
        Ok(if is_eligible {
            Ok(())
        } else {
            Err(Ineligible {
                tier: named.unwrap_or_else(|| tier.id.clone()),
                status,
            })
        })
    }

    /// Write the order and its job into the caller's transaction. After its commit comes
    /// [`Shared::ordered`].
    pub async fn order_telephony(
        &self,
        tx: &mut PgConnection,
        account: &AccountId,
        email: Option<&str>,
        area_code: Option<&str>,
        number: NumberWish,
    ) -> sqlx::Result<()> {
        let account_id = account.as_str();
        let owned = || account_id.to_owned();
        telephony_orders::ensure_account(tx, account_id, email).await?;
        if let Some(email) = email {
            telephony_orders::set_first_email(tx, account_id, email).await?;
        }
        telephony_orders::order(tx, account_id, area_code, number).await?;
        // One of them finds something to do: telephony that was suspended comes back as it was. The
        // jobs last: whoever asks for work on an account has locked the account before.
        let jobs = [
            NewJob::of(&ProvisionSubaccount {
                account_id: owned(),
            }),
            NewJob::of(&ReactivateTelephony {
                account_id: owned(),
            }),
        ];
        queue::enqueue_all(tx, &jobs).await?;
        Ok(())
    }

    /// Tell the workers and the log that an order is stored.
    pub fn ordered(&self, account: &AccountId, caller: &Caller) {
        self.wake.ring();
        let by = caller.principal();
        // An app may use addresses as ids.
        let account = mask(account.as_str());
        tracing::info!(account.id = account, %by, "telephony ordered for {account} by {by}");
    }

    pub async fn standing(
        &self,
        conn: &mut PgConnection,
        account: &AccountId,
    ) -> sqlx::Result<Standing> {
        Ok(Standing {
            telephony: overview::telephony(conn, account.as_str()).await?,
            subaccount: overview::subaccount(conn, account.as_str()).await?,
        })
    }

    /// Look until the order is settled; the last look is returned.
    pub async fn wait(
        &self,
        account: &AccountId,
        is_settled: impl Fn(&Standing) -> bool + Send,
    ) -> Result<Standing, Problem> {
        let mut patience = self.patience();
        loop {
            let standing = {
                let mut tx = self.begin(account).await?;
                self.standing(&mut tx, account).await?
            };
            let is_over = is_settled(&standing) || standing.failure().is_some();
            if is_over || !patience.lasts().await {
                return Ok(standing);
            }
        }
    }
}
