//! Ask for a notification's deliveries; see the promise in `jobs/announce_notification.rs`.

use tollkeeper_jobs::{
    AnnounceNotification,
    announce_notification::{Listening, decide},
    notify_customer::is_for,
};

use super::Work;
use crate::{
    context::Context,
    db::{notification_endpoints, notifications},
    notify,
    queue::{Failure, Lease, Outcome},
};

impl Work for AnnounceNotification {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let Some(notification) = notifications::load(&mut tx, self.notification_id).await? else {
            return Ok(Outcome::Skipped("it is forgotten".into()));
        };
        let endpoints = notification_endpoints::all(&mut tx).await?;
        let listening: Vec<Listening> = endpoints
            .into_iter()
            .filter(|endpoint| endpoint.disabled_at.is_none())
            .map(|endpoint| Listening {
                endpoint_id: endpoint.endpoint_id,
                types: endpoint.types,
            })
            .collect();
        let told = decide(&notification.kind, &listening);
        let account_id = &notification.account_id;
        let is_mailed = ctx.mailer.is_some() && is_for(&notification.kind, account_id);
        if told.is_empty() && !is_mailed {
            return Ok(Outcome::Skipped("nobody wants it".into()));
        }
        notify::deliver(&mut tx, self.notification_id, account_id, &told).await?;
        if is_mailed {
            notify::mail(&mut tx, self.notification_id, account_id).await?;
        }
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
