//! Give an account its own Twilio subaccount, once.

use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, ProvisionNumber, ProvisionSubaccount, SuspendTelephony,
    provision_subaccount::{SubaccountStatus, friendly_name},
    telephony::desired::Standing,
    telephony_notices::number_failed,
};

use super::{Work, account, subaccount_status};
use crate::{
    context::Context,
    db::{findings, phone_numbers, subaccounts, telephony},
    journal::{
        self, Unfinished,
        twilio::{CreateSubaccount, SetSubaccountStatus},
    },
    notify,
    queue::{self, Failure, Lease, Outcome},
    sealed::Place,
};

impl Work for ProvisionSubaccount {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let account_id = self.account_id.as_str();
        let (subaccount, turn) = match order(ctx, lease, account_id).await? {
            Ordered::Subaccount(subaccount, turn) => (subaccount, turn),
            Ordered::Nothing(why) => return Ok(Outcome::Skipped(why.into())),
        };
        let status = SubaccountStatus::parse(&subaccount.status);
        let done = match (status, &subaccount.subaccount_ref) {
            (Some(SubaccountStatus::Closed), _) => {
                let why = format!("the subaccount of account {account_id:?} is closed for good");
                return Err(Failure::Stop(why));
            }
            (
                Some(SubaccountStatus::Active | SubaccountStatus::Suspended),
                Some(subaccount_ref),
            ) => activate(ctx, lease, account_id, subaccount_ref, turn, status).await,
            _ => create(ctx, lease, account_id, &subaccount.friendly_name).await,
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(unfinished) => give_up(ctx, lease, account_id, unfinished).await,
        }
    }
}

