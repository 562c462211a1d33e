//! The sandbox's own books, and the hand in them.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::stripe::{BookedInvoice, InvoiceStatus, LineKind};

use super::client::{World, id};

fn row(world: &World, invoice: &str) -> BookedInvoice {
    let mut books = world.sandbox.books().into_iter();
    books.find(|row| row.id == invoice).unwrap()
}

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}/sandbox/{path}", world.sandbox.address());
    let answer = world.http.request(method, url).json(&body).send().await;
    let answer = answer.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn the_books_have_every_line_ever_billed_the_deleted_ones_too() {
    let world = World::start().await;
    let (customer, draft) = world.renewal().await;
    let invoice = id(&draft);
    let kept = world.item(&customer, &invoice, 100).await;
    let deleted = world.item(&customer, &invoice, 200).await;
    let path = format!("/v1/invoiceitems/{deleted}");
    world.stripe(Method::DELETE, &path, &[]).await;
    world.sandbox.advance(TimeDelta::hours(1));

    let row = row(&world, &invoice);

    assert_eq!(row.billing_reason, "subscription_cycle");
    assert_eq!((row.total, row.due, row.paid), (3000, 3000, 3000));
    assert_eq!(
        (row.status, row.currency.as_str()),
        (InvoiceStatus::Paid, "usd")
    );
    assert_eq!((row.customer, row.credited, row.refunded), (customer, 0, 0));
    assert!(row.subscription.is_some() && row.finalized_at.is_some());
    let lines: Vec<_> = row
        .lines
        .iter()
        .map(|line| {
            (
                line.item.as_deref(),
                line.kind,
                line.amount,
                line.is_deleted,
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (None, LineKind::Subscription, 2900, false),
            (Some(kept.as_str()), LineKind::Item, 100, false),
            (Some(deleted.as_str()), LineKind::Item, 200, true),
        ]
    );
}

#[tokio::test]
async fn the_books_keep_deleted_invoices_and_what_went_to_the_balance() {
    let world = World::start().await;
    let customer = world.customer().await;
    let draft = world.draft(&customer).await;
    world
        .stripe(Method::DELETE, &format!("/v1/invoices/{draft}"), &[])
        .await;
    let credit = world.open_invoice(&customer, -500).await;
    let charged = world.open_invoice(&customer, 2900).await;

    assert!(row(&world, &draft).is_deleted);
    let (credit, charged) = (row(&world, &credit), row(&world, &charged));
    assert_eq!(
        (credit.total, credit.due, credit.moved_to_balance),
        (-500, 0, -500)
    );
    assert_eq!(
        (charged.total, charged.due, charged.moved_to_balance),
        (2900, 2400, 500)
    );
}

#[tokio::test]
async fn every_invoice_is_its_lines_whatever_was_done_to_it() {
    let world = World::start().await;
    for _ in 0..3 {
        world.renewal().await;
        world.sandbox.advance(TimeDelta::days(40));
    }

    let books = world.sandbox.books();
    assert!(books.len() > 8);
    for row in books {
        let lines = row.lines.iter().filter(|line| !line.is_deleted);
        assert_eq!(row.total, lines.map(|line| line.amount).sum::<i64>());
        let served = world.invoice(&row.id).await;
        assert_eq!(
            (&served["total"], &served["amount_paid"]),
            (&json!(row.total), &json!(row.paid))
        );
    }
}

#[tokio::test]
async fn drift_is_planted_on_a_finalized_invoice_and_nobody_is_told() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 900).await;
    let before = world.sandbox.events().len();
    let path = format!("/v1/invoices/{invoice}");
    let total = async || world.look(&path, &[]).await["total"].as_i64().unwrap();

    let foreign = world.sandbox.plant_item(&invoice, 70, "not ours").unwrap();
    assert_eq!(total().await, 970);
    let twin = world.sandbox.double_item(&foreign).unwrap();
    assert_eq!(total().await, 1040);
    assert!(world.sandbox.falsify_item(&twin, 5));
    assert_eq!(total().await, 975);
    assert!(world.sandbox.lose_item(&foreign));
    assert_eq!(total().await, 905);

    assert_eq!(row(&world, &invoice).total, 905);
    assert!(world.types_since(before).is_empty());
    assert!(!world.sandbox.lose_item(&foreign) && !world.sandbox.falsify_item("ii_x", 1));
    assert_eq!(world.sandbox.plant_item("in_x", 1, "no invoice"), None);
    let listed = world
        .look("/v1/invoiceitems", &[("invoice", &invoice)])
        .await;
    assert_eq!(listed["data"][0]["id"], twin);
}

#[tokio::test]
async fn the_books_are_read_and_changed_over_http_too() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 900).await;

    let body = json!({"amount": 70, "description": "not ours"});
    let (status, planted) = control(
        &world,
        Method::POST,
        &format!("invoices/{invoice}/items"),
        body,
    )
    .await;
    assert_eq!(status, 200);
    let item = format!("items/{}", id(&planted));
    let amount = json!({"amount": 30});
    control(&world, Method::POST, &format!("{item}/amount"), amount).await;
    control(&world, Method::POST, &format!("{item}/double"), Value::Null).await;
    let (_, books) = control(&world, Method::GET, "books", Value::Null).await;
    assert_eq!(
        (&books[0]["id"], &books[0]["total"]),
        (&json!(invoice), &json!(960))
    );
    assert_eq!(books[0]["lines"][1]["kind"], "item");
    control(&world, Method::DELETE, &item, Value::Null).await;
    assert_eq!(row(&world, &invoice).total, 930);
    assert_eq!(
        control(&world, Method::DELETE, "items/ii_x", Value::Null)
            .await
            .0,
        404
    );

    world
        .make(&format!("/v1/invoices/{invoice}/pay"), &[])
        .await;
    let charges = world.look("/v1/charges", &[]).await;
    let charge = id(&charges["data"][0]);
    let path = format!("charges/{charge}/dispute");
    let (_, dispute) = control(&world, Method::POST, &path, Value::Null).await;
    let path = format!("disputes/{}/close", id(&dispute));
    assert_eq!(
        control(&world, Method::POST, &path, json!({"won": false}))
            .await
            .0,
        200
    );
    assert_eq!(
        control(&world, Method::POST, &path, json!({"won": false}))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn every_customer_is_billed_once_for_each_month_of_a_year_in_daily_steps() {
    let world = World::start().await;
    for _ in 0..100 {
        world.sign_up(None);
    }

    for _ in 0..370 {
        world.sandbox.advance(TimeDelta::days(1));
    }

    let books = world.sandbox.books();
    let subscriptions: std::collections::BTreeSet<_> =
        books.iter().map(|row| row.subscription.clone()).collect();
    assert_eq!(subscriptions.len(), 100);
    for subscription in subscriptions {
        let own = books.iter().filter(|row| row.subscription == subscription);
        let mut months: Vec<i64> = own.clone().map(|row| row.lines[0].period_start).collect();
        assert!(own.clone().all(|row| row.paid == 2900));
        months.dedup();
        assert_eq!((months.len(), own.count()), (13, 13));
    }
}
