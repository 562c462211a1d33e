//! Every sealed column: read in batches, written back only if nobody changed it meanwhile.
//!
//! A table that gets a sealed column gets its line in each of [`Column`]'s matches; a test compares the schema.

use sqlx::{PgConnection, prelude::FromRow};

use crate::sealed::Place;

/// A sealed column of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    PreviousEndpointSecret,
    EndpointSecret,
    RecordingAnalysis,
    RecordingTranscript,
    SpeechAnswer,
    SubaccountToken,
}

impl Column {
    /// All there are, in the order of their names.
    pub const ALL: [Column; 6] = [
        Column::PreviousEndpointSecret,
        Column::EndpointSecret,
        Column::RecordingAnalysis,
        Column::RecordingTranscript,
        Column::SpeechAnswer,
        Column::SubaccountToken,
    ];

    /// As `table.column`.
    pub fn as_str(self) -> &'static str {
        match self {
            Column::PreviousEndpointSecret => "notification_endpoints.previous_secret_sealed",
            Column::EndpointSecret => "notification_endpoints.secret_sealed",
            Column::RecordingAnalysis => "recordings.analysis_sealed",
            Column::RecordingTranscript => "recordings.transcript_sealed",
            Column::SpeechAnswer => "speech_answers.answer_sealed",
            Column::SubaccountToken => "twilio_subaccounts.auth_token_sealed",
        }
    }

    /// Where the value of this row opens.
    pub fn place(self, row: &str) -> Place<'_> {
        match self {
            Column::PreviousEndpointSecret => Place::previous_endpoint_secret(row),
            Column::EndpointSecret => Place::endpoint_secret(row),
            Column::RecordingAnalysis | Column::RecordingTranscript => {
                let (account_id, recording_ref) = key(row);
                let (_, column) = self.as_str().split_once('.').unwrap_or_default();
                Place::of_recording(column, account_id, recording_ref)
            }
            Column::SpeechAnswer => {
                let (account_id, subject) = key(row);
                Place::speech_answer(account_id, subject)
            }
            Column::SubaccountToken => Place::subaccount_token(row),
        }
    }

    /// Whose value it is, for people.
    pub fn owner(self, row: &str) -> String {
        match self {
            Column::SubaccountToken => format!("account {row}"),
            Column::RecordingAnalysis | Column::RecordingTranscript | Column::SpeechAnswer => {
                let (account_id, what) = key(row);
                format!("account {account_id}, {what}")
            }
            Column::EndpointSecret | Column::PreviousEndpointSecret => format!("endpoint {row}"),
        }
    }
}

/// The two parts of a primary key: the account, and what has no blank.
fn key(row: &str) -> (&str, &str) {
    row.rsplit_once(' ').unwrap_or((row, ""))
}

/// A sealed value and the row it stands in.
#[derive(Debug, FromRow)]
pub struct SealedValue {
    /// The row's primary key, as text; of two parts with a blank between them.
    pub row: String,
    pub sealed: String,
}

/// The values of the rows after the given one, in order.
pub async fn batch(
    conn: &mut PgConnection,
    column: Column,
    after: &str,
    rows_max: i64,
) -> sqlx::Result<Vec<SealedValue>> {
    let sql = match column {
        Column::PreviousEndpointSecret => {
            "select endpoint_id::text as row, previous_secret_sealed as sealed from notification_endpoints
             where endpoint_id::text > $1 and previous_secret_sealed is not null
             order by endpoint_id::text limit $2"
        }
        Column::EndpointSecret => {
            "select endpoint_id::text as row, secret_sealed as sealed from notification_endpoints
             where endpoint_id::text > $1 order by endpoint_id::text limit $2"
        }
        Column::RecordingAnalysis => {
            "select account_id || ' ' || recording_ref as row, analysis_sealed as sealed from recordings
             where (account_id, recording_ref) > ($3, $4) and analysis_sealed is not null
             order by account_id, recording_ref limit $2"
        }
        Column::RecordingTranscript => {
            "select account_id || ' ' || recording_ref as row, transcript_sealed as sealed from recordings
             where (account_id, recording_ref) > ($3, $4) and transcript_sealed is not null
             order by account_id, recording_ref limit $2"
        }
        Column::SpeechAnswer => {
            "select account_id || ' ' || subject as row, answer_sealed as sealed from speech_answers
             where (account_id, subject) > ($3, $4) order by account_id, subject limit $2"
        }
        Column::SubaccountToken => {
            "select account_id as row, auth_token_sealed as sealed from twilio_subaccounts
             where account_id > $1 and auth_token_sealed is not null order by account_id limit $2"
        }
    };
    let (account_id, of_account) = key(after);
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "with given as (select $1::text, $3::text, $4::text) {sql}"
    )))
    .bind(after)
    .bind(rows_max)
    .bind(account_id)
    .bind(of_account)
    .fetch_all(conn)
    .await
}

/// Write the value sealed anew. False when it was changed since it was read: the change stays.
pub async fn replace(
    conn: &mut PgConnection,
    column: Column,
    row: &str,
    was: &str,
    sealed: &str,
) -> sqlx::Result<bool> {
    let sql = match column {
        Column::PreviousEndpointSecret => {
            "update notification_endpoints set previous_secret_sealed = $3
             where endpoint_id::text = $1 and previous_secret_sealed = $2"
        }
        Column::EndpointSecret => {
            "update notification_endpoints set secret_sealed = $3
             where endpoint_id::text = $1 and secret_sealed = $2"
        }
        Column::RecordingAnalysis => {
            "update recordings set analysis_sealed = $3
             where account_id = $4 and recording_ref = $5 and analysis_sealed = $2"
        }
        Column::RecordingTranscript => {
            "update recordings set transcript_sealed = $3
             where account_id = $4 and recording_ref = $5 and transcript_sealed = $2"
        }
        Column::SpeechAnswer => {
            "update speech_answers set answer_sealed = $3
             where account_id = $4 and subject = $5 and answer_sealed = $2"
        }
        Column::SubaccountToken => {
            "update twilio_subaccounts set auth_token_sealed = $3, updated_at = now()
             where account_id = $1 and auth_token_sealed = $2"
        }
    };
    let (account_id, of_account) = key(row);
    let done = sqlx::query(sqlx::AssertSqlSafe(format!(
        "with given as (select $1::text, $4::text, $5::text) {sql}"
    )))
    .bind(row)
    .bind(was)
    .bind(sealed)
    .bind(account_id)
    .bind(of_account)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The account whose subaccount this is.
pub async fn account_of_subaccount(
    conn: &mut PgConnection,
    subaccount_ref: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select account_id from twilio_subaccounts where subaccount_ref = $1")
        .bind(subaccount_ref)
        .fetch_optional(conn)
        .await
}

/// The account, if it is not known yet.
pub async fn insert_account(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<()> {
    sqlx::query("insert into accounts (account_id) values ($1) on conflict do nothing")
        .bind(account_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// A subaccount that exists at the provider. False when the account has one already: it stays.
pub async fn insert_imported_subaccount(
    conn: &mut PgConnection,
    account_id: &str,
    subaccount_ref: &str,
    friendly_name: &str,
    sealed: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into twilio_subaccounts (account_id, subaccount_ref, friendly_name, status, auth_token_sealed)
         values ($1, $2, $3, 'active', $4)
         on conflict (account_id) do nothing",
    )
    .bind(account_id)
    .bind(subaccount_ref)
    .bind(friendly_name)
    .bind(sealed)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
