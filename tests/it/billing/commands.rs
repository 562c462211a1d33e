//! `tollkeeper billing …` as a person runs it.

use std::process::Command;

use chrono::{Months, TimeDelta};
use serde_json::Value;
use sqlx::ConnectOptions;
use tollkeeper::{billing::explain::explain, clock::Clock};

use super::{Billing, MESSAGES, MINUTES};

impl Billing {
    /// Status and what was printed.
    pub async fn command(&self, arguments: &[&str]) -> (i32, String) {
        let url = self.house.service.db.connect_options().to_url_lossy();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        command
            .arg("billing")
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", url.as_str())
            .env("STRIPE_API_BASE", self.house.sandbox.stripe_base())
            .env("STRIPE_SECRET_KEY", "sk_test_sandbox")
            .env("STRIPE_WEBHOOK_SECRET", "whsec_test")
            .env("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001")
            .env("TWILIO_AUTH_TOKEN", "00000000000000000000000000000002")
            .env("PUBLIC_BASE_URL", "https://hooks.test")
            .env(
                "ENCRYPTION_KEY",
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            )
            .env("USER", "ann");
        // The sandbox answers in this process meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        let (status, text) = self.command(&arguments).await;
        assert_eq!(status, 0, "{text}");
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    }

    /// Ann used too much, and it is on her renewal's invoice, which is paid.
    async fn with_a_paid_bill() -> Billing {
        let billing = Billing::new().await;
        billing.customer("ann").await;
        for call in 0..25 {
            let (at, id) = (billing.now(), format!("CA{call:02}"));
            billing.uses_at("ann", MINUTES, 6, &id, at).await;
        }
        billing.uses("ann", MESSAGES, 120).await;
        billing.pass_end("ann", TimeDelta::minutes(11)).await;
        billing.pass(TimeDelta::hours(2)).await;
        billing
    }

    async fn value(&self, sql: &'static str) -> String {
        self.house.service.value(sql).await
    }
}

#[tokio::test]
async fn a_line_explains_itself_down_to_its_calls_and_adds_up() {
    let billing = Billing::with_a_paid_bill().await;
    let line = voice_line(&billing).await;

    let told = billing.json(&["explain", &line]).await;

    let told = &told[0];
    assert_eq!(told["adds_up"], true);
    assert_eq!(told["charge"]["amount_minor"], 65);
    assert_eq!(
        told["uses"],
        serde_json::json!({ "events": 25, "quantity": 150_000_000 })
    );
    assert_eq!(told["listed"].as_array().unwrap().len(), 20);
    assert_eq!(told["listed"][0]["source_id"], "CA00");
    assert_eq!(told["invoice"]["status"], "paid");
    let kinds: Vec<&str> = told["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"attach_charges") && kinds.contains(&"compare_invoice"),
        "{kinds:?}"
    );
    let webhooks = told["webhooks"].as_array().unwrap();
    assert!(!webhooks.is_empty(), "{told}");

    let all = billing.json(&["explain", &line, "--all"]).await;
    assert_eq!(all[0]["listed"].as_array().unwrap().len(), 25);
    let charge = told["charge"]["charge_id"].as_str().unwrap();
    assert_eq!(
        billing.json(&["explain", charge]).await[0]["charge"],
        told["charge"]
    );
    let invoice = told["invoice"]["stripe_ref"].as_str().unwrap();
    assert_eq!(
        billing
            .json(&["explain", invoice])
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let (_, text) = billing.command(&["explain", invoice]).await;
    assert!(text.contains("Voice overage: 50 minutes"), "{text}");
    assert!(text.contains("and 5 more: --all shows them"), "{text}");

    // What was changed by hand does not add up.
    billing
        .house
        .service
        .execute("update usage_events set quantity = 7000000 where source_id = 'CA00'")
        .await;
    let (status, text) = billing.command(&["explain", &line]).await;
    assert_eq!(status, 1);
    assert!(text.contains("NOT SO:   25 uses add up to 151"), "{text}");
    assert_eq!(billing.command(&["explain", "il_1"]).await.0, 2);
    assert_eq!(billing.command(&["explain", "ii_nobodys"]).await.0, 1);
}

#[tokio::test]
async fn a_use_explains_itself_down_to_its_call_and_the_callback_that_told_of_it() {
    let billing = Billing::with_a_paid_bill().await;
    let service = &billing.house.service;
    service
        .execute(
            "insert into calls (account_id, call_ref, direction, from_number, to_number, status, seconds,
                                began_at, updated_at)
             select account_id, source_id, 'inbound', '+14155550101', '+14155550102', 'completed', 355,
                    occurred_at, received_at
             from usage_events where source_id = 'CA00'",
        )
        .await;
    service
        .execute(
            "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, received_at)
             select '0198c0de-0000-7000-8000-000000000001', 'twilio', 'AC1:call_status:CA00:completed:1:355',
                    'call_status', 'AC1', '{}', '', 'handled', received_at
             from usage_events where source_id = 'CA00'",
        )
        .await;

    let (status, text) = billing
        .command(&["explain", &voice_line(&billing).await])
        .await;

    assert_eq!(status, 0, "{text}");
    let call = "twilio CA00  +14155550101 -> +14155550102, 355 s";
    assert!(text.contains(call), "{text}");
    let told = billing
        .json(&["explain", &voice_line(&billing).await])
        .await;
    assert_eq!(
        told[0]["listed"][0]["webhook_id"],
        "0198c0de-0000-7000-8000-000000000001"
    );
}

