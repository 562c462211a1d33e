//! Two tenants with rows in every table, and pictures of what is stored of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secrecy::SecretString;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use tollkeeper::{http::api::Options, sealed::Place};

use crate::support::{
    api::JWT_SECRET,
    service::Service,
    web::{self, Web},
};

pub struct Tenant {
    /// Stands in every text of the tenant's rows.
    pub id: &'static str,
    pub number: &'static str,
    pub subaccount: &'static str,
    /// No other tenant's: answers about usage name nobody, and show this.
    pub tier: &'static str,
    /// What they hold, and a use of theirs.
    pub hold: &'static str,
    pub event: &'static str,
    /// A call of theirs, and what was said in it.
    pub call: &'static str,
    pub transcription: &'static str,
    /// What Twilio signs this subaccount's callbacks with.
    pub token: &'static str,
}

pub const TENANTS: [Tenant; 2] = [
    Tenant {
        id: "tenant-ann-7f3a",
        number: "+14155550100",
        subaccount: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        tier: "repx3",
        hold: "0197aaaa-0000-7000-8000-00000000000a",
        event: "0197aaaa-0000-7000-8000-00000000000e",
        call: "CA0000000000000000000000000000aaaa",
        transcription: "0197aaaa-0000-7000-8000-0000000000ff",
        token: "the-token-of-ann",
    },
    Tenant {
        id: "tenant-bob-91c2",
        number: "+16465550101",
        subaccount: "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        tier: "repx4",
        hold: "0197bbbb-0000-7000-8000-00000000000a",
        event: "0197bbbb-0000-7000-8000-00000000000e",
        call: "CA0000000000000000000000000000bbbb",
        transcription: "0197bbbb-0000-7000-8000-0000000000ff",
        token: "the-token-of-bob",
    },
];

/// A digest of the rows of every owner (nobody's under an empty name) in every table.
pub type Picture = BTreeMap<(String, String), String>;

impl Tenant {
    /// What of this tenant stands in the text.
    pub fn trace_in(&self, text: &str) -> Option<&'static str> {
        let markers = [
            self.id,
            self.number,
            self.subaccount,
            self.tier,
            self.hold,
            self.event,
            self.call,
            self.transcription,
            self.token,
        ];
        markers.into_iter().find(|marker| text.contains(marker))
    }
}

/// The web role over both tenants; orders are answered at once.
pub async fn house() -> Web {
    let service = Service::with(|config| {
        config.jwt.secret = Some(JWT_SECRET.to_owned().into());
        config.voipms.callback_tokens = vec![VOIPMS_TOKEN.into()];
        config.http.store_deadline = Duration::from_secs(30);
    })
    .await;
    let options = Options {
        provision_wait: Duration::ZERO,
        ..web::options()
    };
    let web = Web::told(service, options);
    for tenant in &TENANTS {
        furnish(&web.service, tenant).await;
    }
    for table in tables_of_accounts(&web.service.db).await {
        for tenant in &TENANTS {
            let sql = format!("select count(*) from {table} where account_id = $1");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(tenant.id)
                .fetch_one(&web.service.db)
                .await
                .unwrap();
            assert!(
                rows > 0,
                "give {} rows in {table}: here, in `furnish`",
                tenant.id
            );
        }
    }
    web
}

pub const VOIPMS_TOKEN: &str = "9f1c_SECRET_PATH_TOKEN";

