//! The books in themselves: each invariant holds through whole stories, and each can be broken.

use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, PgConnection};
use tollkeeper::{
    billing::check::{Broken, check_all},
    db::billing::invariants::INVARIANTS,
};
use tollkeeper_jobs::CheckBilling;

use super::{Billing, MESSAGES, MINUTES};

/// A way to break the books.
struct Breach {
    invariant: &'static str,
    /// What holds it in the database, taken away. None: nothing there forbids it.
    held_by: Option<&'static str>,
    breach: &'static str,
}

const LATE: &str = "insert into usage_events
    (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at, per, window_starts_at, day_starts_at, tier)
    select gen_random_uuid(), account_id, 'voice_minutes', 'a hand', 'CA9', 900000000, {at}, now() - interval '1 year', 'cycle',
           starts_at, starts_at, tier
    from billing_periods where account_id = 'ann' and subscription_ref is not null order by starts_at limit 1";

fn breaches() -> Vec<Breach> {
    let free = |invariant, breach| Breach {
        invariant,
        held_by: None,
        breach,
    };
    let held = |invariant, held_by, breach| Breach {
        invariant,
        held_by: Some(held_by),
        breach,
    };
    vec![
        free(
            "I1",
            // Of something that is not billed, so that no charge is wrong besides.
            "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                       per, window_starts_at, day_starts_at, tier)
             select gen_random_uuid(), account_id, 'emails', 'app', 'a key', 1000000, closed_at, closed_at, 'day', starts_at,
                    starts_at, tier
             from billing_periods, generate_series(1, 2) where subscription_ref is not null",
        ),
        held(
            "I2",
            "alter table billing_periods drop constraint billing_periods_account_id_follows_fkey",
            "update billing_periods set ends_at = ends_at + interval '1 hour' where starts_at = '2000-01-01Z'",
        ),
        free("I3", Box::leak(LATE.replace("{at}", "'1999-12-31Z'").into_boxed_str())),
        free("I4", Box::leak(LATE.replace("{at}", "starts_at + interval '1 hour'").into_boxed_str())),
        held(
            "I4",
            "alter table charges drop constraint charges_check1",
            "update charges set rated_minor = rated_minor + 1 where meter = 'sms'",
        ),
        free(
            "I5",
            "insert into provider_calls (id, provider, kind, subject, account_id, request_sha256, state, ext_ref, done_at)
             select gen_random_uuid(), 'stripe', 'add_invoice_item', c.charge_id || ':' || i.invoice_id, i.account_id, '',
                    'done', 'ii_twice', now()
             from invoices i, charges c where i.billing_reason = 'subscription_create' and c.meter = 'sms'",
        ),
        free("I6", "update provider_calls set request_sha256 = '' where kind = 'add_invoice_item'"),
        free("I6", "update provider_calls set request_sha256 = '' where kind = 'make_invoice'"),
        free("I7", "update invoices set matched_at = null, finalized_at = created_at"),
        free("I7", "update billing_periods set customer_ref = 'cus_anothers' where subscription_ref is not null"),
        held(
            "I8",
            "alter table ledger_entries disable trigger ledger_balances",
            "with entered as (
                 insert into ledger_transactions values
                     (gen_random_uuid(), 'ann', 'paid', 'a hand', 'usd', now(), now()) returning transaction_id)
             insert into ledger_entries select transaction_id, 1, 'ann', 'cash', 5, 0 from entered",
        ),
        free(
            "I8",
            "with entered as (
                 insert into ledger_transactions
                 select gen_random_uuid(), account_id, 'a hand', stripe_ref, 'usd', now(), now()
                 from invoices where status = 'paid' order by created_at limit 1 returning transaction_id)
             insert into ledger_entries
             select transaction_id, line, 'ann', account, debit, credit
             from entered, (values (1, 'receivable', 5, 0), (2, 'cash', 0, 5)) sides (line, account, debit, credit)",
        ),
        free(
            "I3",
            "with uses as (
                 insert into usage_events
                     (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at, per,
                      window_starts_at, day_starts_at, tier)
                 select gen_random_uuid(), account_id, 'emails', 'a hand', 'CA8', 1000000, max(ends_at), max(ends_at), 'day',
                        max(ends_at), max(ends_at), 'a tier'
                 from billing_periods group by account_id)
             update billing_periods set closed_at = ends_at, rated_at = ends_at where closed_at is null",
        ),
        free(
            "I8",
            "insert into invoices (invoice_id, account_id, customer_ref, stripe_ref, is_own, status, currency, total_minor,
                                   finalized_at, created_at, synced_at)
             select gen_random_uuid(), account_id, customer_ref, 'in_unheard_of', false, 'open', 'usd', 5, created_at,
                    created_at, created_at
             from invoices limit 1",
        ),
        free(
            "I9",
            "update provider_calls set first_sent_at = last_sent_at - interval '21 hours' where kind = 'add_invoice_item'",
        ),
        free("I10", "update provider_calls set done_at = null where kind = 'add_invoice_item'"),
        free("I10", "update provider_calls set ext_ref = 'ii_one' where kind = 'add_invoice_item'"),
        free(
            "I11",
            "insert into provider_calls (id, provider, kind, subject, account_id, request_sha256, state, ext_ref, done_at)
             select gen_random_uuid(), 'twilio', 'buy_number', id || ':+14155550199', account_id, '', 'done', 'PN_twice', now()
             from phone_numbers",
        ),
        free(
            "I12",
            "with looked as (insert into queue.schedules values ('sweep_charges', '2026-01-01 00:20Z'))
             insert into queue.cron_ticks values ('sweep_charges', '2026-01-01 00:00:45Z', null)",
        ),
        free(
            "I12",
            "with looked as (insert into queue.schedules values ('sweep_charges', '2026-01-01 00:20Z'))
             insert into queue.cron_ticks values ('sweep_charges', '2026-01-01 00:15:44Z', null),
                                                 ('sweep_charges', '2026-01-01 00:15:45Z', null)",
        ),
    ]
}