#[tokio::test]
async fn a_use_that_came_in_the_moment_of_the_charge_is_counted_as_the_charge_counted_it() {
    let billing = Billing::with_a_paid_bill().await;
    let line = voice_line(&billing).await;
    let at = async |change: &str| {
        sqlx::query(
            "update usage_events set received_at = c.created_at + $1::text::interval
             from charges c where c.meter = 'voice_minutes' and source_id = 'CA00'",
        )
        .bind(change)
        .execute(&billing.house.service.db)
        .await
        .unwrap();
        billing.command(&["explain", &line]).await
    };

    // Rated, though by its time it came later: another machine's clock.
    let (status, text) = at("2 seconds").await;
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("25 uses add up to 150"), "{text}");
    let (status, text) = at("2 hours").await;
    assert_eq!(status, 1, "{text}");
    // Not rated, though by its time it came before: it was stored a little later.
    at("-1 hour").await;
    billing
        .house
        .service
        .execute(
            "insert into usage_events
             select (jsonb_populate_record(e, jsonb_build_object('event_id', gen_random_uuid(), 'source_id', 'CA99',
                     'received_at', c.created_at - interval '1 second'))).*
             from usage_events e, charges c where e.source_id = 'CA00' and c.meter = 'voice_minutes'",
        )
        .await;
    let (status, text) = billing.command(&["explain", &line]).await;
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("25 uses add up to 150"), "{text}");
}

#[tokio::test]
async fn a_line_whose_uses_are_no_longer_kept_says_so_and_adds_up_by_its_quantity() {
    let billing = Billing::with_a_paid_bill().await;
    let line = voice_line(&billing).await;
    let mut conn = billing.house.service.db.acquire().await.unwrap();
    let later = Clock::default().now() + Months::new(27);

    let told = explain(&mut conn, &line, None, later).await.unwrap();

    let says: Vec<&str> = told[0]
        .parts
        .iter()
        .map(|part| part.says.as_str())
        .collect();
    assert!(told[0].adds_up, "{says:?}");
    assert_eq!(says[0], "150 used, by uses no longer kept");
}

/// The line of an invoice that Ann's minutes are on.
async fn voice_line(billing: &Billing) -> String {
    billing
        .value(
            "select ext_ref from provider_calls call join charges c
             on call.subject = c.charge_id || ':' || c.invoice_id where c.meter = 'voice_minutes'",
        )
        .await
}

#[tokio::test]
async fn the_history_of_an_account_tells_its_periods_and_invoices_and_a_period_goes_to_a_spreadsheet()
 {
    let billing = Billing::with_a_paid_bill().await;
    let history = billing.json(&["history", "ann"]).await;
    let closed = &history["periods"][1];
    assert_eq!(
        (&closed["rated_minor"], &closed["invoiced_minor"]),
        (&580.into(), &580.into())
    );
    let renewal = &history["invoices"][0];
    assert_eq!(
        (&renewal["usage_minor"], &renewal["status"]),
        (&580.into(), &"paid".into())
    );
    let (_, text) = billing.command(&["history", "ann"]).await;
    assert!(text.contains("5.80"), "{text}");
    assert_eq!(billing.command(&["history", "nobody"]).await.0, 1);

    billing
        .house
        .service
        .execute("update charges set description = '=1+1' where meter = 'sms'")
        .await;
    let day = &closed["starts_at"].as_str().unwrap()[..10];
    let (status, csv) = billing.command(&["export", "ann", "--period", day]).await;
    assert_eq!(status, 0, "{csv}");
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(rows.len(), 4, "{csv}");
    assert!(
        rows[0].starts_with("charge_id,meter,subject,revision,quantity"),
        "{csv}"
    );
    assert!(rows[2].contains(",sms,,1,120,20,15,usd,'=1+1,"), "{csv}");
    assert_eq!(
        billing
            .command(&["export", "ann", "--period", "1999-01-01"])
            .await
            .0,
        1
    );
}

