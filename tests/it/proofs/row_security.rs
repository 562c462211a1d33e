//! Row-level security: what the database itself keeps apart, whatever the service asks of it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tollkeeper::{db, queue::history};

use super::isolation::tenants::{TENANTS, house, tables_of_accounts};
use crate::support::{
    api::token,
    cluster,
    proof::{all_held, seed, size},
};

/// Everything in the catalogue through which an app could reach rows that are not its account's, each
/// with its name. Nothing is taken for granted but the names of the two roles.
const HOLES: &str = "
with ours as (
    select c.*, n.nspname, c.oid::regclass::text as name,
           exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'account_id'
                   and not a.attisdropped) as has_account
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg_temp%'
),
app as (select * from pg_roles where rolname = 'tollkeeper_app'),
roles as (select * from pg_roles where rolname in ('tollkeeper_app', 'tollkeeper_service')),
grants as (
    select ours.oid, acl.grantee, acl.privilege_type from ours, aclexplode(ours.relacl) acl
    union
    select a.attrelid, acl.grantee, acl.privilege_type
    from ours join pg_attribute a on a.attrelid = ours.oid, aclexplode(a.attacl) acl
)
select 'no forced row security: ' || name from ours
where relkind in ('r', 'p') and has_account and not (relrowsecurity and relforcerowsecurity)
union all
-- A day's partition has no policy at all: by itself it shows nobody anything.
select 'no policy of the service: ' || name from ours
where relkind in ('r', 'p') and has_account and name !~ '_[0-9]{8}$' and not exists (
    select from pg_policy p join roles on roles.oid = any(p.polroles)
    where p.polrelid = ours.oid and roles.rolname = 'tollkeeper_service' and p.polcmd = '*')
union all
select 'open to the app without its tenant policy: ' || name from ours, app
where relkind <> 'v' and has_account
  and exists (select from grants where grants.oid = ours.oid and grantee = app.oid)
  and not exists (
    select from pg_policy p where p.polrelid = ours.oid and app.oid = any(p.polroles) and p.polcmd = '*'
      and pg_get_expr(p.polqual, p.polrelid) like '%account_id = current_setting(''app.account_id''%'
      and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid))
union all
select 'a second policy of the app: ' || ours.name from ours, app
where (select count(*) from pg_policy p where p.polrelid = ours.oid and app.oid = any(p.polroles)) > 1
union all
select 'a policy of everybody: ' || ours.name from ours join pg_policy p on p.polrelid = ours.oid
where 0 = any(p.polroles)
union all
select 'open to the app, and nobody''s: ' || name from ours, app
where relkind <> 'v' and not has_account
  and exists (select from grants where grants.oid = ours.oid and grantee = app.oid)
union all
select 'open to everybody: ' || name from ours join grants using (oid) where grantee = 0
union all
select 'a view with its owner''s rights: ' || name from ours
where relkind = 'v' and not coalesce(reloptions @> array['security_invoker=true'], false)
  -- Postgres 14 has no other: there each of ours names the account itself.
  and not (current_setting('server_version_num')::int < 150000 and nspname = 'legacy')
union all
select 'a copy without row security: ' || name from ours where relkind in ('m', 'f')
union all
select 'a function with its owner''s rights: ' || p.oid::regprocedure::text from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
union all
select 'a role with too much: ' || rolname from roles
where rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb or rolreplication
union all
select rolname || ' is a member of ' || m.roleid::regrole::text from roles
join pg_auth_members m on m.member = roles.oid
union all
select rolname || ' owns ' || d.classid::regclass::text || ' ' || d.objid from roles
join pg_shdepend d on d.refobjid = roles.oid and d.deptype = 'o'
  and d.dbid = (select oid from pg_database where datname = current_database())
union all
select 'may make objects in a schema: ' || rolname || ' ' || nspname from roles, pg_namespace
where nspname in ('public', 'queue', 'legacy') and has_schema_privilege(rolname, nspname, 'create')
  and current_setting('server_version_num')::int >= 150000
union all
select 'may empty or watch: ' || ours.name from ours join grants using (oid), roles
where grantee = roles.oid and privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES')
union all
select 'given by default: ' || defaclobjtype::text from pg_default_acl
order by 1";

async fn holes(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(HOLES).fetch_all(conn).await.unwrap()
}

#[tokio::test]
async fn the_catalogue_shows_no_way_around_row_level_security() {
    let db = cluster::fresh_database().await;
    let mut conn = db.acquire().await.unwrap();
    let today = "2026-11-20".parse().unwrap();
    history::ensure_days(&mut conn, today).await.unwrap();

    assert_eq!(holes(&mut conn).await, Vec::<String>::new());
}

