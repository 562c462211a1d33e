//! Seal every token anew with the first key.
//!
//! Each row is written only if it still holds what was read, so a token that the service changes
//! meanwhile keeps its new value; run again, it finds nothing left to do.

use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    db::sealed_columns::{self, Column, SealedValue},
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

pub async fn rotate(conn: &mut PgConnection, keyring: &Keyring) -> sqlx::Result<RotateReport> {
    let mut report = RotateReport::default();
    for column in Column::ALL {
        rotate_column(conn, keyring, column, &mut report).await?;
    }
    Ok(report)
}

async fn rotate_column(
    conn: &mut PgConnection,
    keyring: &Keyring,
    column: Column,
    report: &mut RotateReport,
) -> sqlx::Result<()> {
    let mut after = String::new();
    loop {
        let batch = sealed_columns::batch(conn, column, &after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = last.row.clone();
        for SealedValue { row, sealed: was } in batch {
            match keyring.reseal(&was, column.place(&row)) {
                Ok(None) => report.current += 1,
                Ok(Some(sealed)) => {
                    let is_ours =
                        sealed_columns::replace(conn, column, &row, &was, &sealed).await?;
                    *(if is_ours {
                        &mut report.resealed
                    } else {
                        &mut report.changed_meanwhile
                    }) += 1;
                }
                Err(error) => {
                    let owner = column.owner(&row);
                    tracing::error!(owner, %error, "a token does not open");
                    report.unreadable.push(owner);
                }
            }
        }
    }
}
