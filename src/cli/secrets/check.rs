//! Open every token and count the keys: a key that seals nothing may be dropped.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    db::sealed_columns::{self, Column, SealedValue},
    sealed::{self, Keyring},
};

const BATCH: i64 = 200;
const GLANCE: i64 = 20;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// How many tokens each key seals, by its id.
    pub tokens_by_key: BTreeMap<String, u64>,
    /// Whose token or secret does not open.
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
                .map(|owner| format!("does not open: the token of {owner}")),
        );
        lines.join("\n")
    }
}

pub async fn check(conn: &mut PgConnection, keyring: &Keyring) -> sqlx::Result<CheckReport> {
    let mut report = CheckReport::default();
    for column in Column::ALL {
        check_column(conn, keyring, column, &mut report).await?;
    }
    Ok(report)
}

async fn check_column(
    conn: &mut PgConnection,
    keyring: &Keyring,
    column: Column,
    report: &mut CheckReport,
) -> sqlx::Result<()> {
    let mut after = String::new();
    loop {
        let batch = sealed_columns::batch(conn, column, &after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = last.row.clone();
        for value in batch {
            if let Some(id) = sealed::key_id(&value.sealed) {
                *report.tokens_by_key.entry(id.to_owned()).or_default() += 1;
            }
            if keyring
                .open(&value.sealed, column.place(&value.row))
                .is_err()
            {
                report.unreadable.push(column.owner(&value.row));
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
    let mut opened = Vec::new();
    for column in Column::ALL {
        let values = sealed_columns::batch(conn, column, "", GLANCE).await?;
        let open = |value: &SealedValue| keyring.open(&value.sealed, column.place(&value.row));
        opened.extend(values.iter().map(open));
    }
    let mut refusals = opened.into_iter();
    match refusals.next() {
        Some(Err(error)) if refusals.all(|opened| opened.is_err()) => Err(error)
            .context("ENCRYPTION_KEY does not fit this database: set the key it was used with"),
        _ => Ok(()),
    }
}