/// The question above finds what it is there to find.
#[tokio::test]
async fn every_way_around_row_level_security_would_be_found_by_its_name() {
    let db = cluster::fresh_database().await;
    for (made, found) in [
        (
            "create table new_one (account_id text)",
            "no forced row security: new_one",
        ),
        (
            "create table queue.new_one (account_id text)",
            "no policy of the service: queue.new_one",
        ),
        (
            "alter table accounts no force row level security",
            "no forced row security: accounts",
        ),
        (
            "drop policy service on telephony",
            "no policy of the service: telephony",
        ),
        (
            "drop policy tenant on telephony",
            "open to the app without its tenant policy: telephony",
        ),
        (
            "alter policy tenant on telephony with check (true)",
            "open to the app without its tenant policy: telephony",
        ),
        (
            "create policy more on telephony to tollkeeper_app using (true)",
            "a second policy of the app: telephony",
        ),
        (
            "create policy more on telephony using (true)",
            "a policy of everybody: telephony",
        ),
        (
            "grant select (body) on webhooks to tollkeeper_app",
            "open to the app, and nobody's: webhooks",
        ),
        (
            "grant select on findings to public",
            "open to everybody: findings",
        ),
        (
            "create view seen as select * from accounts",
            "a view with its owner's rights: seen",
        ),
        (
            "create materialized view kept as select * from accounts",
            "a copy without row security: kept",
        ),
        (
            "create function told() returns bigint language sql security definer as 'select count(*) from accounts'",
            "a function with its owner's rights: told()",
        ),
        (
            "grant truncate on telephony to tollkeeper_app",
            "may empty or watch: telephony",
        ),
        (
            "grant create on schema queue to tollkeeper_app",
            "may make objects in a schema: tollkeeper_app queue",
        ),
        (
            "create table theirs (id int); grant create on schema public to tollkeeper_service;
             alter table theirs owner to tollkeeper_service",
            "tollkeeper_service owns pg_class",
        ),
        (
            "alter default privileges grant select on tables to tollkeeper_app",
            "given by default: r",
        ),
    ] {
        let mut tx = db.begin().await.unwrap();
        sqlx::raw_sql(made).execute(&mut *tx).await.unwrap();
        let holes = holes(&mut tx).await;
        tx.rollback().await.unwrap();
        assert!(
            holes.iter().any(|hole| hole.starts_with(found)),
            "{made}: {holes:?}"
        );
    }
}

/// What the app role may do with a table, of: select, insert, update, delete.
async fn app_may(conn: &mut PgConnection, table: &str, what: &str) -> bool {
    sqlx::query_scalar("select has_any_column_privilege('tollkeeper_app', $1, $2)")
        .bind(table)
        .bind(what)
        .fetch_one(conn)
        .await
        .unwrap()
}

/// How many rows a statement concerns, asked as this account; None when it is refused.
async fn as_account(db: &PgPool, account_id: &str, sql: String) -> Option<u64> {
    let mut tx = db::as_account(db, account_id).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await;
    done.ok().map(|done| done.rows_affected())
}

