//! What happened, told to the apps and to customers: stored in the transaction in which it happens, delivered
//! by jobs.
//!
//! [`announce`] is all that a part of the service needs to tell something. Delivery is at least once, in
//! no promised order, and under the notification's own id, by which a receiver knows what it was told.

pub mod operate;

use sqlx::PgConnection;
use tollkeeper_jobs::{
    AnnounceNotification, DeliverNotification, NewJob, NewNotification, NotifyCustomer,
};
use uuid::Uuid;

use crate::{db::notifications, queue};

/// The finding about an account that mail does not reach.
pub const MAIL_REFUSED: &str = "customer_mail_refused";

/// Store these notifications and the jobs that deliver them, in the transaction of what happened. One
/// whose (account, type, occasion) was announced before is left out; the answer is the ids of the others.
///
/// One call with all of them: what is stored in one call is sorted, so that two callers never lock each
/// other out. A caller that locks an account does so before. Ring `ctx.wake` after the commit; idle workers would else look within a second.
pub async fn announce(
    tx: &mut PgConnection,
    notifications: &[NewNotification],
) -> sqlx::Result<Vec<Uuid>> {
    let announced = notifications::announce(tx, notifications).await?;
    let jobs: Vec<NewJob> = announced
        .iter()
        .map(|new| {
            let notification_id = new.notification_id;
            let job = NewJob::of(&AnnounceNotification { notification_id });
            job.of_account(Some(new.account_id.clone()))
        })
        .collect();
    queue::enqueue_all(tx, &jobs).await?;
    Ok(announced.iter().map(|new| new.notification_id).collect())
}

/// Store one delivery of a notification for each of these endpoints, in its account's turn. One that is
/// under way already is not stored twice.
pub async fn deliver(
    tx: &mut PgConnection,
    notification_id: Uuid,
    account_id: &str,
    endpoint_ids: &[Uuid],
) -> sqlx::Result<()> {
    let jobs: Vec<NewJob> = endpoint_ids
        .iter()
        .map(|endpoint_id| {
            let job = NewJob::of(&DeliverNotification {
                notification_id,
                endpoint_id: *endpoint_id,
            });
            job.of_account(Some(account_id.to_owned()))
        })
        .collect();
    queue::enqueue_all(tx, &jobs).await?;
    Ok(())
}

/// Store the mail about a notification, in its account's turn. One that is under way already is not stored
/// twice.
pub async fn mail(
    tx: &mut PgConnection,
    notification_id: Uuid,
    account_id: &str,
) -> sqlx::Result<()> {
    let job = NewJob::of(&NotifyCustomer { notification_id });
    queue::enqueue_all(tx, &[job.of_account(Some(account_id.to_owned()))]).await?;
    Ok(())
}
