//! What an app may see of an account. Every function runs in a transaction of
//! [`super::as_account`]; the account is named in the statement as well, for the index and because
//! two locks are better than one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Whether the account is known at all.
pub async fn has_account(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from accounts where account_id = $1)")
        .bind(account_id)
        .fetch_one(conn)
        .await
}

/// Where an account's telephony stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Telephony {
    /// pending, provisioning, active, suspended, failed or released.
    pub status: String,
    /// Why it is suspended or failed.
    pub why: Option<String>,
    pub created_at: DateTime<Utc>,
    /// E.164; the account's first number at Twilio, once it is bought.
    pub phone_number: Option<String>,
    /// Whether that number takes calls.
    pub has_active_number: bool,
    /// A number is bought only when its user asks for one.
    pub number_on_demand: bool,
}

pub async fn telephony(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<Telephony>> {
    sqlx::query_as(
        "select t.status, t.why, t.created_at, t.number_on_demand, n.phone_number,
                coalesce(n.status = 'active', false) as has_active_number
         from telephony t
         left join lateral (
             select phone_number, status
             from phone_numbers
             where account_id = t.account_id and provider = 'twilio' and status in ('configuring', 'active', 'suspended')
             order by status = 'active' desc, is_primary desc, purchased_at, id
             limit 1
         ) n on true
         where t.account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// An account's subaccount at Twilio, without its token.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Subaccount {
    /// `AC…`
    pub subaccount_ref: String,
    pub friendly_name: String,
    /// active, suspended or closed.
    pub status: String,
    pub created_at: DateTime<Utc>,
}

/// None while it is only ordered.
pub async fn subaccount(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Option<Subaccount>> {
    sqlx::query_as(
        "select subaccount_ref, friendly_name, status, created_at from twilio_subaccounts
         where account_id = $1 and status <> 'ordered'",
    )
    .bind(account_id)
    .fetch_optional(conn)
    .await
}

/// A number an account holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PhoneNumber {
    pub id: Uuid,
    pub account_id: String,
    /// twilio or voipms.
    pub provider: String,
    /// E.164.
    pub phone_number: String,
    /// `PN…`; at VoIP.ms its ten digits.
    pub number_ref: String,
    pub friendly_name: Option<String>,
    /// As the provider spells them.
    pub capabilities: Option<Value>,
    pub is_primary: bool,
    pub status: String,
    pub purchased_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

macro_rules! numbers_in_use {
    ($which:literal) => {
        concat!(
            "select id, account_id, provider, phone_number, number_ref, friendly_name, capabilities, is_primary,
                    status, purchased_at, created_at, updated_at
             from phone_numbers
             where account_id = $1 and status = 'active' ",
            $which
        )
    };
}

/// The numbers in use, the primary one first.
pub async fn active_numbers(
    conn: &mut PgConnection,
    account_id: &str,
) -> sqlx::Result<Vec<PhoneNumber>> {
    sqlx::query_as(numbers_in_use!(
        "order by is_primary desc, purchased_at, id"
    ))
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Every number that calls come to, in use or suspended.
pub async fn held_numbers(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select phone_number from phone_numbers
         where account_id = $1 and status not in ('ordered', 'buying', 'released') order by phone_number",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// A number in use.
pub async fn active_number(
    conn: &mut PgConnection,
    account_id: &str,
    id: Uuid,
) -> sqlx::Result<Option<PhoneNumber>> {
    sqlx::query_as(numbers_in_use!("and id = $2"))
        .bind(account_id)
        .bind(id)
        .fetch_optional(conn)
        .await
}
