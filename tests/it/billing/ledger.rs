//! What Stripe said of invoices, in double entry: each time once, whoever looked and however often.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tollkeeper_jobs::RecordInvoice;

use super::{Billing, MINUTES};

impl Billing {
    /// Every entry of an account, in words and in a fixed order: `paid: cash 4565`, a credit below zero.
    pub async fn entries(&self, user: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select format('%s: %s %s', t.kind, e.ledger_account, e.debit_minor - e.credit_minor)
             from ledger_transactions t join ledger_entries e using (transaction_id)
             where t.account_id = $1 order by t.occurred_at, t.kind, t.subject, e.line",
        )
        .bind(user)
        .fetch_all(&self.house.service.db)
        .await
        .unwrap()
    }

    /// What each account of the ledger comes to for somebody, but those that come to nothing.
    pub async fn balances(&self, user: &str) -> Vec<(String, i64)> {
        sqlx::query_as(
            "select ledger_account, sum(debit_minor - credit_minor)::bigint
             from ledger_entries where account_id = $1
             group by 1 having sum(debit_minor - credit_minor) <> 0 order by 1",
        )
        .bind(user)
        .fetch_all(&self.house.service.db)
        .await
        .unwrap()
    }

    /// Ask Stripe to change something.
    pub async fn order(&self, path: &[&str], form: &[(&str, &str)]) -> Value {
        let key = uuid::Uuid::now_v7().to_string();
        let stripe = &self.house.service.ctx.stripe;
        let path: Vec<&str> = ["v1"].into_iter().chain(path.iter().copied()).collect();
        stripe.post(&path, form, &key).await.unwrap()
    }
}

pub fn balances(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    let expected = expected.iter();
    expected.map(|(name, sum)| ((*name).into(), *sum)).collect()
}

#[tokio::test]
async fn a_renewal_is_entered_as_owed_and_as_paid_with_our_share_apart() {
    let billing = Billing::new().await;
    billing.customer("ann").await;
    billing.uses("ann", MINUTES, 150).await;

    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;

    let first = [
        "finalized: receivable 4000",
        "finalized: subscription_revenue -4000",
        "paid: cash 4000",
        "paid: receivable -4000",
    ];
    let second = [
        "finalized: receivable 4565",
        "finalized: usage_revenue -565",
        "finalized: subscription_revenue -4000",
        "paid: cash 4565",
        "paid: receivable -4565",
    ];
    assert_eq!(billing.entries("ann").await, [&first[..], &second].concat());
    billing.check_calm().await;
}

#[tokio::test]
async fn a_second_look_enters_nothing_and_a_late_one_everything() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let before = billing.entries("ann").await;
    let invoice = billing.last_invoice(&ann).await;
    let record = RecordInvoice {
        invoice_ref: invoice["id"].as_str().unwrap().into(),
    };

    billing.house.service.enqueue(&record).await;
    billing.house.settle().await;
    assert_eq!(billing.entries("ann").await, before);

    // Nothing of this renewal is heard of until it is paid.
    let end = billing.period_end("ann").await;
    let passing = end + TimeDelta::hours(2) - billing.now();
    billing.pass(passing).await;
    assert_eq!(
        billing.balances("ann").await,
        balances(&[
            ("cash", 8500),
            ("subscription_revenue", -8000),
            ("usage_revenue", -500),
        ])
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn a_void_invoice_leaves_nothing_and_one_written_off_is_bad_debt_until_it_is_paid() {
    let billing = Billing::new().await;
    let (ann, ben) = (billing.customer("ann").await, billing.customer("ben").await);
    for who in [&ann, &ben] {
        billing.house.sandbox.let_payments_fail(&who.customer_id);
    }
    billing.uses("ann", MINUTES, 150).await;
    billing.pass_end("ann", TimeDelta::minutes(11)).await;
    billing.pass(TimeDelta::hours(2)).await;
    let paid_before = [("cash", 4000), ("subscription_revenue", -4000)];
    assert_eq!(
        billing.balances("ann").await,
        balances(&[
            ("cash", 4000),
            ("receivable", 4565),
            ("subscription_revenue", -8000),
            ("usage_revenue", -565),
        ])
    );

    let id = async |who| {
        let invoice = billing.last_invoice(who).await;
        invoice["id"].as_str().unwrap().to_owned()
    };
    let (of_ann, of_ben) = (id(&ann).await, id(&ben).await);
    billing.order(&["invoices", &of_ann, "void"], &[]).await;
    billing
        .order(&["invoices", &of_ben, "mark_uncollectible"], &[])
        .await;
    billing.pass(TimeDelta::seconds(1)).await;
    assert_eq!(billing.balances("ann").await, balances(&paid_before));
    assert_eq!(
        billing.balances("ben").await,
        balances(&[
            ("bad_debt", 4500),
            ("cash", 4000),
            ("subscription_revenue", -8000),
            ("usage_revenue", -500),
        ])
    );

    billing.house.sandbox.let_payments_succeed(&ben.customer_id);
    billing.order(&["invoices", &of_ben, "pay"], &[]).await;
    billing.pass(TimeDelta::seconds(1)).await;
    assert_eq!(
        billing.balances("ben").await,
        balances(&[
            ("cash", 8500),
            ("subscription_revenue", -8000),
            ("usage_revenue", -500),
        ])
    );
    // Ann's usage is on no invoice any more, and perhaps was meant to be on another one.
    assert_eq!(billing.house.findings().await, ["usage_voided"]);
    assert_eq!(billing.house.dead().await, [""; 0]);
}

#[tokio::test]
async fn what_is_too_little_to_charge_is_owed_in_the_customers_balance() {
    let billing = Billing::new().await;
    let ann = billing.customer("ann").await;
    let form = [("customer", ann.customer_id.as_str()), ("currency", "usd")];
    let draft = billing.order(&["invoices"], &form).await;
    let id = draft["id"].as_str().unwrap();
    let line = [
        ("customer", ann.customer_id.as_str()),
        ("invoice", id),
        ("amount", "30"),
        ("currency", "usd"),
    ];
    billing.order(&["invoiceitems"], &line).await;
    billing.order(&["invoices", id, "finalize"], &[]).await;

    billing.pass(TimeDelta::seconds(1)).await;

    assert_eq!(
        billing.balances("ann").await,
        balances(&[
            ("cash", 4000),
            ("customer_balance", 30),
            ("subscription_revenue", -4030),
        ])
    );
    billing.check_calm().await;
}

#[tokio::test]
async fn what_is_entered_stays_and_what_does_not_balance_is_refused() {
    let billing = Billing::new().await;
    billing.customer("ann").await;
    let db = &billing.house.service.db;
    for change in [
        "update ledger_entries set debit_minor = debit_minor + 1 where debit_minor > 0",
        "delete from ledger_entries",
        "update ledger_transactions set subject = subject || 'x'",
        "insert into ledger_entries (transaction_id, line, account_id, ledger_account, debit_minor, credit_minor)
         select transaction_id, 9, account_id, 'cash', 1, 0 from ledger_transactions",
    ] {
        let error = sqlx::query(sqlx::AssertSqlSafe(change)).execute(db).await;
        let code = error.unwrap_err().into_database_error().unwrap();
        let code = code.code().unwrap().into_owned();
        assert!(["23001", "23514"].contains(&code.as_str()), "{change}: {code}");
    }
    assert_eq!(
        json!(billing.balances("ann").await),
        json!([["cash", 4000], ["subscription_revenue", -4000]])
    );
}