enum Ordered {
    /// The subaccount's row, and the turn of the account's telephony.
    Subaccount(subaccounts::Subaccount, i32),
    Nothing(&'static str),
}

/// Write the order down, unless it is not wanted.
async fn order(ctx: &Context, lease: &Lease, account_id: &str) -> Result<Ordered, Failure> {
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    let Some(telephony) = account.telephony else {
        return Ok(Ordered::Nothing("no telephony was ordered"));
    };
    if !account.standing.is_some_and(Standing::is_ordered) {
        return Ok(Ordered::Nothing("its telephony was taken away meanwhile"));
    }
    if !account.wanted.may_stay(ctx.clock.now()) {
        return Ok(Ordered::Nothing(
            "its subscription does not include telephony any more",
        ));
    }
    let digest = hex::encode(Sha256::digest(account_id));
    let name = friendly_name(account_id, &digest);
    subaccounts::order(&mut tx, account_id, &name).await?;
    telephony::begin(&mut tx, account_id).await?;
    let Some(subaccount) = subaccounts::load(&mut tx, account_id).await? else {
        return Err(Failure::Retry("the subaccount's row is gone".into()));
    };
    tx.commit().await?;
    Ok(Ordered::Subaccount(subaccount, telephony.turn))
}

async fn create(
    ctx: &Context,
    lease: &Lease,
    account_id: &str,
    friendly_name: &str,
) -> Result<(), Unfinished> {
    let effect = CreateSubaccount {
        account_id,
        friendly_name,
    };
    let created = journal::once(ctx, lease, &effect).await?;
    // The journal keeps no secret, so the token is asked for once the subaccount is there for sure.
    let token = token(ctx, &created.ext_ref).await?;
    let place = Place {
        table: "twilio_subaccounts",
        column: "auth_token_sealed",
        account_id,
        row: account_id,
    };
    let sealed = ctx.keyring.seal(&token, place);

    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    subaccounts::created(&mut tx, account_id, &created.ext_ref, &sealed).await?;
    if account.standing.is_some_and(Standing::is_ordered) {
        ask_for_numbers(&mut tx, account_id).await?;
    } else {
        // Suspended while there was nothing to suspend.
        let account_id = account_id.to_owned();
        queue::enqueue(&mut tx, &SuspendTelephony { account_id }).await?;
    }
    tx.commit().await?;
    ctx.wake.ring();
    Ok(())
}

async fn token(ctx: &Context, subaccount_ref: &str) -> Result<SecretString, Failure> {
    let account = ctx.twilio.account(subaccount_ref).await?;
    account
        .and_then(|account| account.auth_token)
        .ok_or_else(|| Failure::Retry(format!("twilio tells no token of {subaccount_ref}")))
}

/// The subaccount is there: see that it is active, then go on with the number.
async fn activate(
    ctx: &Context,
    lease: &Lease,
    account_id: &str,
    subaccount_ref: &str,
    turn: i32,
    status: Option<SubaccountStatus>,
) -> Result<(), Unfinished> {
    let is_ours = subaccount_status::may_differ(ctx, account_id, "active").await?;
    if status == Some(SubaccountStatus::Suspended) && !is_ours {
        // Or it works since a run that died before it wrote that down.
        let there = ctx.twilio.account(subaccount_ref).await;
        let there = there.map_err(Failure::from)?;
        if there.is_none_or(|there| there.status != "active") {
            return Err(Unfinished::NotWanted(
                "its subaccount was suspended by others",
            ));
        }
    }
    if is_ours {
        let wanted = SetSubaccountStatus {
            account_id,
            subaccount_ref,
            turn,
            status: "active",
        };
        subaccount_status::set(ctx, lease, &wanted).await?;
    }
    let mut tx = lease.begin(&ctx.pools.work).await?;
    let account = account::lock(ctx, &mut tx, account_id).await?;
    if account
        .telephony
        .is_none_or(|telephony| telephony.turn != turn)
    {
        return Err(Unfinished::NotWanted(
            "its telephony changed again meanwhile",
        ));
    }
    subaccounts::set_status(&mut tx, account_id, "active").await?;
    ask_for_numbers(&mut tx, account_id).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok(())
}

/// The included number, and what else the account has that does not work yet, or no longer.
async fn ask_for_numbers(tx: &mut PgConnection, account_id: &str) -> sqlx::Result<()> {
    let others = phone_numbers::unfinished(tx, account_id).await?;
    let others = others
        .into_iter()
        .map(|id| ProvisionNumber::additional(account_id, id));
    let all: Vec<NewJob> = [ProvisionNumber::included(account_id)]
        .into_iter()
        .chain(others)
        .map(|job| NewJob::of(&job))
        .collect();
    queue::enqueue_all(tx, &all).await?;
    Ok(())
}

/// A definite refusal is shown to the app and to a person; everything else is the queue's matter.
pub(super) async fn give_up(
    ctx: &Context,
    lease: &Lease,
    account_id: &str,
    unfinished: Unfinished,
) -> Result<Outcome, Failure> {
    let detail = match &unfinished {
        Unfinished::Refused(refusal) => {
            Some(json!({ "code": refusal.code, "status": refusal.status }))
        }
        // A look was refused, or no candidate is left: dead, and nobody would see why.
        Unfinished::Failed(Failure::Stop(_)) => Some(json!({})),
        _ => None,
    };
    if let Some(detail) = detail {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        telephony::fail(&mut tx, account_id, &unfinished.to_string()).await?;
        let finding = "provisioning_refused";
        // Every event about the subscription has it tried again: it is told once, until it was well in between.
        if findings::open(&mut tx, finding, account_id, account_id, &detail).await? {
            let code = match &unfinished {
                Unfinished::Refused(refusal) => refusal.code.as_str(),
                _ => "NOT_POSSIBLE",
            };
            let run = format!("{}/{}", lease.job_id, lease.attempt);
            let told = number_failed(account_id, None, code, &run);
            notify::announce(&mut tx, &[told]).await?;
        }
        tx.commit().await?;
    }
    unfinished.into_verdict("twilio")
}
