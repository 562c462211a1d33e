//! The tokens of subaccounts, by which their callbacks are told from forged ones.

use secrecy::ExposeSecret;
use serde_json::json;
use tollkeeper_jobs::sweep_provider_resources::TOKEN_UNREADABLE;

use super::Sweep;
use crate::{
    clients::twilio,
    context::Context,
    db::{
        sealed_columns::{self, Column},
        subaccounts,
    },
    queue::{Failure, Lease},
    sealed::Place,
};

const AT_ONCE: i64 = 500;

/// Somebody may have had Twilio make the second token the first: from then on it signs with that one, and lists it.
pub(super) async fn keep_up(
    ctx: &Context,
    lease: &Lease,
    listed: &twilio::Account,
    account_id: &str,
) -> Result<(), Failure> {
    let Some(token) = &listed.auth_token else {
        return Ok(());
    };
    let place = Place::subaccount_token(account_id);
    let mut conn = ctx.pools.work.acquire().await?;
    let stored = subaccounts::sealed_token(&mut conn, &listed.sid).await?;
    drop(conn);
    if let Some((_, sealed)) = stored {
        match ctx.keyring.open(&sealed, place) {
            Ok(ours) if ours.expose_secret() != token.expose_secret() => {}
            // One that does not open is a finding: a key of ours is missing, and not for this token alone.
            _ => return Ok(()),
        }
    }
    let sealed = ctx.keyring.seal(token, place);
    let mut tx = lease.begin(&ctx.pools.work).await?;
    subaccounts::set_token(&mut tx, &listed.sid, &sealed).await?;
    tx.commit().await?;
    tracing::warn!(
        account.id = account_id,
        "twilio signs with another token of this subaccount now"
    );
    Ok(())
}

impl Sweep {
    /// A token that does not open keeps every callback of its subaccount out.
    pub(super) async fn look_at_tokens(&mut self, ctx: &Context) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let mut conn = ctx.pools.work.acquire().await?;
            let column = Column::SubaccountToken;
            let tokens = sealed_columns::batch(&mut conn, column, &after, AT_ONCE).await?;
            drop(conn);
            let Some(last) = tokens.last() else {
                return Ok(());
            };
            after = last.row.clone();
            for token in &tokens {
                let account_id = &token.row;
                let place = Place::subaccount_token(account_id);
                if let Err(error) = ctx.keyring.open(&token.sealed, place) {
                    let detail = json!({ "why": error.to_string() });
                    self.report(TOKEN_UNREADABLE, account_id, account_id, detail);
                }
            }
        }
    }
}
