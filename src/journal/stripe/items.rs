//! The lines on invoices: put one on a draft, delete one from a draft.

use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::matching::{APP, APP_KEY, CHARGE_KEY, REVISION_KEY},
    outside::Discipline,
    usage::Span,
};
use uuid::Uuid;

use super::{PROVIDER, nothing_more, unless_parked};
use crate::{
    clients::{ClientError, stripe::NewItem},
    context::Context,
    db::billing::charges::{self, Charge},
    journal::{Effect, Found, Permission},
    queue::Failure,
};

/// Put a charge on an invoice at Stripe.
pub struct AddItem<'a> {
    pub charge: &'a Charge,
    pub invoice_id: Uuid,
    pub invoice_ref: &'a str,
    pub customer_ref: &'a str,
}

impl Effect for AddItem<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "add_invoice_item";
    const DISCIPLINE: Discipline = Discipline::Keyed;

    /// A charge that did not get onto one invoice may go onto another one.
    fn subject(&self) -> String {
        format!("{}:{}", self.charge.charge_id, self.invoice_id)
    }

    fn account_id(&self) -> &str {
        &self.charge.account_id
    }

    fn request(&self) -> String {
        format!(
            "{} {} {} {}",
            self.invoice_ref, self.customer_ref, self.charge.amount_minor, self.charge.currency
        )
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        if let Some(parked) = unless_parked(tx, &self.charge.account_id).await? {
            return Ok(parked);
        }
        let is_on = charges::is_on(tx, self.charge.charge_id, self.invoice_id).await?;
        Ok(match is_on {
            true => Permission::Granted,
            false => Permission::NotWanted("the charge was taken off this invoice"),
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let charge_id = self.charge.charge_id.to_string();
        let items = ctx.stripe.items_of(self.invoice_ref).await?;
        let mut ours: Vec<String> = items
            .into_iter()
            .filter(|item| item.metadata.get(CHARGE_KEY) == Some(&charge_id))
            .map(|item| item.id)
            .collect();
        // Should there ever be two, every run takes the same one; the comparison deletes the other.
        ours.sort();
        Ok(ours.into_iter().next().map(nothing_more))
    }

    async fn send(&self, ctx: &Context, key: &str) -> Result<Found, ClientError> {
        let charge = self.charge;
        let charge_id = charge.charge_id.to_string();
        let revision = charge.revision.to_string();
        let metadata = [
            (APP_KEY, APP),
            (CHARGE_KEY, charge_id.as_str()),
            (REVISION_KEY, revision.as_str()),
        ];
        let new = NewItem {
            customer: self.customer_ref,
            invoice: self.invoice_ref,
            amount_minor: charge.amount_minor,
            currency: &charge.currency,
            description: &charge.description,
            period: Span {
                starts_at: charge.starts_at,
                ends_at: charge.ends_at,
            },
            metadata: &metadata,
        };
        let item = ctx.stripe.add_item(&new, key).await?;
        Ok(nothing_more(item.id))
    }
}

/// Delete a line of ours that should not stand on a draft.
pub struct DeleteItem<'a> {
    pub account_id: &'a str,
    pub item_ref: &'a str,
}

impl Effect for DeleteItem<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "delete_invoice_item";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.item_ref.to_owned()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.item_ref.to_owned()
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
        let item = ctx.stripe.item(self.item_ref).await?;
        Ok(item
            .is_none()
            .then(|| nothing_more(self.item_ref.to_owned())))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        ctx.stripe.delete_item(self.item_ref).await?;
        Ok(nothing_more(self.item_ref.to_owned()))
    }
}
