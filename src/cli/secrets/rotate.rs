//! Seal every token anew with the first key.
//!
//! Each row is written only if it still holds what was read, so a token that the service changes
//! meanwhile keeps its new value; run again, it finds nothing left to do.

use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    db::sealed_columns,
    sealed::{Keyring, Place},
};

const BATCH: i64 = 200;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct RotateReport {
    pub resealed: u64,
    pub current: u64,
    /// Changed by the service while we looked; it seals with the first key too.
    pub changed_meanwhile: u64,
    /// The accounts whose token does not open with any key of the ring. Nothing was done to them.
    pub unreadable: Vec<String>,
}

impl RotateReport {
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} tokens sealed with the first key, {} were already, {} were changed meanwhile",
            self.resealed, self.current, self.changed_meanwhile
        );
        for account_id in &self.unreadable {
            text += &format!("\ndoes not open: the token of account {account_id}");
        }
        text
    }
}

pub async fn rotate(conn: &mut PgConnection, keyring: &Keyring) -> sqlx::Result<RotateReport> {
    let mut report = RotateReport::default();
    let mut after = String::new();
    loop {
        let batch = sealed_columns::subaccount_tokens(conn, &after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(report);
        };
        after = last.account_id.clone();
        for token in batch {
            let place = Place::subaccount_token(&token.account_id);
            match keyring.reseal(&token.sealed, place) {
                Ok(None) => report.current += 1,
                Ok(Some(sealed)) => {
                    let is_ours = sealed_columns::replace_subaccount_token(
                        conn,
                        &token.account_id,
                        &token.sealed,
                        &sealed,
                    )
                    .await?;
                    *(if is_ours {
                        &mut report.resealed
                    } else {
                        &mut report.changed_meanwhile
                    }) += 1;
                }
                Err(error) => {
                    tracing::error!(account.id = token.account_id, %error, "a token does not open");
                    report.unreadable.push(token.account_id);
                }
            }
        }
    }
}