/// A subscriber with everything: a subaccount, an active number, jobs, history, findings.
pub async fn furnish(service: &Service, tenant: &Tenant) {
    let place = Place::subaccount_token(tenant.id);
    let token = service
        .ctx
        .keyring
        .seal(&SecretString::from(tenant.token), place);
    let seal = |text: &str, place| service.ctx.keyring.seal(&SecretString::from(text), place);
    let recording = format!("RE{}", &tenant.call[2..]);
    let of_recording = |column| Place::of_recording(column, tenant.id, &recording);
    let analysis = json!({
        "summary": format!("{} called", tenant.number), "keyPoints": [], "painPoints": [], "objections": [],
        "actionItems": [], "sentiment": "neutral",
    });
    let transcript = seal(tenant.number, of_recording("transcript_sealed"));
    let analysis = seal(&analysis.to_string(), of_recording("analysis_sealed"));
    let answer = seal(
        tenant.number,
        Place::speech_answer(tenant.id, tenant.transcription),
    );
    let rows = [
        "insert into accounts (account_id, email) values ($1, $1 || '@example.com') on conflict do nothing",
        "insert into stripe_customers (customer_ref, account_id) values ('cus_' || $1, $1) on conflict do nothing",
        "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, period_starts_at, period_ends_at,
                                    created_at, synced_at)
         values ('sub_' || $1, $1, 'cus_' || $1, 'active', $5, now() - interval '15 days', now() + interval '15 days',
                 now(), now()) on conflict do nothing",
        "insert into findings (id, kind, subject, account_id, detail)
         values (gen_random_uuid(), 'test', $1, $1, '{}') on conflict do nothing",
        "insert into provider_calls (id, provider, kind, subject, account_id, state, request_sha256)
         values (gen_random_uuid(), 'twilio', 'test', $1, $1, 'done', '') on conflict do nothing",
        "insert into telephony (account_id, status, why) values ($1, 'active', $1)",
        "insert into twilio_subaccounts (account_id, subaccount_ref, friendly_name, status, auth_token_sealed)
         values ($1, $2, $1, 'active', $4)",
        "insert into phone_numbers (id, account_id, status, phone_number, number_ref, friendly_name, purchased_at)
         values (gen_random_uuid(), $1, 'active', $3, 'PN' || $1, $1, now())",
        "insert into notifications (notification_id, account_id, type, occasion, data)
         values (gen_random_uuid(), $1, 'usage.threshold', $1, '{}') on conflict do nothing",
        "insert into queue.jobs (id, kind, key, account_id, lane, state, run_at, attempts_max, version, payload)
         values (gen_random_uuid(), 'release_number', $1, $1, 'money', 'waiting', now() + interval '1 year', 9, 1, '{}')
         on conflict do nothing",
        "insert into queue.finished_jobs (id, kind, key, account_id, lane, priority, state, run_at, attempts_max, failures,
                                          crashes, attempt, version, payload, created_at, finished_at)
         select gen_random_uuid(), 'test', $1, $1, 'money', 0, 'done', now(), 9, 0, 0, 1, 1, '{}', now(), now()
         where not exists (select from queue.finished_jobs where account_id = $1)",
        "insert into queue.job_attempts (job_id, attempt, account_id, started_at, finished_at, outcome)
         select gen_random_uuid(), 1, $1, now(), now(), 'done'
         where not exists (select from queue.job_attempts where account_id = $1)",
        "delete from usage_keys where account_id = $1",
        "delete from usage_events where account_id = $1",
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         values ($7::uuid, $1, 'voice_minutes', 'twilio', $7, 1000000, now(), now(), 'day', '2026-01-01Z', '2026-01-01Z', $5)",
        "insert into usage_keys (account_id, source, source_id, feature, event_id, request_sha256, created_at)
         values ($1, 'app', $1, '', $7::uuid, '', now())",
        "insert into usage_counters (account_id, per, starts_at, feature, ends_at, day, quantity, events)
         values ($1, 'day', '2026-01-01Z', 'voice_minutes', '2026-01-02Z', '2026-01-01', 1000000, 1) on conflict do nothing",
        "insert into billing_periods (period_id, account_id, starts_at, ends_at, tier, terms, closed_at, rated_at, created_at)
         values (gen_random_uuid(), $1, '2000-01-01Z', '2026-01-01Z', $5,
                 jsonb_build_object('tier', $5, 'currency', 'usd', 'meters', '{}'::jsonb), now(), now(), now())
         on conflict do nothing",
        "insert into invoices (invoice_id, account_id, customer_ref, stripe_ref, is_own, status, currency, created_at, synced_at)
         values (gen_random_uuid(), $1, 'cus_' || $1, 'in_' || $1, true, 'paid', 'usd', now(), now()) on conflict do nothing",
        "insert into charges (charge_id, account_id, period_id, meter, revision, previous_rated_minor, rated_minor,
                              amount_minor, quantity, beyond, currency, description, created_at)
         select gen_random_uuid(), $1, period_id, 'sms', 1, 0, 1, 1, 1, 1, 'usd', $1, now()
         from billing_periods where account_id = $1 on conflict do nothing",
        "insert into billing_parks (account_id, why, parked_by, parked_at) values ($1, $1, 'test', now())
         on conflict do nothing",
        "insert into billing_approvals (period_id, account_id, approved_by, approved_at)
         select period_id, $1, 'test', now() from billing_periods where account_id = $1 on conflict do nothing",
        "insert into billing_events (event_id, account_id, event_type, occasion, description, occurred_at)
         values (gen_random_uuid(), $1, 'payment_succeeded', $1, $1, now()) on conflict do nothing",
        "insert into ledger_transactions (transaction_id, account_id, kind, subject, currency, occurred_at, created_at)
         values (gen_random_uuid(), $1, 'finalized', $1, 'usd', now(), now()) on conflict do nothing",
        "insert into ledger_entries (transaction_id, line, account_id, ledger_account, debit_minor, credit_minor)
         select t.transaction_id, side.line, $1, side.account, side.debit, side.credit
         from ledger_transactions t, (values (1, 'receivable', 1, 0), (2, 'usage_revenue', 0, 1))
              side (line, account, debit, credit)
         where t.account_id = $1 on conflict do nothing",
        "insert into calls (account_id, call_ref, from_number, to_number, status, began_at, updated_at)
         values ($1, $8, $3, $3, 'completed', now(), now()) on conflict do nothing",
        "insert into recordings (account_id, recording_ref, transcription_id, call_ref, held_by_ref, status, began_at,
                                 told_at, updated_at, transcript, transcript_sealed, analysis, analysis_sealed)
         values ($1, 'RE' || right($8, 32), $9::uuid, $8, $2, 'completed', now(), now(), now(), 'completed', $10,
                 'completed', $11)
         on conflict (account_id, recording_ref) do update
         set transcript = 'completed', transcript_sealed = $10, analysis_sealed = $11",
        "insert into speech_answers (account_id, subject, answer_sealed, answered_at) values ($1, $9, $12, now())
         on conflict do nothing",
        "insert into messages (account_id, message_ref, from_number, to_number, body, status, began_at, updated_at)
         values ($1, 'SM' || md5($1), $3, $3, $1, 'received', now(), now()) on conflict do nothing",
        "insert into opt_outs (account_id, our_number, their_number, is_out, said_at)
         values ($1, $3, $3, true, now()) on conflict do nothing",
        "insert into outbound (id, account_id, channel, asked_by, request_sha256, provider_ref, is_fallback, from_number,
                               to_number, body, units, cost_micros, asked_at, expires_at, updated_at)
         select gen_random_uuid(), $1, 'message', $1, '', $2, false, $3, $3, $1, 1, 0, now(), now(), now()
         where not exists (select from outbound where account_id = $1)",
        "insert into outbound_spend (account_id, day, micros) values ($1, '2026-01-01', 0) on conflict do nothing",
        "insert into phone_system_config (account_id, phone_number, config, updated_at)
         values ($1, '', '{}', now()) on conflict do nothing",
        "insert into usage_holds (hold_id, account_id, feature, per, window_starts_at, quantity, state, made_by, created_at, expires_at)
         values ($6::uuid, $1, 'calls', 'cycle', '2026-01-01Z', 1000000, 'held', 'user', now(), now() + interval '1 hour')
         on conflict (hold_id) do update set state = 'held', settled_quantity = null, expires_at = excluded.expires_at",
    ];
    for sql in rows {
        // Every parameter is used, so that each statement takes all of them.
        let sql = format!(
            "with given as (select $1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text,
                                   $9::text, $10::text, $11::text, $12::text) {sql}"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(tenant.id)
            .bind(tenant.subaccount)
            .bind(tenant.number)
            .bind(&token)
            .bind(tenant.tier)
            .bind(tenant.hold)
            .bind(tenant.event)
            .bind(tenant.call)
            .bind(tenant.transcription)
            .bind(&transcript)
            .bind(&analysis)
            .bind(&answer)
            .execute(&service.db)
            .await
            .unwrap();
    }
}

