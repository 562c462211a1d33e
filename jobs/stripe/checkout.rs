//! A checkout session: the one place where Stripe repeats which user of ours paid.

use serde::Deserialize;

use super::{Metadata, Reference, account_in, or_default, usable_account};

#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    /// `subscription`, `payment` or `setup`.
    #[serde(default)]
    pub mode: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    #[serde(default)]
    pub payment_status: Option<String>,
    #[serde(default)]
    pub customer: Option<Reference>,
    #[serde(default)]
    pub subscription: Option<Reference>,
    #[serde(default)]
    pub client_reference_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: Metadata,
    #[serde(default)]
    customer_email: Option<String>,
    #[serde(default)]
    customer_details: Option<CustomerDetails>,
}

#[derive(Debug, Clone, Deserialize)]
struct CustomerDetails {
    #[serde(default)]
    email: Option<String>,
}

impl CheckoutSession {
    /// Whose checkout it was. Metadata comes first, as it does on the subscription, so that both
    /// name the same account in whatever order they are seen.
    pub fn account_id(&self) -> Option<String> {
        account_in(&self.metadata).or_else(|| usable_account(self.client_reference_id.as_deref()?))
    }

    /// What the customer typed in, else what the app passed on.
    pub fn email(&self) -> Option<&str> {
        self.customer_details
            .as_ref()
            .and_then(|details| details.email.as_deref())
            .or(self.customer_email.as_deref())
    }
}