#[tokio::test]
async fn an_account_sees_and_changes_its_own_rows_in_every_table_and_no_other() {
    let web = house().await;
    let db = &web.service.db;
    let mut conn = db.acquire().await.unwrap();
    let [own, other] = &TENANTS;
    // The house's own rows have no account, and are nobody's to see.
    sqlx::raw_sql(
        "insert into findings (id, kind, subject, detail) values (gen_random_uuid(), 'test', '', '{}');
         insert into queue.jobs (id, kind, key, lane, run_at, attempts_max, version, payload)
         values (gen_random_uuid(), 'test', '', 'bulk', now(), 1, 1, '{}')",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    let mut open = 0;
    for table in tables_of_accounts(db).await {
        if !app_may(&mut conn, &table, "select").await {
            let refused = as_account(db, own.id, format!("select from {table}")).await;
            assert_eq!(refused, None, "{table}");
            continue;
        }
        open += 1;
        for nobody in ["", "carl", "%", "tenant-"] {
            let seen = as_account(db, nobody, format!("select account_id from {table}")).await;
            assert_eq!(seen, Some(0), "{table} as {nobody:?}");
        }
        let seen = as_account(db, own.id, format!("select account_id from {table}")).await;
        assert_eq!(seen, Some(1), "{table}: exactly its own row");
        if app_may(&mut conn, &table, "update").await {
            let taken = format!("update {table} set account_id = '{}'", other.id);
            assert_eq!(
                as_account(db, own.id, taken).await,
                None,
                "{table}: given away"
            );
            let all = format!("update {table} set account_id = account_id");
            assert_eq!(
                as_account(db, own.id, all).await,
                Some(1),
                "{table}: only its own"
            );
            let theirs = format!(
                "update {table} set account_id = '{}' where account_id = '{}'",
                own.id, other.id
            );
            assert_eq!(
                as_account(db, own.id, theirs).await,
                Some(0),
                "{table}: taken"
            );
        }
        let gone = as_account(db, own.id, format!("delete from {table}")).await;
        assert_eq!(gone, None, "{table}: an app deletes nothing");
    }
    assert!(open >= 6, "{open} tables are open to apps");
    for smuggled in [
        "insert into accounts (account_id) values ('carl')",
        "insert into telephony (account_id, status) values ('', 'pending')",
        "insert into queue.jobs (id, kind, key, account_id, lane, run_at, attempts_max, version, payload)
         values (gen_random_uuid(), 'test', 'x', '', 'bulk', now(), 1, 1, '{}')",
        // Secrets, and what was said about others.
        "select auth_token_sealed from twilio_subaccounts",
        "select key_sha256 from api_keys",
        "select body from webhooks",
    ] {
        assert_eq!(as_account(db, own.id, smuggled.to_owned()).await, None, "{smuggled}");
    }
}

#[tokio::test]
async fn a_connection_forgets_the_account_it_was_lent_for() {
    let options = cluster::fresh_database_options().await;
    let pool = db::pool(options, 1, Duration::from_secs(30));
    for end in ["commit", "rollback", "drop"] {
        let mut tx = db::as_account(&pool, "ann").await.unwrap();
        sqlx::query("insert into accounts (account_id) values ('ann') on conflict do nothing")
            .execute(&mut *tx)
            .await
            .unwrap();
        match end {
            "commit" => tx.commit().await.unwrap(),
            "rollback" => tx.rollback().await.unwrap(),
            _ => drop(tx),
        }
        let left: (bool, String) = sqlx::query_as(
            "select current_user = session_user, coalesce(current_setting('app.account_id', true), '')",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(left, (true, String::new()), "after {end}");
        let mut tx = pool
            .begin_with("begin; set local role tollkeeper_app")
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar("select count(*) from accounts")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(seen, 0, "after {end}");
    }
}

/// Many users on few connections, and every third of them hangs up before its answer.
#[tokio::test]
async fn alternating_users_on_one_pool_never_see_each_other() {
    let web = house().await;
    let requests = size(600, 10_000);
    let mut chance = StdRng::seed_from_u64(seed("isolation_on_one_pool"));
    let turns: Vec<(usize, Option<u64>)> = (0..requests)
        .map(|turn| {
            (
                turn % 2,
                (turn % 3 == 0).then(|| chance.random_range(0..4_000)),
            )
        })
        .collect();
    let tokens = TENANTS.each_ref().map(|tenant| token(tenant.id));
    let answered = AtomicUsize::new(0);

    let held: usize = stream::iter(turns)
        .map(async |(own, hangs_up)| {
            let ask = web
                .get("/api/twilio/numbers")
                .bearer_auth(&tokens[own])
                .send();
            let patience = hangs_up.map_or(Duration::from_secs(60), Duration::from_micros);
            let Ok(answer) = tokio::time::timeout(patience, ask).await else {
                return 1;
            };
            let text = answer.unwrap().text().await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
            let sees_its_own = TENANTS[own].trace_in(&text).is_some();
            usize::from(sees_its_own && TENANTS[1 - own].trace_in(&text).is_none())
        })
        .buffer_unordered(12)
        .fold(0, async |held, one| held + one)
        .await;

    assert!(answered.into_inner() >= requests * 2 / 3);
    all_held("isolation_on_one_pool", held, "requests", requests);
}

/// Every role of the service is one of the two: nothing else holds rights on its tables.
#[tokio::test]
async fn nobody_but_the_two_roles_and_the_owner_has_rights() {
    let db = cluster::fresh_database().await;
    let named: Vec<String> = sqlx::query_scalar(
        "select distinct acl.grantee::regrole::text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) acl
         where n.nspname in ('public', 'queue', 'legacy') and acl.grantee <> c.relowner",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let named: BTreeSet<_> = named.iter().map(String::as_str).collect();
    assert_eq!(
        named,
        BTreeSet::from(["tollkeeper_app", "tollkeeper_service"])
    );
}
