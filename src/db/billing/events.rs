//! What happened to accounts' money, in words, once each.

use sqlx::PgConnection;
use tollkeeper_jobs::billing::history::NewEvent;
use uuid::Uuid;

/// Tell these of an account; those that were told before are left as they are.
pub async fn tell(
    conn: &mut PgConnection,
    account_id: &str,
    events: &[NewEvent],
) -> sqlx::Result<()> {
    fn column<'a, T>(events: &'a [NewEvent], of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
        events.iter().map(of).collect()
    }
    if events.is_empty() {
        return Ok(());
    }
    let amounts = || events.iter().map(|event| event.amount.as_ref());
    sqlx::query(
        "insert into billing_events
             (event_id, account_id, event_type, occasion, amount_minor, currency, description, occurred_at)
         select event_id, $8, event_type, occasion, amount_minor, currency, description, occurred_at
         from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
             as new (event_id, event_type, occasion, amount_minor, currency, description, occurred_at)
         on conflict (account_id, event_type, occasion) do nothing",
    )
    .bind(column(events, |_| Uuid::now_v7()))
    .bind(column(events, |event| event.event_type))
    .bind(column(events, |event| event.occasion.as_str()))
    .bind(amounts().map(|amount| Some(amount?.minor)).collect::<Vec<_>>())
    .bind(amounts().map(|amount| Some(amount?.currency.as_str())).collect::<Vec<_>>())
    .bind(column(events, |event| event.description.as_str()))
    .bind(column(events, |event| event.occurred_at))
    .bind(account_id)
    .execute(conn)
    .await?;
    Ok(())
}
