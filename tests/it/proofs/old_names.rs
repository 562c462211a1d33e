//! Programs that read the replaced services' tables find them under their names, and in them their own account's rows.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tollkeeper::db;

use super::isolation::tenants::{TENANTS, house};
use crate::support::cluster;

/// The tables that were read, with the columns they had. A user was a UUID in some of them; here it is the app's own id.
pub const TABLES: [(&str, &str); 10] = [
    (
        "call_logs",
        "id uuid, call_sid character varying, phone_number_id uuid, from_number character varying, \
         to_number character varying, direction text, status character varying, duration integer, recording_url text, \
         recording_sid character varying, transcription text, ai_summary text, price numeric(10,4), \
         price_unit character varying, user_id text, metadata jsonb, created_at timestamp with time zone, \
         answered_at timestamp with time zone, ended_at timestamp with time zone, phone_number_sid text, \
         transcription_id uuid, updated_at timestamp with time zone",
    ),
    (
        "call_recordings",
        "recording_sid character varying, call_sid character varying, recording_url text, duration integer, \
         transcription_id uuid, status text, user_id text, created_at timestamp with time zone, \
         updated_at timestamp with time zone",
    ),
    (
        "phone_numbers",
        "id uuid, phone_number character varying, friendly_name text, capabilities jsonb, provider text, \
         provider_sid text, monthly_cost numeric(10,2), status text, assigned_to text, metadata jsonb, \
         created_at timestamp with time zone, updated_at timestamp with time zone",
    ),
    (
        "phone_system_config",
        "id uuid, user_id text, config_type text, config_data jsonb, is_active boolean, \
         created_at timestamp with time zone, updated_at timestamp with time zone",
    ),
    (
        "phone_usage_records",
        "id uuid, phone_number_id uuid, user_id text, type text, quantity numeric(10,2), unit_cost numeric(10,4), \
         total_cost numeric(10,4), billing_period date, metadata jsonb, created_at timestamp with time zone",
    ),
    (
        "sms_conversations",
        "id uuid, phone_number_id uuid, participant_number character varying, last_message_at timestamp with time zone, \
         last_message_preview text, unread_count integer, is_archived boolean, metadata jsonb, \
         created_at timestamp with time zone",
    ),
    (
        "sms_messages",
        "id uuid, message_sid character varying, phone_number_id uuid, from_number character varying, \
         to_number character varying, body text, num_segments integer, direction text, status character varying, \
         price numeric(10,4), price_unit character varying, error_code text, error_message text, user_id text, \
         conversation_id uuid, metadata jsonb, created_at timestamp with time zone, sent_at timestamp with time zone, \
         delivered_at timestamp with time zone, num_media integer, updated_at timestamp with time zone",
    ),
    (
        "twilio_calls",
        "id uuid, call_sid character varying, from_number character varying, to_number character varying, \
         phone_number_sid text, direction text, status character varying, duration integer, recording_url text, \
         recording_sid character varying, transcription_id uuid, user_id text, metadata jsonb, \
         created_at timestamp with time zone, updated_at timestamp with time zone",
    ),
    (
        "twilio_recordings",
        "recording_sid character varying, call_sid character varying, recording_url text, duration integer, status text, \
         transcription_id uuid, user_id text, created_at timestamp with time zone, updated_at timestamp with time zone",
    ),
    (
        "twilio_sms",
        "id uuid, message_sid character varying, from_number character varying, to_number character varying, body text, \
         num_segments integer, num_media integer, direction text, status character varying, error_code text, user_id text, \
         metadata jsonb, created_at timestamp with time zone, updated_at timestamp with time zone",
    ),
];

#[tokio::test]
async fn every_old_table_has_its_old_columns() {
    let db = cluster::fresh_database().await;
    let found: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
         where c.relnamespace = 'legacy'::regnamespace group by 1 order by 1",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let expected = TABLES.map(|(table, columns)| (table.to_owned(), columns.to_owned()));
    assert_eq!(found, expected);
}

/// The rows of an old table, as this account; None when that is refused.
pub async fn seen(db: &PgPool, account_id: &str, table: &str) -> Option<Vec<Value>> {
    let mut tx = db::as_account(db, account_id).await.unwrap();
    let sql = format!("select to_jsonb(t) from legacy.{table} t");
    let rows = sqlx::query_scalar(AssertSqlSafe(sql));
    rows.fetch_all(&mut *tx).await.ok()
}

