//! Asking Stripe what it would write. It is somebody waiting for it, so not for long; no answer is one too.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::timeout;
use tollkeeper_jobs::{mask::mask, stripe::Preview};

use crate::{
    clients::{
        ClientError,
        stripe::{NewPrice, Stripe},
    },
    db::subscriptions::Subscription,
};

/// For all that is asked for one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The next invoice of a subscription. None: Stripe did not say.
pub async fn upcoming(stripe: &Stripe, subscription: &Subscription) -> Option<Preview> {
    let asked = async {
        let Subscription {
            customer_ref,
            subscription_ref,
            ..
        } = subscription;
        stripe
            .preview(customer_ref, subscription_ref, None)
            .await
            .map(Some)
    };
    answered(asked).await
}

/// The same with another price from an instant on. None: Stripe did not say, or what is subscribed to is not one plan.
pub async fn change(
    stripe: &Stripe,
    subscription: &Subscription,
    price: &str,
    from: DateTime<Utc>,
) -> Option<Preview> {
    let asked = async {
        let Subscription {
            customer_ref,
            subscription_ref,
            ..
        } = subscription;
        let current = stripe.subscription(subscription_ref).await?;
        let Some(item) = current.as_ref().and_then(|current| current.only_item()) else {
            return Ok(None);
        };
        let change = NewPrice { item, price, from };
        stripe
            .preview(customer_ref, subscription_ref, Some(change))
            .await
            .map(Some)
    };
    answered(asked).await
}

async fn answered(
    asked: impl Future<Output = Result<Option<Preview>, ClientError>>,
) -> Option<Preview> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(preview)) => preview,
        Ok(Err(error)) => {
            let error = mask(&error.to_string());
            tracing::warn!(%error, "no preview from Stripe; our own calculation is shown");
            None
        }
        Err(_) => {
            tracing::warn!("no preview from Stripe in time; our own calculation is shown");
            None
        }
    }
}
