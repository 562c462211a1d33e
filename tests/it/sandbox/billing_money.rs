//! Money that went out and comes back: charges, refunds, credit notes, disputes.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::client::{STRIPE_KEY, World, id, ids, text};

/// A paid invoice of 2,900: its customer's id, and itself.
async fn paid(world: &World) -> (String, Value) {
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 2900).await;
    let path = format!("/v1/invoices/{invoice}/pay");
    let paid = world.make(&path, &[("expand[]", "payments")]).await;
    (customer, paid)
}

/// The only charge of a customer's.
async fn charge(world: &World, customer: &str) -> Value {
    let charges = world.look("/v1/charges", &[("customer", customer)]).await;
    charges["data"][0].clone()
}

#[tokio::test]
async fn a_payment_leads_to_its_charge_and_back_to_its_invoice_in_both_versions() {
    let world = World::start().await;
    let (customer, invoice) = paid(&world).await;
    let charge = charge(&world, &customer).await;
    let intent = text(&charge["payment_intent"]);

    let within = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!((&charge["amount"], within), (&json!(2900), &json!(intent)));
    assert!(charge.get("invoice").is_none());
    let query = [
        ("payment[type]", "payment_intent"),
        ("payment[payment_intent]", &intent),
    ];
    let payments = world.look("/v1/invoice_payments", &query).await;
    assert_eq!(payments["data"][0]["invoice"], invoice["id"]);
    assert_eq!(payments["data"][0]["status"], "paid");
    let url = format!("{}/v1/charges/{}", world.sandbox.stripe_base(), id(&charge));
    let request = world.http.get(url).bearer_auth(STRIPE_KEY);
    let request = request.header("Stripe-Version", "2025-02-24.acacia");
    let bytes = request.send().await.unwrap().bytes().await.unwrap();
    let old: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(old["invoice"], invoice["id"]);
}

#[tokio::test]
async fn refunds_add_up_and_never_exceed_the_charge() {
    let world = World::start().await;
    let (customer, invoice) = paid(&world).await;
    let charge = charge(&world, &customer).await;
    let before = world.sandbox.events().len();
    let by_charge = id(&charge);
    let by_intent = text(&charge["payment_intent"]);

    let some = [("charge", by_charge.as_str()), ("amount", "1000")];
    let first = world.make("/v1/refunds", &some).await;
    let too_much = [("charge", by_charge.as_str()), ("amount", "1901")];
    assert_eq!(world.refusal("/v1/refunds", &too_much).await.0, 400);
    let second = world
        .make("/v1/refunds", &[("payment_intent", &by_intent)])
        .await;

    assert_eq!(
        (&first["amount"], &second["amount"]),
        (&json!(1000), &json!(1900))
    );
    assert_eq!(
        world
            .refusal("/v1/refunds", &[("charge", &by_charge)])
            .await,
        (400, "charge_already_refunded".to_owned())
    );
    assert_eq!(
        world.types_since(before),
        ["charge.refunded", "charge.refunded"]
    );
    let query = [("type", "charge.refunded")];
    let events = world.look("/v1/events", &query).await;
    let last = &events["data"][0]["data"];
    assert_eq!(last["object"]["amount_refunded"], 2900);
    assert_eq!(
        last["previous_attributes"],
        json!({"amount_refunded": 1000, "refunded": false})
    );
    let listed = world.look("/v1/refunds", &[("charge", &by_charge)]).await;
    assert_eq!(ids(&listed), [id(&second), id(&first)]);
    let books = world.sandbox.books();
    let row = books.iter().find(|row| invoice["id"] == row.id).unwrap();
    assert_eq!((row.paid, row.refunded), (2900, 2900));
}

#[tokio::test]
async fn a_credit_note_on_an_open_invoice_lessens_what_is_due() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 2900).await;
    let form = [
        ("invoice", invoice.as_str()),
        ("amount", "900"),
        ("memo", "a late call"),
        ("metadata[revision]", "r1"),
    ];

    let note = world.make("/v1/credit_notes", &form).await;
    let open = world.invoice(&invoice).await;
    world
        .make(&format!("/v1/invoices/{invoice}/pay"), &[])
        .await;

    assert_eq!(
        (&note["type"], &note["memo"]),
        (&json!("pre_payment"), &json!("a late call"))
    );
    assert_eq!(note["metadata"], json!({"revision": "r1"}));
    assert_eq!(
        (&open["total"], &open["amount_due"]),
        (&json!(2900), &json!(2000))
    );
    assert_eq!(open["pre_payment_credit_notes_amount"], 900);
    assert_eq!(charge(&world, &customer).await["amount"], 2000);
    let listed = world
        .look("/v1/credit_notes", &[("invoice", &invoice)])
        .await;
    assert_eq!(ids(&listed), [id(&note)]);
}

