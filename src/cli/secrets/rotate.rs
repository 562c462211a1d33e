//! Seal every token anew with the first key.
//!
//! Each row is written only if it still holds what was read, so a token that the service changes
//! meanwhile keeps its new value; run again, it finds nothing left to do. A batch is one transaction, with its row in
//! `operator_actions`.

use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    db::sealed_columns::{self, Column, SealedValue},
    queue::operate::{By, record},
    sealed::Keyring,
};

const BATCH: i64 = 200;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct RotateReport {
    pub resealed: u64,
    pub current: u64,
    /// Changed by the service while we looked; it seals with the first key too.
    pub changed_meanwhile: u64,
    /// Whose token or secret does not open with any key of the ring. Nothing was done to them.
    pub unreadable: Vec<String>,
}

impl RotateReport {
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} tokens sealed with the first key, {} were already, {} were changed meanwhile",
            self.resealed, self.current, self.changed_meanwhile
        );
        for owner in &self.unreadable {
            text += &format!("\ndoes not open: the token of {owner}");
        }
        text
    }
}

pub async fn rotate(
    conn: &mut PgConnection,
    keyring: &Keyring,
    by: By<'_>,
) -> sqlx::Result<RotateReport> {
    let mut report = RotateReport::default();
    for column in Column::ALL {
        let mut after = String::new();
        loop {
            let batch = sealed_columns::batch(conn, column, &after, BATCH).await?;
            let Some(last) = batch.last() else {
                break;
            };
            after = last.row.clone();
            let mut tx = conn.begin().await?;
            let resealed = rotate_batch(&mut tx, keyring, column, batch, &mut report).await?;
            if resealed > 0 {
                let target = json!({ "column": column.as_str() });
                record(&mut tx, "rotate_secrets", by, None, target, resealed).await?;
            }
            tx.commit().await?;
            report.resealed += resealed as u64;
        }
    }
    Ok(report)
}

/// Answers how many are sealed anew.
async fn rotate_batch(
    tx: &mut PgConnection,
    keyring: &Keyring,
    column: Column,
    batch: Vec<SealedValue>,
    report: &mut RotateReport,
) -> sqlx::Result<i64> {
    let mut resealed = 0;
    for SealedValue { row, sealed: was } in batch {
        match keyring.reseal(&was, column.place(&row)) {
            Ok(None) => report.current += 1,
            Ok(Some(sealed)) => {
                match sealed_columns::replace(tx, column, &row, &was, &sealed).await? {
                    true => resealed += 1,
                    false => report.changed_meanwhile += 1,
                }
            }
            Err(error) => {
                let owner = column.owner(&row);
                tracing::error!(owner, %error, "a token does not open");
                report.unreadable.push(owner);
            }
        }
    }
    Ok(resealed)
}
