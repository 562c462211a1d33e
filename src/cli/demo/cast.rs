//! Who takes part, and what they buy.

use crate::{
    cli::sandbox::monthly_price_id,
    sandbox::{
        Sandbox,
        stripe::{SignUp, SignedUp},
    },
};

/// What they buy, by tier.
const TIERS: [&str; 4] = ["ai_secretary", "repx1", "ai_project_manager", "repx3"];

/// How many have a story of their own; the crowd follows them.
pub const NAMED: usize = 4;
/// How many sign up at once.
pub const CROWD: usize = 24;

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
    pub price_id: String,
    pub end: End,
    /// The subscription that counts.
    pub subscription: Option<SignedUp>,
}

impl Customer {
    /// Ann, Ben, Cleo and Dan, in this order, and then the crowd.
    pub fn cast() -> Vec<Customer> {
        let run: u16 = rand::random();
        let customer = |name: &'static str, tier, end| Customer {
            name,
            account_id: format!("{}-{run:04x}", name.to_lowercase()),
            price_id: monthly_price_id(tier),
            end,
            subscription: None,
        };
        let mut cast = vec![
            customer("Ann", TIERS[0], End::HasNumber),
            customer("Ben", TIERS[1], End::GaveItBack),
            customer("Cleo", TIERS[2], End::HasNumber),
            customer("Dan", TIERS[3], End::HasNumber),
        ];
        cast.extend((1..=CROWD).map(|nth| Customer {
            name: "",
            account_id: format!("guest-{nth:02}-{run:04x}"),
            price_id: monthly_price_id(TIERS[nth % TIERS.len()]),
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
