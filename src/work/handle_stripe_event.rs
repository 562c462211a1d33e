//! Find out what a stored Stripe event asks for, and ask for it.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    AnnounceUpcomingInvoice, ApplyDispute, ApplyRefund, HandleStripeEvent, NewJob, RecordInvoice,
    SyncSubscription,
    handle_stripe_event::{self, Plan, Step},
    stripe::Event,
};
use uuid::Uuid;

use super::{Work, account};
use crate::{
    context::Context,
    db::{
        accounts, findings, subscriptions,
        webhooks::{self, StoredWebhook},
    },
    queue::{self, Failure, Lease, Outcome},
};

/// The finding about an event that cannot be read; its subject is the webhook.
pub const UNREADABLE: &str = "unreadable_event";

impl Work for HandleStripeEvent {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let stored = webhooks::load(&mut conn, self.webhook_id).await?;
        drop(conn);
        let Some(webhook) = stored else {
            let why = format!("there is no webhook {}", self.webhook_id);
            return Err(Failure::Stop(why));
        };
        let plan = match Event::parse(&webhook.body) {
            Ok(event) => fetched(ctx, handle_stripe_event::decide(&event)).await?,
            Err(error) => return hold_unreadable(ctx, lease, webhook.id, &error).await,
        };

        let mut tx = lease.begin(&ctx.pools.work).await?;
        let (state, outcome) = match plan {
            Plan::Do(steps) => {
                carry_out(&mut tx, &webhook, &steps).await?;
                ("handled", Outcome::Done)
            }
            Plan::Ignore | Plan::FetchCheckoutSession(_) | Plan::FetchRefund(_) => {
                let why = format!("{} asks for nothing", webhook.kind);
                ("ignored", Outcome::Skipped(why))
            }
        };
        webhooks::mark(&mut tx, webhook.id, state).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok(outcome)
    }
}

/// Fetch what a thin event only names. What Stripe does not know any more asks for nothing.
async fn fetched(ctx: &Context, plan: Plan) -> Result<Plan, Failure> {
    Ok(match plan {
        Plan::FetchCheckoutSession(id) => match ctx.stripe.checkout_session(&id).await? {
            Some(session) => handle_stripe_event::decide_on_checkout(&session),
            None => Plan::Ignore,
        },
        Plan::FetchRefund(id) => match ctx.stripe.refund(&id).await? {
            Some(refund) => handle_stripe_event::decide_on_refund(&refund),
            None => Plan::Ignore,
        },
        plan => plan,
    })
}

async fn carry_out(
    tx: &mut PgConnection,
    webhook: &StoredWebhook,
    steps: &[Step],
) -> sqlx::Result<()> {
    let mut subscription_refs = Vec::new();
    let mut jobs = Vec::new();
    for step in steps {
        match step {
            Step::MapCustomer {
                customer_ref,
                account_id,
                email,
            } => map_customer(tx, customer_ref, account_id, email.as_deref()).await?,
            Step::SyncSubscription(subscription_ref) => {
                subscription_refs.push(subscription_ref.clone());
            }
            Step::RecordInvoice(invoice_ref) => {
                let invoice_ref = invoice_ref.clone();
                jobs.push(NewJob::of(&RecordInvoice { invoice_ref }));
            }
            Step::AnnounceUpcoming(subscription_ref) => {
                let subscription_ref = subscription_ref.clone();
                jobs.push(NewJob::of(&AnnounceUpcomingInvoice { subscription_ref }));
            }
            Step::ApplyRefund(charge_ref) => {
                let charge_ref = charge_ref.clone();
                jobs.push(NewJob::of(&ApplyRefund { charge_ref }));
            }
            Step::ApplyDispute(dispute_ref) => {
                let dispute_ref = dispute_ref.clone();
                jobs.push(NewJob::of(&ApplyDispute { dispute_ref }));
            }
            Step::CustomerDeleted(customer_ref) => {
                accounts::customer_deleted(tx, customer_ref).await?;
                subscription_refs.extend(subscriptions::of_customer(tx, customer_ref).await?);
            }
        }
    }
    let account_id = account::of_event(tx, &webhook.body).await?;
    let syncs = subscription_refs
        .into_iter()
        .map(|subscription_ref| NewJob::of(&SyncSubscription { subscription_ref }));
    jobs.extend(syncs);
    let jobs: Vec<NewJob> = jobs
        .into_iter()
        .map(|job| job.of_account(account_id.clone()))
        .collect();
    queue::enqueue_all(tx, &jobs).await?;
    Ok(())
}

async fn map_customer(
    tx: &mut PgConnection,
    customer_ref: &str,
    account_id: &str,
    email: Option<&str>,
) -> sqlx::Result<()> {
    accounts::ensure(tx, account_id, email).await?;
    if accounts::map_customer(tx, customer_ref, account_id).await? {
        return Ok(());
    }
    let owner = accounts::of_customer(tx, customer_ref).await?;
    if owner.as_deref() != Some(account_id) {
        let detail = json!({ "owner": owner, "also_named": account_id });
        findings::keep(
            tx,
            "customer_of_two_accounts",
            customer_ref,
            account_id,
            &detail,
        )
        .await?;
    }
    Ok(())
}

/// Signed by Stripe, and not understood: a person must look at it, and nothing is lost.
async fn hold_unreadable(
    ctx: &Context,
    lease: &Lease,
    webhook_id: Uuid,
    error: &serde_json::Error,
) -> Result<Outcome, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    // Only where: the text of the error may quote the body.
    let detail = json!({ "line": error.line(), "column": error.column() });
    let subject = webhook_id.to_string();
    findings::open(&mut tx, UNREADABLE, &subject, "", &detail).await?;
    webhooks::mark(&mut tx, webhook_id, "held").await?;
    tx.commit().await?;
    let why = "the event cannot be read; it is kept, and a finding is open";
    Ok(Outcome::Skipped(why.into()))
}