/// Take away what `furnish` gave of telephony, so that an order has something to do.
pub async fn strip(service: &Service, tenant: &Tenant) {
    for sql in [
        "delete from phone_numbers where account_id = $1",
        "delete from twilio_subaccounts where account_id = $1",
        "delete from telephony where account_id = $1",
        "delete from queue.jobs where account_id = $1 and kind <> 'release_number'",
    ] {
        sqlx::query(sql)
            .bind(tenant.id)
            .execute(&service.db)
            .await
            .unwrap();
    }
}

/// Forget what was asked for, so that the same wish is not the same again.
pub async fn forget(service: &Service, tenant: &Tenant) {
    sqlx::query("delete from outbound where account_id = $1")
        .bind(tenant.id)
        .execute(&service.db)
        .await
        .unwrap();
}

/// Every table with an `account_id`; of a partitioned one the whole.
pub async fn tables_of_accounts(db: &PgPool) -> Vec<String> {
    tables(db, true).await
}

async fn tables(db: &PgPool, have_account: bool) -> Vec<String> {
    sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and not c.relispartition
           and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_temp%'
           and $1 = exists (select from pg_attribute a where a.attrelid = c.oid
                            and a.attname = 'account_id' and not a.attisdropped)
         order by 1",
    )
    .bind(have_account)
    .fetch_all(db)
    .await
    .unwrap()
}

