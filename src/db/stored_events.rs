//! Stored webhooks, as the jobs behind them see them.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(Debug, Clone, FromRow)]
pub struct StoredWebhook {
    pub id: Uuid,
    pub provider: String,
    pub kind: String,
    pub body: Vec<u8>,
}

pub async fn load(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<StoredWebhook>> {
    sqlx::query_as("select id, provider, kind, body from webhooks where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// What became of it: `handled`, `ignored` or `held`.
pub async fn mark(conn: &mut PgConnection, id: Uuid, state: &str) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update webhooks set state = $2, handled_at = now() where id = $1 and state <> $2",
    )
    .bind(id)
    .bind(state)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Store a Stripe event that was fetched instead of delivered. None: it is stored already.
pub async fn store_polled(
    conn: &mut PgConnection,
    event_ref: &str,
    kind: &str,
    body: &[u8],
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, source)
         values ($1, 'stripe', $2, $3, 'poll', '{}', $4, 'stored', 'poll')
         on conflict (provider, event_key) do nothing
         returning id",
    )
    .bind(Uuid::now_v7())
    .bind(event_ref)
    .bind(kind)
    .bind(body)
    .fetch_optional(conn)
    .await
}
