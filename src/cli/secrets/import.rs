//! Bring the subaccounts of an older service in, their tokens sealed the new way.
//!
//! Safe to run twice: an account that has a subaccount keeps it. Each row is its own transaction, with its row in
//! `operator_actions`; a refused row says why and stops no other.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::Row;
use crate::{
    db::sealed_columns,
    queue::operate::{By, record},
    sealed::{Keyring, Place, legacy},
};

const ACCOUNT_ID_MAX: usize = 200;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    pub imported: u64,
    /// Of these: stored in plain text before. Whoever could read the old database knows them.
    pub were_plain_text: u64,
    /// The account has this subaccount already.
    pub kept: u64,
    pub refused: Vec<Refused>,
    pub is_dry_run: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub line: usize,
    pub account_id: String,
    pub why: String,
}

impl ImportReport {
    pub fn text(&self) -> String {
        let done = if self.is_dry_run {
            "would be imported"
        } else {
            "imported"
        };
        let mut text = format!(
            "{} subaccounts {done}, {} were here already",
            self.imported, self.kept
        );
        if self.were_plain_text > 0 {
            text += &format!(
                "\n{} tokens were stored in plain text: replace them at Twilio (promote the secondary token)",
                self.were_plain_text
            );
        }
        for row in &self.refused {
            text += &format!(
                "\nrefused: line {} (account {}): {}",
                row.line, row.account_id, row.why
            );
        }
        text
    }
}

enum Imported {
    New { was_plain_text: bool },
    Kept,
    Refused(String),
}

/// `legacy_key` opens the encrypted rows; without it they are refused. Without somebody who does it nothing is stored: it
/// is only said what would be.
pub async fn import(
    conn: &mut PgConnection,
    keyring: &Keyring,
    legacy_key: Option<&SecretString>,
    rows: &[Row],
    by: Option<By<'_>>,
) -> sqlx::Result<ImportReport> {
    let mut report = ImportReport {
        is_dry_run: by.is_none(),
        ..ImportReport::default()
    };
    for row in rows {
        let mut tx = conn.begin().await?;
        match import_row(&mut tx, keyring, legacy_key, row).await? {
            Imported::New { was_plain_text } => {
                report.imported += 1;
                report.were_plain_text += u64::from(was_plain_text);
                if let Some(by) = by {
                    let target = json!({ "account_id": row.account_id });
                    record(&mut tx, "import_secret", by, None, target, 1).await?;
                }
            }
            Imported::Kept => report.kept += 1,
            Imported::Refused(why) => {
                report.refused.push(Refused {
                    line: row.line,
                    account_id: row.account_id.clone(),
                    why,
                });
                tx.rollback().await?;
                continue;
            }
        }
        match by {
            None => tx.rollback().await?,
            Some(_) => tx.commit().await?,
        }
    }
    Ok(report)
}

async fn import_row(
    tx: &mut PgConnection,
    keyring: &Keyring,
    legacy_key: Option<&SecretString>,
    row: &Row,
) -> sqlx::Result<Imported> {
    let token = match check(row).and_then(|()| open(row, legacy_key)) {
        Ok(token) => token,
        Err(why) => return Ok(Imported::Refused(why)),
    };
    match sealed_columns::account_of_subaccount(tx, &row.subaccount_ref).await? {
        Some(owner) if owner == row.account_id => return Ok(Imported::Kept),
        Some(_) => {
            return Ok(Imported::Refused(
                "the subaccount belongs to another account here".to_owned(),
            ));
        }
        None => {}
    }
    let sealed = keyring.seal(&token, Place::subaccount_token(&row.account_id));
    let name = row.friendly_name.as_deref().unwrap_or("imported");
    sealed_columns::insert_account(tx, &row.account_id).await?;
    let is_new = sealed_columns::insert_imported_subaccount(
        tx,
        &row.account_id,
        &row.subaccount_ref,
        name,
        &sealed,
    )
    .await?;
    Ok(match is_new {
        true => Imported::New {
            was_plain_text: !legacy::is_encrypted(row.token.expose_secret()),
        },
        false => Imported::Refused("the account has another subaccount here".to_owned()),
    })
}

fn check(row: &Row) -> Result<(), String> {
    let digits = row.subaccount_ref.strip_prefix("AC").unwrap_or_default();
    if digits.len() != 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("the subaccount's SID is not AC and 32 hexadecimal digits".to_owned());
    }
    if row.account_id.len() > ACCOUNT_ID_MAX {
        return Err(format!(
            "the account id is longer than {ACCOUNT_ID_MAX} bytes"
        ));
    }
    Ok(())
}

/// The token, which at Twilio is always 32 hexadecimal digits: anything else was opened with a wrong
/// key (the old form does not notice) or is no token.
fn open(row: &Row, legacy_key: Option<&SecretString>) -> Result<SecretString, String> {
    let stored = row.token.expose_secret();
    let token = match (legacy::is_encrypted(stored), legacy_key) {
        (false, _) => row.token.clone(),
        (true, Some(key)) => legacy::open(key, stored)
            .map_err(|_| "the token does not open with LEGACY_ENCRYPTION_KEY".to_owned())?,
        (true, None) => return Err("the token is encrypted: set LEGACY_ENCRYPTION_KEY".to_owned()),
    };
    let text = token.expose_secret();
    match text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(token),
        false => Err("the token is not 32 hexadecimal digits: wrong key, or no token".to_owned()),
    }
}
