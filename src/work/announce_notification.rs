//! Ask for a notification's deliveries; see the promise in `jobs/announce_notification.rs`.

use tollkeeper_jobs::{
    AnnounceNotification,
    announce_notification::{Listening, decide},
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
        if told.is_empty() {
            return Ok(Outcome::Skipped("no endpoint wants it".into()));
        }
        notify::deliver(
            &mut tx,
            self.notification_id,
            &notification.account_id,
            &told,
        )
        .await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(Outcome::Done)
    }
}
