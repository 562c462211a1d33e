//! Accounts, and which Stripe customer is whose.

use sqlx::PgConnection;

/// Make sure the account is there; an address given now replaces the one before.
pub async fn ensure(
    conn: &mut PgConnection,
    account_id: &str,
    email: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into accounts as a (account_id, email) values ($1, $2)
         on conflict (account_id) do update set email = excluded.email, updated_at = now()
         where excluded.email is not null and a.email is distinct from excluded.email",
    )
    .bind(account_id)
    .bind(email)
    .execute(conn)
    .await?;
    Ok(())
}

/// Lock the account until the transaction ends: every decision about its telephony is taken under
/// this lock. False: there is no such account.
pub async fn lock(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<bool> {
    let found: Option<bool> =
        sqlx::query_scalar("select true from accounts where account_id = $1 for update")
            .bind(account_id)
            .fetch_optional(conn)
            .await?;
    Ok(found.is_some())
}

/// Lock these accounts until the transaction ends, in their order, so that two callers never lock each other out.
pub async fn lock_all(conn: &mut PgConnection, account_ids: &[&str]) -> sqlx::Result<()> {
    sqlx::query("select from accounts where account_id = any($1) order by account_id for update")
        .bind(account_ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// Who is known by this e-mail address, whatever its letters' case; ten at most, two are too many.
pub async fn by_email(conn: &mut PgConnection, email: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select account_id from accounts where lower(email) = lower($1) limit 10")
        .bind(email)
        .fetch_all(conn)
        .await
}

/// The account's e-mail address, as far as we know.
pub async fn email(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Option<String>> {
    let found: Option<Option<String>> =
        sqlx::query_scalar("select email from accounts where account_id = $1")
            .bind(account_id)
            .fetch_optional(conn)
            .await?;
    Ok(found.flatten())
}

/// Where the account's days begin, by an IANA name.
pub async fn set_time_zone(
    conn: &mut PgConnection,
    account_id: &str,
    time_zone: &str,
) -> sqlx::Result<()> {
    sqlx::query("update accounts set time_zone = $2, updated_at = now() where account_id = $1")
        .bind(account_id)
        .bind(time_zone)
        .execute(conn)
        .await?;
    Ok(())
}

/// Remember whose customer this is. False: it was somebody's already, and stays theirs.
pub async fn map_customer(
    conn: &mut PgConnection,
    customer_ref: &str,
    account_id: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into stripe_customers (customer_ref, account_id) values ($1, $2)
         on conflict (customer_ref) do nothing",
    )
    .bind(customer_ref)
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The account's Stripe customers that are not deleted.
pub async fn customers(conn: &mut PgConnection, account_id: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select customer_ref from stripe_customers
         where account_id = $1 and deleted_at is null order by customer_ref",
    )
    .bind(account_id)
    .fetch_all(conn)
    .await
}

/// Whose customer it is, as far as we know.
pub async fn of_customer(
    conn: &mut PgConnection,
    customer_ref: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select account_id from stripe_customers where customer_ref = $1")
        .bind(customer_ref)
        .fetch_optional(conn)
        .await
}

/// Stripe deleted the customer. False: it is not ours, or was marked before.
pub async fn customer_deleted(conn: &mut PgConnection, customer_ref: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update stripe_customers set deleted_at = now() where customer_ref = $1 and deleted_at is null",
    )
    .bind(customer_ref)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
