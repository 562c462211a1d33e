//! Invoices of our own: make one, finalize one.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::matching::{APP, APP_KEY, INVOICE_KEY},
    outside::Discipline,
};
use uuid::Uuid;

use super::{PROVIDER, nothing_more, unless_parked};
use crate::{
    clients::{ClientError, stripe::NewInvoice},
    context::Context,
    db::billing::invoices,
    journal::{Effect, Found, Permission},
    queue::Failure,
};

/// Our clock and Stripe's may differ by so much when its list is asked for what was made since.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// Make the draft of an invoice that is planned.
pub struct MakeInvoice<'a> {
    pub account_id: &'a str,
    pub invoice_id: Uuid,
    pub customer_ref: &'a str,
    pub currency: &'a str,
    pub payment_method_ref: Option<&'a str>,
    pub planned_at: DateTime<Utc>,
}

impl Effect for MakeInvoice<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "make_invoice";
    const DISCIPLINE: Discipline = Discipline::Keyed;

    fn subject(&self) -> String {
        self.invoice_id.to_string()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        let of = format!("{} {}", self.customer_ref, self.currency);
        match self.payment_method_ref {
            Some(method) => format!("{of} {method}"),
            None => of,
        }
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let parked = unless_parked(tx, self.account_id).await?;
        Ok(parked.unwrap_or(Permission::Granted))
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let id = self.invoice_id.to_string();
        let since = self.planned_at - CLOCKS_DIFFER;
        let all = ctx.stripe.invoices_of(self.customer_ref, since).await?;
        let mut ours: Vec<String> = all
            .into_iter()
            .filter(|invoice| invoice.metadata.get(INVOICE_KEY) == Some(&id))
            .filter_map(|invoice| invoice.id)
            .collect();
        ours.sort();
        Ok(ours.into_iter().next().map(nothing_more))
    }

    async fn send(&self, ctx: &Context, key: &str) -> Result<Found, ClientError> {
        let id = self.invoice_id.to_string();
        let new = NewInvoice {
            customer: self.customer_ref,
            currency: self.currency,
            payment_method: self.payment_method_ref,
            description: "Usage beyond what the plan includes",
            metadata: &[(APP_KEY, APP), (INVOICE_KEY, id.as_str())],
        };
        let invoice = ctx.stripe.make_invoice(&new, key).await?;
        let Some(invoice_ref) = invoice.id else {
            let why = "it answered an invoice without an id".into();
            return Err(ClientError::Unknown {
                provider: PROVIDER,
                status: None,
                why,
            });
        };
        Ok(nothing_more(invoice_ref))
    }
}

/// Finalize one of our own.
pub struct FinalizeInvoice<'a> {
    pub account_id: &'a str,
    pub invoice_id: Uuid,
    pub invoice_ref: &'a str,
}

impl Effect for FinalizeInvoice<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "finalize_invoice";
    /// Stripe finalizes an invoice once, whatever the key.
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.invoice_id.to_string()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.invoice_ref.to_owned()
    }

    /// Only while it is what was compared: nothing was put on it or taken off since.
    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        if let Some(parked) = unless_parked(tx, self.account_id).await? {
            return Ok(parked);
        }
        let invoice = invoices::load(tx, self.invoice_id).await?;
        let is_matched =
            invoice.is_some_and(|invoice| invoice.is_own && invoice.matched_at.is_some());
        Ok(match is_matched {
            true => Permission::Granted,
            false => Permission::NotWanted("its lines were not seen to be right"),
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let invoice = ctx.stripe.invoice(self.invoice_ref).await?;
        let is_final = invoice.is_some_and(|invoice| invoice.status.as_deref() != Some("draft"));
        Ok(is_final.then(|| nothing_more(self.invoice_ref.to_owned())))
    }

    /// Each request has a key of its own: a failure that Stripe has stored under one would be its answer for a day.
    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let key = Uuid::now_v7().to_string();
        ctx.stripe.finalize_invoice(self.invoice_ref, &key).await?;
        Ok(nothing_more(self.invoice_ref.to_owned()))
    }
}
