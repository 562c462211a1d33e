//! Telling what became of a subscription, and notifying who has to know.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::history::{Before, SubscriptionNews, notices, of_subscription},
    plans::Catalogue,
    stripe::{self, Status},
};

use crate::{
    db::{
        billing::events,
        subscriptions::{self, Subscription},
    },
    notify,
};

/// Tell what of a subscription was not told yet, in the transaction that stores it. `before` is what was stored until
/// then, so a change is seen once.
pub async fn tell_of_subscription(
    tx: &mut PgConnection,
    catalogue: &Catalogue,
    said: &stripe::Subscription,
    before: Option<&Subscription>,
    stored: &Subscription,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let status = before.map(|row| Status::from(row.status.as_str()));
    let before = before.zip(status.as_ref()).map(|(row, status)| Before {
        status,
        tier: row.tier.as_deref(),
        ends_with_period: row.cancel_at_period_end,
    });
    let news = SubscriptionNews {
        said,
        tier: stored.tier.as_deref(),
        before,
        currency: &catalogue.currency,
        now,
    };
    let account_id = &stored.account_id;
    events::tell(tx, account_id, &of_subscription(&news)).await?;
    let others = subscriptions::of_account(tx, account_id).await?;
    let has_another = others.iter().any(|row| {
        let status = Status::from(row.status.as_str());
        let goes_on = matches!(status, Status::Active | Status::Trialing | Status::PastDue);
        goes_on && row.subscription_ref != stored.subscription_ref
    });
    let notices = notices::of_subscription(&news, catalogue, account_id, has_another);
    notify::announce(tx, &notices).await?;
    Ok(())
}