#[tokio::test]
async fn an_account_sees_its_own_rows_under_the_old_names_and_changes_nothing() {
    let web = house().await;
    let db = &web.service.db;
    web.service
        .execute(
            "update phone_system_config
             set config = jsonb_build_object('greeting', account_id, 'forwarding', '{\"enabled\": false}'::jsonb)",
        )
        .await;
    let [own, other] = &TENANTS;
    for (table, _) in TABLES {
        let rows = seen(db, own.id, table).await.unwrap();
        let text = json!(rows).to_string();
        let count = if table == "phone_system_config" { 2 } else { 1 };
        assert_eq!(rows.len(), count, "{table}: {text}");
        assert_eq!(other.trace_in(&text), None, "{table}: {text}");
        for nobody in ["", "carl", "%"] {
            assert_eq!(
                seen(db, nobody, table).await,
                Some(vec![]),
                "{table} as {nobody:?}"
            );
        }
        // Whoever may see all accounts sees here the one that is named.
        let without: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from legacy.{table}"
        )))
        .fetch_one(db)
        .await
        .unwrap();
        assert_eq!(without, 0, "{table}");
        for write in [
            "delete from legacy.{}",
            "insert into legacy.{} default values",
        ] {
            let mut tx = db::as_account(db, own.id).await.unwrap();
            let done = sqlx::query(AssertSqlSafe(write.replace("{}", table)))
                .execute(&mut *tx)
                .await;
            assert!(done.is_err(), "{table}: {write}");
        }
    }
}

#[tokio::test]
async fn what_became_of_a_call_and_a_message_stands_under_the_old_names() {
    let web = house().await;
    let db = &web.service.db;
    let ann = &TENANTS[0];
    web.service
        .execute(
            "update calls set direction = 'inbound', from_number = '+14155550177', seconds = 61, cost_micros = 17000,
                              began_at = '2026-11-20T10:00:00Z', ended_at = '2026-11-20T10:01:05Z'",
        )
        .await;
    web.service
        .execute("update messages set direction = 'inbound', from_number = '+14155550177', media = 1, segments = 2")
        .await;
    web.service
        .execute(
            "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                       per, window_starts_at, day_starts_at, tier)
             select gen_random_uuid(), account_id, 'voice_minutes', 'twilio', call_ref, 2000000, ended_at, now(), 'day',
                    now(), now(), 'x' from calls",
        )
        .await;
    let of = async |table| seen(db, ann.id, table).await.unwrap();
    let number = &of("phone_numbers").await[0];
    assert_eq!(
        number["capabilities"],
        json!({"voice": false, "SMS": false, "MMS": false})
    );

    let call = &of("call_logs").await[0];
    let shown = json!([
        call["call_sid"],
        call["duration"],
        call["price"],
        call["price_unit"],
        call["phone_number_id"],
        call["answered_at"]
    ]);
    let answered = "2026-11-20T10:00:04+00:00";
    assert_eq!(
        shown,
        json!([ann.call, 61, 0.017, "USD", number["id"], answered])
    );
    let recording = &of("twilio_recordings").await[0];
    assert_eq!(call["recording_sid"], recording["recording_sid"]);
    assert_eq!(call["recording_url"], recording["recording_url"]);
    assert_eq!(recording["status"], "completed");

    let (message, conversation) = (
        &of("sms_messages").await[0],
        &of("sms_conversations").await[0],
    );
    assert_eq!(message["conversation_id"], conversation["id"]);
    assert_eq!(conversation["participant_number"], "+14155550177");
    assert_eq!(conversation["last_message_preview"], message["body"]);

    let used = of("phone_usage_records").await;
    let of_call = used.iter().find(|row| row["quantity"] == 2.0).unwrap();
    let shown = json!([
        of_call["type"],
        of_call["unit_cost"],
        of_call["total_cost"],
        of_call["billing_period"]
    ]);
    assert_eq!(shown, json!(["call_minutes", 0.0085, 0.017, "2026-11-01"]));
}