/// How to look at everything that is stored at once.
pub struct Camera {
    sql: String,
}

impl Camera {
    /// Two tables apart: that a key was used, and who corrected what, is written down, whoever asked.
    pub async fn new(db: &PgPool) -> Camera {
        let owned = tables(db, true).await.into_iter().map(|table| {
            let digest = DIGEST;
            format!("select '{table}', account_id, {digest} from {table} r group by account_id")
        });
        let unowned = tables(db, false)
            .await
            .into_iter()
            .filter(|table| !["api_keys", "queue.operator_actions"].contains(&table.as_str()));
        let unowned = unowned.map(|table| format!("select '{table}', '', {DIGEST} from {table} r"));
        let all: Vec<String> = owned.chain(unowned).collect();
        Camera {
            sql: all.join(" union all "),
        }
    }

    pub async fn picture(&self, db: &PgPool) -> Picture {
        let rows: Vec<(String, String, String)> = sqlx::query_as(AssertSqlSafe(self.sql.clone()))
            .fetch_all(db)
            .await
            .unwrap();
        let keyed = rows
            .into_iter()
            .map(|(table, owner, digest)| ((owner, table), digest));
        keyed.collect()
    }
}

const DIGEST: &str = "coalesce(md5(string_agg(r::text, '|' order by r::text)), '')";

/// Whose rows differ, and in which tables.
pub fn changed(before: &Picture, after: &Picture) -> BTreeSet<(String, String)> {
    let places = before.keys().chain(after.keys());
    let differ = places.filter(|place| before.get(*place) != after.get(*place));
    differ.cloned().collect()
}
