//! Customers of a program that runs as processes: they sign up at a sandbox, and each is to have one
//! subaccount and one number in the end.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use tollkeeper::sandbox::{Fault, Provider, Rule, Sandbox, Settings, When, stripe::SignUp};

const PRICE: &str = "price_repx1";

/// A sandbox whose Twilio takes so long for each answer.
pub async fn sandbox(latency: Duration) -> Sandbox {
    let sandbox = Sandbox::start(Settings {
        subaccounts_max: 100_000,
        ..Settings::default()
    })
    .await
    .unwrap();
    sandbox.add_price(PRICE, 9700);
    let slow = Rule {
        provider: Some(Provider::Twilio),
        ..Rule::any(When::Always, Fault::Latency { by: latency })
    };
    sandbox.add_rules(vec![slow]);
    sandbox
}

pub fn sign_up(sandbox: &Sandbox, user: &str) -> String {
    let who = SignUp {
        user_id: user.into(),
        email: format!("{user}@example.com"),
        price_id: PRICE.into(),
        ..SignUp::default()
    };
    sandbox.sign_up(&who).unwrap().subscription_id
}

/// How many customers have working telephony.
pub async fn active(db: &PgPool) -> usize {
    let active: i64 = sqlx::query_scalar("select count(*) from telephony where status = 'active'")
        .fetch_one(db)
        .await
        .unwrap();
    active as usize
}

/// What is wrong when each of these many customers is to have been served once: one subaccount, one
/// purchase, one active number, and the same in our rows as at the provider.
pub async fn not_served_once(sandbox: &Sandbox, db: &PgPool, customers: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let ours: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "select subaccount.subaccount_ref, number.number_ref, number.status from twilio_subaccounts subaccount
         left join phone_numbers number using (account_id)",
    )
    .fetch_all(db)
    .await
    .unwrap();
    let (subaccounts, bought) = (sandbox.subaccounts(), sandbox.numbers_ever_bought());
    let held = sandbox.numbers();
    for (what, count) in [
        ("subaccounts", subaccounts.len()),
        ("numbers ever bought", bought.len()),
        ("numbers held", held.len()),
        ("rows of subaccounts and numbers", ours.len()),
        ("accounts that are active", active(db).await),
    ] {
        if count != customers {
            faults.push(format!("{count} {what} for {customers} customers"));
        }
    }
    let mut of_account: BTreeMap<&str, usize> = BTreeMap::new();
    for purchase in &bought {
        *of_account.entry(&purchase.account_sid).or_default() += 1;
    }
    for (subaccount_ref, number_ref, status) in &ours {
        let is_held = held
            .iter()
            .any(|number| Some(&number.sid) == number_ref.as_ref());
        let purchases = of_account.get(subaccount_ref.as_str());
        if purchases != Some(&1) || !is_held || status.as_deref() != Some("active") {
            faults.push(format!(
                "{subaccount_ref}: {purchases:?} purchases, number {number_ref:?} is {status:?}"
            ));
        }
    }
    faults
}
