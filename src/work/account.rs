//! What an account's subscriptions say about its telephony, read under the account's lock.

use chrono::TimeDelta;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, SyncSubscription,
    stripe::{Status, Whose},
    sync_subscription::is_eligible,
    telephony::desired::{self, Standing, Subscribed, Wanted},
};

use crate::{
    context::Context,
    db::{accounts, subscriptions, telephony},
    queue::{self, Failure, Lease},
};

/// How long taking in what is new takes at most.
pub const NEWS_TAKEN_IN: TimeDelta = TimeDelta::seconds(10);

/// An account's telephony, and what is wanted of it.
pub struct Account {
    pub telephony: Option<telephony::Telephony>,
    pub standing: Option<Standing>,
    pub wanted: Wanted,
}

/// Lock the account until the transaction ends, and read what decides about its telephony.
pub async fn lock(
    ctx: &Context,
    tx: &mut PgConnection,
    account_id: &str,
) -> Result<Account, Failure> {
    if !accounts::lock(tx, account_id).await? {
        return Err(Failure::Stop(format!("there is no account {account_id:?}")));
    }
    let telephony = telephony::load(tx, account_id).await?;
    let standing = telephony
        .as_ref()
        .and_then(|telephony| Standing::parse(&telephony.status));
    let wanted = wanted(ctx, tx, account_id).await?;
    Ok(Account {
        telephony,
        standing,
        wanted,
    })
}

/// In whose turn the jobs of a Stripe event run: its customer's account, else the one it names itself.
pub async fn of_event(conn: &mut PgConnection, body: &[u8]) -> sqlx::Result<Option<String>> {
    let whose = Whose::read(body);
    let owner = match &whose.customer_ref {
        Some(customer_ref) => accounts::of_customer(conn, customer_ref).await?,
        None => None,
    };
    Ok(owner.or(whose.account_id))
}

/// Whether Stripe says something else about the account's subscriptions than we have stored; then
/// it is asked for first. What cannot be taken back is not done on old news: an event may be late,
/// lost, or waiting behind a job that failed.
pub async fn has_news(ctx: &Context, lease: &Lease, account_id: &str) -> Result<bool, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    let customers = accounts::customers(&mut conn, account_id).await?;
    drop(conn);
    let mut said = Vec::new();
    for customer in customers {
        said.append(&mut ctx.stripe.subscriptions_of(&customer).await?);
    }

    let mut tx = lease.begin(&ctx.pools.work).await?;
    let mut news = Vec::new();
    for subscription in said {
        let stored = subscriptions::load(&mut tx, &subscription.id).await?;
        // What ended stays ended, whatever is said of it.
        let is_new = stored.is_none_or(|stored| {
            stored.status != subscription.status.as_str()
                && !Status::from(stored.status.as_str()).is_terminal()
        });
        if is_new {
            let subscription_ref = subscription.id;
            let sync = NewJob::of(&SyncSubscription { subscription_ref });
            news.push(sync.of_account(Some(account_id.to_owned())));
        }
    }
    queue::enqueue_all(&mut tx, &news).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(!news.is_empty())
}

async fn wanted(ctx: &Context, tx: &mut PgConnection, account_id: &str) -> Result<Wanted, Failure> {
    let subscribed: Vec<Subscribed> = subscriptions::of_account(tx, account_id)
        .await?
        .into_iter()
        .map(|subscription| Subscribed {
            status: Status::from(subscription.status.as_str()),
            is_eligible: is_eligible(&ctx.catalogue, subscription.tier.as_deref()),
            past_due_since: subscription.past_due_since,
        })
        .collect();
    Ok(desired::wanted(&subscribed, past_due_grace(ctx)?))
}

/// For so long telephony goes on without being paid for.
pub fn past_due_grace(ctx: &Context) -> Result<TimeDelta, Failure> {
    TimeDelta::from_std(ctx.config.telephony.past_due_grace)
        .map_err(|error| Failure::Stop(format!("the past due grace time: {error}")))
}
