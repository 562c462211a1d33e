//! What calls and messages used, as it was metered, with what the provider takes for it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use tollkeeper_jobs::{
    compare_usage::Came,
    telephony::{
        costs::{Kind, Used},
        outbound::Carrier,
    },
    usage::{MicroUnits, Span},
};
use uuid::Uuid;

use super::phone_log::Page;

/// Uses that are alike.
#[derive(Debug, Clone, FromRow)]
pub struct Alike {
    /// twilio or voipms.
    source: String,
    is_call: bool,
    is_inbound: bool,
    has_media: bool,
    called: Option<String>,
    count: i64,
    quantity: i64,
    seconds: i64,
    cost_micros: Option<i64>,
}

impl From<Alike> for Used {
    fn from(row: Alike) -> Used {
        Used {
            carrier: Carrier::of(&row.source),
            is_call: row.is_call,
            is_inbound: row.is_inbound,
            has_media: row.has_media,
            called: row.called,
            count: row.count.unsigned_abs(),
            quantity: MicroUnits(row.quantity),
            seconds: row.seconds.unsigned_abs(),
            cost_micros: row.cost_micros,
        }
    }
}

/// One call or message that was metered.
#[derive(Debug, Clone, FromRow)]
pub struct One {
    pub event_id: Uuid,
    /// The provider's id of the call or the message.
    pub source_id: String,
    pub occurred_at: DateTime<Utc>,
    /// The account's own number that it came to or went from, as `legacy.phone_usage_records` finds it.
    pub phone_number_id: Option<Uuid>,
    /// What was given along with the use; empty where nothing was.
    pub metadata: Value,
    #[sqlx(flatten)]
    alike: Alike,
}

impl One {
    pub fn used(&self) -> Used {
        self.alike.clone().into()
    }
}

/// Each use that a provider's word was metered for, beside the call or the message that it was.
const USES: &str = "
    select e.event_id, e.source, e.source_id, e.occurred_at, e.quantity, coalesce(e.metadata, '{}') as metadata,
           e.feature = 'voice_minutes' as is_call,
           coalesce(c.direction, m.direction, 'outbound') = 'inbound' as is_inbound, coalesce(m.media, 0) > 0 as has_media,
           case c.direction when 'inbound' then c.to_number end as called, coalesce(c.seconds, 0)::bigint as seconds,
           coalesce(c.cost_micros, m.cost_micros) as cost_micros,
           coalesce(case c.direction when 'inbound' then c.to_number else c.from_number end, m.our_number) as our_number
    from usage_events e
    left join calls c on e.feature = 'voice_minutes' and c.account_id = e.account_id and c.call_ref = e.source_id
    left join messages m on e.feature = 'sms' and m.account_id = e.account_id and m.message_ref = e.source_id
    where e.account_id = $1 and e.feature in ('voice_minutes', 'sms') and e.source in ('twilio', 'voipms')
      and e.occurred_at >= $2 and e.occurred_at < $3";

/// All that an account used in a span of time, what is alike put together.
pub async fn alike(
    conn: &mut PgConnection,
    account_id: &str,
    span: Span,
) -> sqlx::Result<Vec<Alike>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select source, is_call, is_inbound, has_media, called, count(*) as count, sum(quantity)::bigint as quantity,
                sum(seconds)::bigint as seconds, sum(cost_micros)::bigint as cost_micros
         from ({USES}) used
         group by source, is_call, is_inbound, has_media, called, cost_micros is null"
    )))
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_all(conn)
    .await
}

/// Each of them, the newest first.
pub async fn list(
    conn: &mut PgConnection,
    account_id: &str,
    span: Span,
    kind: Option<Kind>,
    page: &Page<'_>,
) -> sqlx::Result<Vec<One>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select one.*, 1::bigint as count,
                (select n.id from phone_numbers n where n.account_id = $1 and n.phone_number = one.our_number
                 order by n.released_at desc nulls first limit 1) as phone_number_id
         from (select * from ({USES}) used
               where ($4::boolean is null or is_call = $4)
                 and ($4 is not false or (is_inbound = $5 and has_media = $6))
                 and ($7::timestamptz is null or (occurred_at, source_id) < ($7, $8))
               order by occurred_at desc, source_id desc limit $9) one
         order by occurred_at desc, source_id desc"
    )))
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(kind.map(Kind::is_call))
    .bind(kind.map(Kind::is_inbound))
    .bind(kind.map(Kind::has_media))
    .bind(page.behind.map(|(occurred_at, _)| occurred_at))
    .bind(page.behind.map(|(_, id)| id))
    .bind(page.limit)
    .fetch_all(conn)
    .await
}

/// The minutes and segments that were metered on Twilio's word.
pub async fn came_to(conn: &mut PgConnection, account_id: &str, span: Span) -> sqlx::Result<Came> {
    let (minutes, segments) = sqlx::query_as(
        "select coalesce(sum(quantity) filter (where feature = 'voice_minutes'), 0)::bigint,
                coalesce(sum(quantity) filter (where feature = 'sms'), 0)::bigint
         from usage_events
         where account_id = $1 and feature in ('voice_minutes', 'sms') and source = 'twilio'
           and occurred_at >= $2 and occurred_at < $3",
    )
    .bind(account_id)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .fetch_one(conn)
    .await?;
    Ok(Came {
        minutes: MicroUnits(minutes),
        segments: MicroUnits(segments),
    })
}

/// The minutes of calls that began before a day and ended on it, or began on it and ended after it.
pub async fn over_midnight(
    conn: &mut PgConnection,
    account_id: &str,
    day: Span,
) -> sqlx::Result<MicroUnits> {
    let minutes = sqlx::query_scalar(
        "select coalesce(sum(e.quantity), 0)::bigint
         from usage_events e join calls c on c.account_id = e.account_id and c.call_ref = e.source_id
         cross join lateral (select e.occurred_at - make_interval(secs => c.seconds) as began_at) first
         where e.account_id = $1 and e.feature = 'voice_minutes' and e.source = 'twilio'
           and e.occurred_at >= $2 and e.occurred_at < $3 + interval '1 day'
           and (first.began_at < $2 or (first.began_at < $3 and e.occurred_at >= $3))",
    )
    .bind(account_id)
    .bind(day.starts_at)
    .bind(day.ends_at)
    .fetch_one(conn)
    .await?;
    Ok(MicroUnits(minutes))
}