impl Billing {
    /// Ann's first cycle is over, billed and paid, and she left.
    async fn billed_and_left() -> Billing {
        let billing = Billing::new().await;
        let ann = billing.customer("ann").await;
        billing.uses("ann", MINUTES, 150).await;
        billing.uses("ann", MESSAGES, 120).await;
        billing.pass_end("ann", TimeDelta::minutes(11)).await;
        billing.pass(TimeDelta::days(2)).await;
        billing.uses("ann", MINUTES, 140).await;
        billing.cancel(&ann).await;
        billing.pass(TimeDelta::days(2)).await;
        billing.timetable().await;
        billing.pass(TimeDelta::hours(3)).await;
        billing
    }

    /// What of the books is not as it must be, whenever it was written.
    pub async fn broken(&self) -> Vec<Broken> {
        let mut conn = self.house.service.db.acquire().await.unwrap();
        check_all(&mut conn, None, self.now()).await.unwrap()
    }

    pub async fn books_are_right(&self) {
        assert_eq!(self.broken().await, []);
    }
}

async fn run(conn: &mut PgConnection, sql: &str) -> sqlx::Result<u64> {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

#[tokio::test]
async fn every_invariant_can_be_broken_and_then_it_alone_is_told() {
    let billing = Billing::billed_and_left().await;
    billing.books_are_right().await;
    let breaches = breaches();
    let mut wrong = Vec::new();
    for breach in &breaches {
        let what = format!("{}: {}", breach.invariant, breach.breach);
        if breach.held_by.is_some() {
            let mut tx = billing.house.service.db.begin().await.unwrap();
            let done = run(&mut tx, breach.breach).await;
            let held = match done {
                Ok(_) => run(&mut tx, "set constraints all immediate").await,
                refused => refused,
            };
            assert!(held.is_err(), "the database does not hold {what}");
        }
        let mut tx = billing.house.service.db.begin().await.unwrap();
        if let Some(held_by) = breach.held_by {
            run(&mut tx, held_by).await.unwrap();
        }
        assert!(run(&mut tx, breach.breach).await.unwrap() > 0, "{what}");
        let broken = check_all(&mut tx, None, billing.now()).await.unwrap();
        let mut told: Vec<&str> = broken.iter().map(|one| one.invariant).collect();
        told.dedup();
        if told != [breach.invariant] {
            wrong.push(format!("{what}: {broken:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for invariant in &INVARIANTS {
        let is_broken = |breach: &Breach| breach.invariant == invariant.id;
        assert!(
            breaches.iter().any(is_broken),
            "{} is never broken",
            invariant.id
        );
    }
    // What needs no asking.
    let mut conn = billing.house.service.db.acquire().await.unwrap();
    let anothers = "update charges set account_id = 'ben' where meter = 'sms'";
    let refused = run(&mut conn, anothers).await.unwrap_err();
    let held_by = refused
        .as_database_error()
        .and_then(|error| error.constraint());
    assert_eq!(held_by, Some("charges_period_id_account_id_fkey"));
}

#[tokio::test]
async fn whatever_happens_to_a_customer_the_books_are_right_all_the_while() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.customer("ben").await;
    let end = billing.period_end("ann").await;
    for user in ["ann", "ben"] {
        billing.uses(user, MINUTES, 150).await;
    }
    billing.books_are_right().await;
    for minutes in [1, 11, 30, 60, 180] {
        billing
            .pass(end + TimeDelta::minutes(minutes) - billing.now())
            .await;
        billing.books_are_right().await;
    }
    billing.pass(TimeDelta::hours(25)).await;
    billing.timetable().await;
    billing
        .uses_at("ann", MINUTES, 60, "late", end - TimeDelta::hours(1))
        .await;
    billing.books_are_right().await;
    billing.pass(TimeDelta::days(1)).await;
    billing.timetable().await;
    billing.books_are_right().await;
    billing.uses("ann", MESSAGES, 300).await;
    billing.cancel(&ann).await;
    billing.books_are_right().await;
    billing.pass(TimeDelta::minutes(11)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::days(40)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    billing.books_are_right().await;
    billing.check_calm().await;
}

#[tokio::test]
async fn what_is_broken_is_a_finding_until_it_holds_again() {
    let billing = Billing::billed_and_left().await;
    let service = &billing.house.service;
    let check = async |is_full| {
        let tick_at = billing.now();
        service.enqueue(&CheckBilling { tick_at, is_full }).await;
        billing.house.settle().await;
        billing.house.findings().await
    };
    assert_eq!(check(true).await, [""; 0]);
    assert_eq!(check(false).await, [""; 0]);
    service
        .execute("update invoices set matched_at = null, finalized_at = created_at where is_own")
        .await;
    // A sample is of two days, and this is older.
    assert_eq!(check(true).await, ["billing_i7_broken"]);
    assert_eq!(check(false).await, ["billing_i7_broken"]);
    service
        .execute("update invoices set matched_at = synced_at where is_own")
        .await;
    assert_eq!(check(false).await, [""; 0]);
}
