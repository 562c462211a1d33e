//! Tell one customer one notification by e-mail; see the promise in `jobs/notify_customer.rs`.

use serde_json::json;
use tollkeeper_jobs::{
    NotifyCustomer,
    notify_customer::{Facts, Plan, decide},
};

use super::{Work, step_back};
use crate::{
    clients::mailer::{Letter, MailError},
    context::Context,
    crash::{self, Moment},
    db::{
        accounts, findings,
        notifications::{self, Notification},
    },
    notify::MAIL_REFUSED,
    queue::{Failure, Lease, LeaseLost, Outcome},
};

impl Work for NotifyCustomer {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let Some(mailer) = &ctx.mailer else {
            // Another process may have one: settings do not change everywhere at once.
            let why = "no mail server is set here (SMTP_URL)";
            return Err(Failure::Retry(why.to_owned()));
        };
        let Some(_place) = mailer.admit() else {
            return Err(Failure::Wait {
                after: Some(step_back(lease)),
                why: "as many mails as may be are on their way".into(),
            });
        };
        // The connection goes back before the server is asked.
        let mut conn = ctx.pools.work.acquire().await?;
        let Some(told) = notifications::load(&mut conn, self.notification_id).await? else {
            return Ok(Outcome::Skipped("it is forgotten".into()));
        };
        let address = accounts::email(&mut conn, &told.account_id).await?;
        drop(conn);
        let facts = Facts {
            kind: &told.kind,
            data: &told.data,
            mailed_at: told.mailed_at,
            address: address.as_deref(),
        };
        let (to, mail) = match decide(&facts, &ctx.catalogue) {
            Plan::Nothing(why) => return Ok(Outcome::Skipped(why.to_owned())),
            Plan::Stop(why) => return Err(Failure::Stop(why)),
            Plan::Send { to, mail } => (to, mail),
        };

        let letter = Letter {
            id: told.notification_id,
            written_at: told.created_at,
            to,
            subject: &mail.subject,
            body: &mail.body,
        };
        if !lease.is_held() {
            return Err(LeaseLost(lease.job_id).into());
        }
        let sent = mailer.send(&letter).await;
        crash::point(Moment::Done, "the mail server was asked");
        match sent {
            Ok(()) => write_down(ctx, lease, &told, None).await,
            Err(MailError::Refused { why }) => write_down(ctx, lease, &told, Some(why)).await,
            Err(error) => Err(Failure::Retry(error.to_string())),
        }
    }
}

/// The mail server's word: accepted, or refused for good and why. A person is told of an account that mail
/// does not reach, until some does.
async fn write_down(
    ctx: &Context,
    lease: &Lease,
    told: &Notification,
    refused: Option<String>,
) -> Result<Outcome, Failure> {
    let account_id = &told.account_id;
    let mut tx = lease.begin(&ctx.pools.work).await?;
    match &refused {
        None => {
            notifications::mailed(&mut tx, told.notification_id, ctx.clock.now()).await?;
            let why = "a mail was accepted";
            findings::close(&mut tx, MAIL_REFUSED, account_id, why).await?;
        }
        Some(why) => {
            let detail = json!({
                "notification_id": told.notification_id, "type": told.kind, "why": why,
            });
            findings::open(&mut tx, MAIL_REFUSED, account_id, account_id, &detail).await?;
        }
    }
    tx.commit().await?;
    match refused {
        None => Ok(Outcome::Done),
        Some(why) => Err(Failure::Stop(why)),
    }
}