#[tokio::test]
async fn a_credit_note_over_all_that_is_open_settles_the_invoice() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 2900).await;

    let form = [("invoice", invoice.as_str()), ("amount", "2900")];
    world.make("/v1/credit_notes", &form).await;

    let paid = world.invoice(&invoice).await;
    assert_eq!(
        (&paid["status"], &paid["amount_paid"]),
        (&json!("paid"), &json!(0))
    );
}

#[tokio::test]
async fn a_credit_note_on_a_paid_invoice_says_where_the_money_goes() {
    let world = World::start().await;
    let (customer, invoice) = paid(&world).await;
    let invoice_id = id(&invoice);
    let line = text(&invoice["lines"]["data"][0]["id"]);
    let base = [
        ("invoice", invoice_id.as_str()),
        ("lines[0][type]", "invoice_line_item"),
        ("lines[0][invoice_line_item]", &line),
        ("lines[0][amount]", "500"),
    ];

    assert_eq!(world.refusal("/v1/credit_notes", &base).await.0, 400);
    let form = [
        &base[..],
        &[("credit_amount", "200"), ("refund_amount", "300")],
    ]
    .concat();
    let note = world.make("/v1/credit_notes", &form).await;

    assert_eq!(
        (&note["total"], &note["type"]),
        (&json!(500), &json!("post_payment"))
    );
    assert_eq!(note["lines"]["data"][0]["invoice_line_item"], line);
    assert_eq!(charge(&world, &customer).await["amount_refunded"], 300);
    let path = format!("/v1/customers/{customer}");
    assert_eq!(world.look(&path, &[]).await["balance"], -200);
    let invoice = world.invoice(&invoice_id).await;
    assert_eq!(invoice["post_payment_credit_notes_amount"], 500);
    let row = world.sandbox.books().pop().unwrap();
    assert_eq!((row.credited, row.refunded), (500, 300));
}

#[tokio::test]
async fn a_credit_note_never_takes_back_more_than_was_billed() {
    let world = World::start().await;
    let customer = world.customer().await;
    let invoice = world.open_invoice(&customer, 2900).await;
    let draft = world.draft(&customer).await;

    for (invoice, amount) in [
        (&invoice, "2901"),
        (&invoice, "0"),
        (&invoice, "-5"),
        (&draft, "1"),
    ] {
        let form = [("invoice", invoice.as_str()), ("amount", amount)];
        assert_eq!(
            world.refusal("/v1/credit_notes", &form).await.0,
            400,
            "{amount}"
        );
    }
}

#[tokio::test]
async fn a_dispute_is_opened_and_decided() {
    let world = World::start().await;
    for (is_won, status) in [(true, "won"), (false, "lost")] {
        let (customer, _) = paid(&world).await;
        let charge_id = id(&charge(&world, &customer).await);
        let before = world.sandbox.events().len();

        let dispute = world.sandbox.open_dispute(&charge_id).unwrap();
        let path = format!("/v1/disputes/{dispute}");
        let open = world.look(&path, &[]).await;
        world.sandbox.advance(TimeDelta::days(20));
        assert!(world.sandbox.close_dispute(&dispute, is_won));

        assert_eq!(
            (&open["status"], &open["charge"]),
            (&json!("needs_response"), &json!(charge_id))
        );
        assert_eq!(open["amount"], 2900);
        assert_eq!(world.look(&path, &[]).await["status"], status);
        assert_eq!(charge(&world, &customer).await["disputed"], true);
        assert_eq!(
            world.types_since(before),
            ["charge.dispute.created", "charge.dispute.closed"]
        );
        assert!(
            !world.sandbox.close_dispute(&dispute, is_won),
            "it is closed"
        );
    }
    assert_eq!(world.sandbox.open_dispute("ch_x"), None);
}
