//! The ledger: written once, never changed. The database holds that, and that every transaction balances.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::billing::ledger::{Account, Kind, Posted, Posting};
use uuid::Uuid;

/// What is entered about one thing: transactions whose subject is its id, or begins with that and a colon.
pub async fn posted(
    conn: &mut PgConnection,
    account_id: &str,
    about: &str,
) -> sqlx::Result<Posted> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select kind, subject from ledger_transactions
         where account_id = $1 and (subject = $2 or starts_with(subject, $2 || ':'))",
    )
    .bind(account_id)
    .bind(about)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// What is entered of a charge's refunds, in minor units; those that failed are taken off.
pub async fn refunded(
    conn: &mut PgConnection,
    account_id: &str,
    charge_ref: &str,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(e.debit_minor - e.credit_minor), 0)::bigint
         from ledger_transactions t join ledger_entries e using (transaction_id)
         where t.account_id = $1 and t.kind = any($3) and starts_with(t.subject, $2 || ':')
           and e.ledger_account = $4",
    )
    .bind(account_id)
    .bind(charge_ref)
    .bind([Kind::Refunded, Kind::RefundFailed].map(Kind::as_str))
    .bind(Account::Refunds.as_str())
    .fetch_one(conn)
    .await
}

/// Enter transactions of an account. One that is there already is an error: who enters holds the account's lock and
/// has read what is there.
pub async fn post(
    conn: &mut PgConnection,
    account_id: &str,
    currency: &str,
    postings: &[Posting],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    if postings.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = postings.iter().map(|_| Uuid::now_v7()).collect();
    let kinds: Vec<&str> = postings.iter().map(|one| one.kind.as_str()).collect();
    let subjects: Vec<&str> = postings.iter().map(|one| one.subject.as_str()).collect();
    let times: Vec<DateTime<Utc>> = postings.iter().map(|one| one.occurred_at).collect();
    sqlx::query(
        "insert into ledger_transactions (transaction_id, account_id, kind, subject, currency, occurred_at, created_at)
         select transaction_id, $5, kind, subject, $6, occurred_at, $7
         from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
             as new (transaction_id, kind, subject, occurred_at)",
    )
    .bind(&ids)
    .bind(kinds)
    .bind(subjects)
    .bind(times)
    .bind(account_id)
    .bind(currency)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    enter(conn, account_id, &ids, postings).await
}

async fn enter(
    conn: &mut PgConnection,
    account_id: &str,
    ids: &[Uuid],
    postings: &[Posting],
) -> sqlx::Result<()> {
    let mut transactions: Vec<Uuid> = Vec::new();
    let mut lines: Vec<i32> = Vec::new();
    let mut accounts: Vec<&str> = Vec::new();
    let mut amounts: Vec<i64> = Vec::new();
    for (id, posting) in ids.iter().zip(postings) {
        for (line, entry) in (1..).zip(&posting.entries) {
            transactions.push(*id);
            lines.push(line);
            accounts.push(entry.account.as_str());
            amounts.push(entry.amount_minor);
        }
    }
    sqlx::query(
        "insert into ledger_entries (transaction_id, line, account_id, ledger_account, debit_minor, credit_minor)
         select transaction_id, line, $5, ledger_account, greatest(amount, 0), greatest(-amount, 0)
         from unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[])
             as new (transaction_id, line, ledger_account, amount)",
    )
    .bind(transactions)
    .bind(lines)
    .bind(accounts)
    .bind(amounts)
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(())
}