#[tokio::test]
async fn who_is_parked_is_not_billed_until_somebody_lets_them_be_billed_again() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    assert_eq!(billing.command(&["park", "ann"]).await.0, 1);
    assert_eq!(
        billing.command(&["park", "nobody", "--why", "x"]).await.0,
        1
    );
    assert_eq!(
        billing
            .command(&["park", "ann", "--why", "odd calls"])
            .await
            .0,
        0
    );
    let (status, text) = billing.command(&["park", "ann", "--why", "again"]).await;
    assert!(status == 1 && text.contains("odd calls"), "{text}");
    let (_, text) = billing.command(&["parked"]).await;
    assert!(text.contains("ann") && text.contains("odd calls"), "{text}");

    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::hours(4)).await;
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, 0);

    let unparked = billing
        .json(&["unpark", "ann", "--why", "they are real", "--approve"])
        .await;
    assert_eq!(unparked["approved"].as_array().unwrap().len(), 1);
    billing.house.settle().await;
    assert_eq!(billing.billed(&ann).await, 565);
    let actions = billing
        .value("select string_agg(who || ' ' || action || ' ' || why, ', ' order by id) from queue.operator_actions")
        .await;
    assert_eq!(
        actions,
        "ann billing_park odd calls, ann billing_unpark they are real"
    );
    assert_eq!(
        billing
            .command(&["unpark", "ann", "--why", "again"])
            .await
            .0,
        1
    );
    let (_, text) = billing.command(&["parked"]).await;
    assert_eq!(text, "nobody is parked\n");
}

#[tokio::test]
async fn what_is_above_a_cap_is_billed_once_a_person_has_approved_it() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    for _ in 0..3 {
        billing.pass_end("ann", TimeDelta::hours(3)).await;
        billing.timetable().await;
    }
    let before = billing.billed(&ann).await;
    billing.uses("ann", MINUTES, 100_000).await;
    billing.pass_end("ann", TimeDelta::hours(3)).await;
    billing.timetable().await;
    assert_eq!(billing.billed(&ann).await, before);
    assert_eq!(billing.house.findings().await, ["CHARGE_ABOVE_MEAN"]);

    billing
        .json(&["unpark", "ann", "--why", "they called", "--approve"])
        .await;
    billing.house.settle().await;
    assert_eq!(billing.billed(&ann).await, before + 500 + 129_870);
    billing.check_calm().await;
}

#[tokio::test]
async fn books_that_are_right_and_books_that_are_not_end_with_another_status() {
    let billing = Billing::with_a_paid_bill().await;
    assert_eq!(
        billing.json(&["check", "--full"]).await["broken"],
        serde_json::json!([])
    );
    let reconciled = billing.json(&["reconcile"]).await;
    assert_eq!(
        (&reconciled["accounts"], &reconciled["drifted"]),
        (&1.into(), &serde_json::json!([]))
    );

    let item = billing
        .value("select min(ext_ref) from provider_calls where kind = 'add_invoice_item'")
        .await;
    assert!(billing.house.sandbox.lose_item(&item));
    let (status, text) = billing.command(&["reconcile", "--account", "ann"]).await;
    assert_eq!(status, 1);
    assert!(text.contains("\"what\":\"missing\""), "{text}");
    let actions = billing
        .value("select string_agg(who || ' ' || action || ' ' || (target->>'drifted'), ', ' order by id) from queue.operator_actions")
        .await;
    assert_eq!(actions, "ann billing_reconcile 0, ann billing_reconcile 1");
    assert_eq!(
        billing
            .command(&["reconcile", "--account", "nobody"])
            .await
            .0,
        1
    );

    billing
        .house
        .service
        .execute("update provider_calls set done_at = null where kind = 'add_invoice_item'")
        .await;
    let (status, text) = billing.command(&["check", "--full"]).await;
    assert_eq!(status, 1);
    assert!(text.contains("I10  BROKEN"), "{text}");
}
