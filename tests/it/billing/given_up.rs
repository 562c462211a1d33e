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

/// What becomes of the invoice of a month in which too much was reported.
enum Step {
    /// Somebody does this with it, at Stripe.
    Is(&'static str),
    /// More is told of than is worth an invoice of its own.
    Late,
    TakenBack,
}

/// A month in which too much was reported, its invoice unpaid; after these steps, what the next invoice says.
async fn after(steps: &[Step]) -> (Billing, Vec<i64>) {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let sandbox = &billing.house.sandbox;
    sandbox.let_payments_fail(&ann.customer_id);
    let used_at = billing.now();
    billing.uses_at("ann", MINUTES, 150, "CA1", used_at).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    let invoice = billing.last_invoice(&ann).await;
    let id = invoice["id"].as_str().unwrap();
    sandbox.let_payments_succeed(&ann.customer_id);
    for step in steps {
        match step {
            Step::Is(order) => {
                billing.order(&["invoices", id, order], &[]).await;
            }
            Step::Late => billing.uses_at("ann", MINUTES, 23, "CA2", used_at).await,
            Step::TakenBack => {
                billing.take_back("CA1").await;
                if steps.iter().any(|step| matches!(step, Step::Late)) {
                    billing.take_back("CA2").await;
                }
            }
        }
        billing.pass(TimeDelta::days(1)).await;
        billing.timetable().await;
    }
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.timetable().await;
    billing.pass(TimeDelta::hours(2)).await;
    let last = billing.last_invoice(&ann).await;
    assert_ne!(last["id"], id);
    let items = billing.items(&last).await.into_iter();
    let mut amounts: Vec<i64> = items.map(|item| item.amount).collect();
    amounts.sort_unstable();
    (billing, amounts)
}

#[tokio::test]
async fn what_nobody_paid_is_not_given_back_whatever_came_first() {
    use Step::{Is, TakenBack};
    for steps in [
        &[Is("void"), TakenBack][..],
        &[TakenBack, Is("void")],
        &[Is("mark_uncollectible"), TakenBack],
        &[TakenBack, Is("mark_uncollectible")],
        &[Is("mark_uncollectible"), TakenBack, Is("void")],
    ] {
        let (billing, on_the_next) = after(steps).await;
        assert_eq!(on_the_next, [500], "the number's fee alone");
        let waived =
            "select sum(amount_minor)::bigint from charges where waiver = 'invoice_voided'";
        assert_eq!(billing.house.service.value::<i64>(waived).await, -65);
        let (status, text) = billing.command(&["check", "--full"]).await;
        assert_eq!(status, 0, "{text}");
    }
}

#[tokio::test]
async fn of_a_credit_for_more_than_nobody_paid_only_the_rest_is_given_back() {
    use Step::{Is, Late, TakenBack};
    for steps in [
        &[Late, Is("void"), TakenBack][..],
        &[Late, TakenBack, Is("void")],
        &[Late, TakenBack, Is("mark_uncollectible"), Is("void")],
    ] {
        let (billing, on_the_next) = after(steps).await;
        assert_eq!(
            on_the_next,
            [-30, 30, 500],
            "what came late, and nothing else"
        );
        let waived =
            "select sum(amount_minor)::bigint from charges where waiver = 'invoice_voided'";
        assert_eq!(billing.house.service.value::<i64>(waived).await, -65);
        let (status, text) = billing.command(&["check", "--full"]).await;
        assert_eq!(status, 0, "{text}");
    }
}

#[tokio::test]
async fn what_is_paid_after_all_is_a_persons_to_give_back() {
    use Step::{Is, TakenBack};
    let (billing, on_the_next) = after(&[Is("mark_uncollectible"), TakenBack, Is("pay")]).await;

    assert_eq!(on_the_next, [500]);
    assert_eq!(billing.house.findings().await, ["paid_after_write_off"]);
    let (billing, on_the_next) = after(&[Is("pay"), TakenBack]).await;
    assert_eq!(on_the_next, [-65, 500]);
    billing.check_calm().await;
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
