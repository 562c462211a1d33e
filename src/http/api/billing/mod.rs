//! `/api/billing/*`: what a user owes, owed and will owe.

mod ask;
mod estimate;
mod history;
mod upcoming;
pub mod usage;

use std::sync::Arc;

use poem_openapi::{Enum, OpenApi, param::Query, payload::Json};
use tollkeeper_jobs::{
    money::MoneyError,
    plans::{Interval, Tier},
    stripe::Status,
};

use self::{
    estimate::{ChangeEstimate, EstimateChange},
    history::BillingHistory,
    upcoming::UpcomingInvoice,
    usage::PeriodUsage,
};
use super::{
    Shared, Tag,
    envelope::{BareProblem, Refused},
};
use crate::{
    billing::StatementError,
    db::subscriptions::Subscription,
    http::{
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

pub struct BillingOperations(pub(super) Arc<Shared>);

type Answer<T> = Result<Json<T>, Refused<BareProblem>>;

/// Whose numbers these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum AmountSource {
    /// Stripe's own preview.
    Stripe,
    /// Our own calculation, since Stripe was not to be asked or did not answer.
    Own,
}

#[OpenApi(prefix_path = "/billing", tag = "Tag::Billing")]
impl BillingOperations {
    /// What was used in the billing period that runs, and what it costs so far
    ///
    /// By the function that bills it. The period is the subscription's, not the calendar's.
    #[oai(path = "/usage", method = "get", operation_id = "billingUsage")]
    async fn usage(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<PeriodUsage> {
        let account = account(&caller, user_id.as_deref())?;
        Ok(Json(usage::of(&self.0, &account).await?))
    }

    /// The same, for clients that post
    #[oai(path = "/usage", method = "post", operation_id = "billingUsageByPost")]
    async fn usage_by_post(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<PeriodUsage> {
        let account = account(&caller, user_id.as_deref())?;
        Ok(Json(usage::of(&self.0, &account).await?))
    }

    /// The last invoices, and what happened to the user's money
    #[oai(path = "/history", method = "get", operation_id = "billingHistory")]
    async fn history(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<BillingHistory> {
        let account = account(&caller, user_id.as_deref())?;
        Ok(Json(history::of(&self.0, &account).await?))
    }

    /// What it would cost to change the plan now
    ///
    /// Nothing is changed. Stripe is asked where there is a subscription; `source` says who answered.
    #[oai(path = "/estimate", method = "post", operation_id = "estimateChange")]
    async fn estimate(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        body: Json<EstimateChange>,
    ) -> Answer<ChangeEstimate> {
        let account = account(&caller, user_id.as_deref())?;
        Ok(Json(estimate::of(&self.0, &account, body.0).await?))
    }

    /// What the next invoice will be, as things stand
    ///
    /// The plan's price by Stripe's preview, and the usage so far; `source` says who answered for the price.
    #[oai(path = "/upcoming", method = "get", operation_id = "upcomingInvoice")]
    async fn upcoming(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
    ) -> Answer<UpcomingInvoice> {
        let account = account(&caller, user_id.as_deref())?;
        Ok(Json(upcoming::of(&self.0, &account).await?))
    }
}

fn account(caller: &Caller, named: Option<&str>) -> Result<AccountId, Problem> {
    let account = caller.account(Scope::SubscriptionRead, named, || {
        Problem::bad_request("MISSING_PARAMETER", "userId is required")
    })?;
    caller.count_billing(&account)?;
    Ok(account)
}

/// Whether a subscription was paid for and has not ended.
fn is_live(subscription: &Subscription) -> bool {
    let status = Status::from(subscription.status.as_str());
    !status.is_terminal() && status != Status::Incomplete
}

/// How often a subscription is paid for; a price that no setting names is taken to be monthly.
fn interval(tier: &Tier, subscription: &Subscription) -> Interval {
    let price_ref = subscription.price_ref.as_deref();
    let prices = tier.prices.iter();
    let own = prices.filter(|price| price_ref.is_some() && price.price_ref.as_deref() == price_ref);
    own.map(|price| price.every)
        .next()
        .unwrap_or(Interval::Month)
}

/// What the period comes to is no number of ours: it is logged, and closing the period opens a finding.
impl From<MoneyError> for Problem {
    fn from(error: MoneyError) -> Problem {
        tracing::error!(%error, "an amount of an API request cannot be worked out");
        Problem::internal()
    }
}

impl From<StatementError> for Problem {
    fn from(error: StatementError) -> Problem {
        match error {
            StatementError::Database(error) => error.into(),
            StatementError::Amount(error) => error.into(),
        }
    }
}
