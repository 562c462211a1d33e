//! Who takes part, and what they buy.

use std::collections::BTreeMap;

use crate::sandbox::{
    Sandbox,
    stripe::{SignUp, SignedUp},
};

/// The settings of the catalogue that the demo fills, the ids it fills them with, and US cents.
const PRICES: [(&str, &str, i64); 4] = [
    ("STRIPE_PRICE_AI_SECRETARY", "price_demo_secretary", 4_000),
    (
        "STRIPE_PRICE_AI_PROJECT_MANAGER",
        "price_demo_manager",
        28_000,
    ),
    ("STRIPE_REPX1_MONTHLY_PRICE_ID", "price_demo_rep1", 9_700),
    ("STRIPE_REPX3_MONTHLY_PRICE_ID", "price_demo_rep3", 29_700),
];

/// How many have a story of their own; the crowd follows them.
pub const NAMED: usize = 4;
/// How many sign up at once.
pub const CROWD: usize = 24;

/// For the settings.
pub fn price_ids() -> BTreeMap<String, String> {
    PRICES
        .iter()
        .map(|(setting, id, _)| (setting.to_string(), id.to_string()))
        .collect()
}

/// For the sandbox's Stripe.
pub fn add_prices(sandbox: &Sandbox) {
    for (_, id, cents) in PRICES {
        sandbox.add_price(id, cents);
    }
}

/// Where a customer's story ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    HasNumber,
    GaveItBack,
}

#[derive(Debug)]
pub struct Customer {
    /// The crowd has none.
    pub name: &'static str,
    /// Of this run alone: an earlier run's customers are still in the database.
    pub account_id: String,
    pub price_id: &'static str,
    pub end: End,
    /// The subscription that counts.
    pub subscription: Option<SignedUp>,
}

impl Customer {
    /// Ann, Ben, Cleo and Dan, in this order, and then the crowd.
    pub fn cast() -> Vec<Customer> {
        let run: u16 = rand::random();
        let customer = |name: &'static str, price_id, end| Customer {
            name,
            account_id: format!("{}-{run:04x}", name.to_lowercase()),
            price_id,
            end,
            subscription: None,
        };
        let mut cast = vec![
            customer("Ann", "price_demo_secretary", End::HasNumber),
            customer("Ben", "price_demo_rep1", End::GaveItBack),
            customer("Cleo", "price_demo_manager", End::HasNumber),
            customer("Dan", "price_demo_rep3", End::HasNumber),
        ];
        cast.extend((1..=CROWD).map(|nth| Customer {
            name: "",
            account_id: format!("guest-{nth:02}-{run:04x}"),
            price_id: PRICES[nth % PRICES.len()].1,
            end: End::HasNumber,
            subscription: None,
        }));
        cast
    }

    /// Go through Checkout and pay.
    pub fn subscribe(&mut self, sandbox: &Sandbox) -> Result<(), String> {
        self.subscription = Some(sandbox.sign_up(&SignUp {
            user_id: self.account_id.clone(),
            email: format!("{}@example.com", self.account_id),
            price_id: self.price_id.to_owned(),
            ..SignUp::default()
        })?);
        Ok(())
    }
}
