//! Open every token and count the keys: a key that seals nothing may be dropped.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    db::sealed_columns,
    sealed::{self, Keyring, Place},
};

const BATCH: i64 = 200;
const GLANCE: i64 = 20;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// How many tokens each key seals, by its id.
    pub tokens_by_key: BTreeMap<String, u64>,
    /// The accounts whose token does not open.
    pub unreadable: Vec<String>,
}

impl CheckReport {
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .tokens_by_key
            .iter()
            .map(|(id, tokens)| format!("key {id} seals {tokens} tokens"))
            .collect();
        if lines.is_empty() {
            lines.push("there are no sealed tokens".to_owned());
        }
        lines.extend(
            self.unreadable
                .iter()
                .map(|id| format!("does not open: the token of account {id}")),
        );
        lines.join("\n")
    }
}

pub async fn check(conn: &mut PgConnection, keyring: &Keyring) -> sqlx::Result<CheckReport> {
    let mut report = CheckReport::default();
    let mut after = String::new();
    loop {
        let batch = sealed_columns::subaccount_tokens(conn, &after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(report);
        };
        after = last.account_id.clone();
        for token in batch {
            if let Some(id) = sealed::key_id(&token.sealed) {
                *report.tokens_by_key.entry(id.to_owned()).or_default() += 1;
            }
            if keyring
                .open(&token.sealed, Place::subaccount_token(&token.account_id))
                .is_err()
            {
                report.unreadable.push(token.account_id);
            }
        }
    }
}

/// Whether a role may start with these keys: not when tokens are there and none of the first ones
/// opens. Somebody lost the key, or names another database.
pub async fn require_fitting_keys(
    conn: &mut PgConnection,
    keyring: &Keyring,
) -> anyhow::Result<()> {
    let tokens = sealed_columns::subaccount_tokens(conn, "", GLANCE).await?;
    let open = |token: &sealed_columns::SealedToken| {
        keyring.open(&token.sealed, Place::subaccount_token(&token.account_id))
    };
    let mut refusals = tokens.iter().map(open);
    match refusals.next() {
        Some(Err(error)) if refusals.all(|opened| opened.is_err()) => Err(error)
            .context("ENCRYPTION_KEY does not fit this database: set the key it was used with"),
        _ => Ok(()),
    }
}
