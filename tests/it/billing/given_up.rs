//! What stood on an invoice that was given up, and is taken back then: nobody paid it, so nobody gets it back.

use chrono::TimeDelta;
use tollkeeper::{
    context,
    queue::operate::By,
    sandbox::{Sandbox, Settings},
    usage::{Rules, correct},
    worker::Register,
};
use tollkeeper_jobs::RecordInvoice;

use super::{Billing, MINUTES};
use crate::support::{house::House, service::Service, until};

impl Billing {
    /// A use was reported wrongly.
    async fn take_back(&self, source_id: &str) {
        let service = &self.house.service;
        let event_id = sqlx::query_scalar("select event_id from usage_events where source_id = $1")
            .bind(source_id)
            .fetch_one(&service.db)
            .await
            .unwrap();
        let rules = Rules::of(&service.ctx);
        let mut tx = service.db.begin().await.unwrap();
        let by = By {
            who: "ben",
            why: "a test call",
        };
        correct(&mut tx, &rules, "ann", event_id, by)
            .await
            .unwrap()
            .unwrap();
        tx.commit().await.unwrap();
    }
}

/// Of a month in which too much was reported, which is taken back after the invoice of it was given up.
async fn taken_back_after(
    given_up: &str,
    then: impl AsyncFn(&Billing, &str),
) -> (Billing, Vec<i64>) {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.house.sandbox.let_payments_fail(&ann.customer_id);
    let late = billing.now();
    billing.uses_at("ann", MINUTES, 150, "CA1", late).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    let invoice = billing.last_invoice(&ann).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    billing.order(&["invoices", &invoice, given_up], &[]).await;
    billing.pass(TimeDelta::seconds(1)).await;
    billing.house.sandbox.let_payments_succeed(&ann.customer_id);

    billing.take_back("CA1").await;
    billing.pass(TimeDelta::days(1)).await;
    billing.timetable().await;
    then(&billing, &invoice).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    let last = billing.last_invoice(&ann).await;
    assert_ne!(last["id"], invoice.as_str());
    let items = billing.items(&last).await.into_iter();
    let mut amounts: Vec<i64> = items.map(|item| item.amount).collect();
    amounts.sort_unstable();
    (billing, amounts)
}

#[tokio::test]
async fn what_was_on_a_void_invoice_and_never_paid_is_not_given_back() {
    let (billing, on_the_next) = taken_back_after("void", async |_, _| {}).await;

    assert_eq!(on_the_next, [500], "the number's fee alone");
    let waived: i64 = billing
        .house
        .service
        .value("select sum(amount_minor)::bigint from charges where waiver = 'invoice_voided'")
        .await;
    assert_eq!(waived, -65);
}

#[tokio::test]
async fn what_was_written_off_is_given_back_only_if_it_is_paid_after_all() {
    let (_, on_the_next) = taken_back_after("mark_uncollectible", async |_, _| {}).await;
    assert_eq!(on_the_next, [500], "the number's fee alone");

    let pays = async |billing: &Billing, invoice: &str| {
        billing.order(&["invoices", invoice, "pay"], &[]).await;
        billing.pass(TimeDelta::seconds(1)).await;
    };
    let (_, on_the_next) = taken_back_after("mark_uncollectible", pays).await;
    assert_eq!(on_the_next, [-65, 500]);
}

/// A worker that is started with another key finds nothing of what it knows.
#[tokio::test]
async fn with_the_key_of_another_account_no_charge_is_taken_off_its_invoice() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    let House {
        mut service,
        sandbox,
        worker,
    } = billing.house;
    worker.stop().await;
    let placed = async |service: &Service| -> (i64, Vec<String>) {
        let placed = service.value("select count(*) from charges where invoice_id is not null");
        let invoices = sqlx::query_scalar("select status from invoices order by created_at");
        (placed.await, invoices.fetch_all(&service.db).await.unwrap())
    };
    let before = placed(&service).await;
    assert_eq!(before.1, ["paid", "draft"]);

    let other = Sandbox::start(Settings::default()).await.unwrap();
    let right = service.ctx.stripe.clone();
    let mut config = (*service.ctx.config).clone();
    config.stripe.api_base = other.stripe_base();
    service.ctx.stripe = context::stripe(&config, &service.ctx.pools);
    let worker = service.work(Register::all());
    for invoice in sandbox.books() {
        let invoice_ref = invoice.id;
        service.enqueue(&RecordInvoice { invoice_ref }).await;
    }
    until("both were looked for", async || {
        service
            .value::<i64>(
                "select (select count(*) from queue.jobs where kind = 'record_invoice' and state = 'waiting'
                           and note like '%STRIPE_SECRET_KEY%')
                      + (select count(*) from queue.finished_jobs where kind = 'record_invoice'
                           and note like '%it was no draft%')",
            )
            .await
            == 2
    })
    .await;
    assert_eq!(placed(&service).await, before);
    worker.stop().await;

    service.ctx.stripe = right;
    let worker = service.work(Register::all());
    let billing = Billing {
        house: House {
            service,
            sandbox,
            worker,
        },
    };
    billing.pass(TimeDelta::hours(2)).await;
    assert_eq!(billing.billed(&ann).await, 565);
    billing.check_calm().await;
}
