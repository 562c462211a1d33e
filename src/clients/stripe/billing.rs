//! Invoices and the lines we put on them.
//!
//! Every line names its invoice: one without would be pending, and land on whichever invoice comes next. Amounts are
//! whole minor units: Stripe never multiplies or rounds for us.

use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use tollkeeper_jobs::{
    stripe::{Charge, CreditNote, Dispute, Invoice, InvoiceItem, List, Preview, Reference, Refund},
    usage::Span,
};

use super::{PAGE, PAGES_MAX, Stripe, found};
use crate::clients::ClientError;

/// A draft of our own: it takes no pending items, and nothing finalizes it but us.
#[derive(Debug, Clone)]
pub struct NewInvoice<'a> {
    pub customer: &'a str,
    /// ISO 4217, lower case.
    pub currency: &'a str,
    /// What it is paid by. None: by whatever the customer's invoices are.
    pub payment_method: Option<&'a str>,
    pub description: &'a str,
    pub metadata: &'a [(&'a str, &'a str)],
}

/// A line on a draft.
#[derive(Debug, Clone)]
pub struct NewItem<'a> {
    pub customer: &'a str,
    pub invoice: &'a str,
    /// Negative for a credit.
    pub amount_minor: i64,
    pub currency: &'a str,
    pub description: &'a str,
    pub period: Span,
    pub metadata: &'a [(&'a str, &'a str)],
}

/// Which invoice a payment is for.
#[derive(Debug, Deserialize)]
struct InvoicePayment {
    id: String,
    invoice: Reference,
}

/// Another price for an item of a subscription.
#[derive(Debug, Clone, Copy)]
pub struct NewPrice<'a> {
    /// `si_…`; without it the price would be added to what is there.
    pub item: &'a str,
    pub price: &'a str,
    /// The instant from which on it would hold.
    pub from: DateTime<Utc>,
}

/// What was deleted.
#[derive(Debug, Deserialize)]
struct Deleted {}

impl Stripe {
    /// Make a draft of our own.
    pub async fn make_invoice(
        &self,
        new: &NewInvoice<'_>,
        key: &str,
    ) -> Result<Invoice, ClientError> {
        let metadata = metadata(new.metadata);
        let mut form = vec![
            ("customer", new.customer),
            ("currency", new.currency),
            ("description", new.description),
            ("auto_advance", "false"),
            ("collection_method", "charge_automatically"),
            ("pending_invoice_items_behavior", "exclude"),
        ];
        form.extend(
            new.payment_method
                .map(|one| ("default_payment_method", one)),
        );
        form.extend(metadata.iter().map(|(key, value)| (key.as_str(), *value)));
        self.post(&["v1", "invoices"], &form, key).await
    }

    /// Put a line on a draft.
    pub async fn add_item(&self, new: &NewItem<'_>, key: &str) -> Result<InvoiceItem, ClientError> {
        let amount = new.amount_minor.to_string();
        let starts_at = new.period.starts_at.timestamp().to_string();
        let ends_at = new.period.ends_at.timestamp().to_string();
        let metadata = metadata(new.metadata);
        let mut form = vec![
            ("customer", new.customer),
            ("invoice", new.invoice),
            ("amount", amount.as_str()),
            ("currency", new.currency),
            ("description", new.description),
            ("period[start]", starts_at.as_str()),
            ("period[end]", ends_at.as_str()),
            // A coupon is for the plan. Off a line it would take what our books say is paid, and a line that gives
            // something back is never discounted.
            ("discountable", "false"),
        ];
        form.extend(metadata.iter().map(|(key, value)| (key.as_str(), *value)));
        self.post(&["v1", "invoiceitems"], &form, key).await
    }

    /// A line. None: it was deleted, or never was.
    pub async fn item(&self, id: &str) -> Result<Option<InvoiceItem>, ClientError> {
        found(self.get(&["v1", "invoiceitems", id], &[]).await)
    }

    /// Every line that somebody put on an invoice; those of the subscription itself are not among them.
    pub async fn items_of(&self, invoice: &str) -> Result<Vec<InvoiceItem>, ClientError> {
        let query = [("invoice", invoice)];
        self.all(&["v1", "invoiceitems"], &query, |item: &InvoiceItem| {
            Some(item.id.clone())
        })
        .await
    }

    /// The credit notes of an invoice.
    pub async fn credit_notes_of(&self, invoice: &str) -> Result<Vec<CreditNote>, ClientError> {
        let query = [("invoice", invoice)];
        self.all(&["v1", "credit_notes"], &query, |note: &CreditNote| {
            Some(note.id.clone())
        })
        .await
    }

    /// Every line that a customer was made since then, on whatever invoice, or on none yet.
    pub async fn items_of_customer(
        &self,
        customer: &str,
        since: DateTime<Utc>,
    ) -> Result<Vec<InvoiceItem>, ClientError> {
        let since = since.timestamp().to_string();
        let query = [("customer", customer), ("created[gte]", since.as_str())];
        self.all(&["v1", "invoiceitems"], &query, |item: &InvoiceItem| {
            Some(item.id.clone())
        })
        .await
    }

    pub async fn charge(&self, id: &str) -> Result<Option<Charge>, ClientError> {
        found(self.get(&["v1", "charges", id], &[]).await)
    }

    pub async fn refund(&self, id: &str) -> Result<Option<Refund>, ClientError> {
        found(self.get(&["v1", "refunds", id], &[]).await)
    }

    pub async fn dispute(&self, id: &str) -> Result<Option<Dispute>, ClientError> {
        found(self.get(&["v1", "disputes", id], &[]).await)
    }

    /// The invoice that a payment intent is for. None: it is for no invoice.
    pub async fn invoice_of_payment(&self, intent: &str) -> Result<Option<String>, ClientError> {
        let query = [
            ("payment[type]", "payment_intent"),
            ("payment[payment_intent]", intent),
        ];
        let payments: Vec<InvoicePayment> = self
            .all(
                &["v1", "invoice_payments"],
                &query,
                |payment: &InvoicePayment| Some(payment.id.clone()),
            )
            .await?;
        Ok(payments.into_iter().next().map(|payment| payment.invoice.0))
    }

    /// Delete a line of a draft.
    pub async fn delete_item(&self, id: &str) -> Result<(), ClientError> {
        let request = self.http.delete(self.url(&["v1", "invoiceitems", id]));
        self.send::<Deleted>(request).await.map(|_| ())
    }

    /// The invoices that a customer was made since then, newest first.
    pub async fn invoices_of(
        &self,
        customer: &str,
        since: DateTime<Utc>,
    ) -> Result<Vec<Invoice>, ClientError> {
        let since = since.timestamp().to_string();
        let query = [("customer", customer), ("created[gte]", since.as_str())];
        self.invoices(&query).await
    }

    /// All drafts that were made since then, newest first.
    pub async fn drafts(&self, since: DateTime<Utc>) -> Result<Vec<Invoice>, ClientError> {
        let since = since.timestamp().to_string();
        let query = [("status", "draft"), ("created[gte]", since.as_str())];
        self.invoices(&query).await
    }

    async fn invoices(&self, query: &[(&str, &str)]) -> Result<Vec<Invoice>, ClientError> {
        self.all(&["v1", "invoices"], query, |invoice: &Invoice| {
            invoice.id.clone()
        })
        .await
    }

    /// Finalize a draft, and have it collected.
    pub async fn finalize_invoice(&self, id: &str, key: &str) -> Result<Invoice, ClientError> {
        let form = [("auto_advance", "true")];
        self.post(&["v1", "invoices", id, "finalize"], &form, key)
            .await
    }

    /// The next invoice of a subscription, as it is or with a price changed. It changes nothing there, and needs no key.
    ///
    /// A customer or subscription that Stripe does not know and one that will have no further invoice are refused.
    pub async fn preview(
        &self,
        customer: &str,
        subscription: &str,
        change: Option<NewPrice<'_>>,
    ) -> Result<Preview, ClientError> {
        let mut form = vec![("customer", customer), ("subscription", subscription)];
        let from = change.map(|change| change.from.timestamp().to_string());
        if let (Some(change), Some(from)) = (&change, &from) {
            form.extend([
                ("subscription_details[items][0][id]", change.item),
                ("subscription_details[items][0][price]", change.price),
                ("subscription_details[proration_date]", from.as_str()),
            ]);
        }
        let path = self.url(&["v1", "invoices", "create_preview"]);
        self.send(self.http.post(path).form(&form)).await
    }

    /// All pages of a list. `id_of` answers where the next page begins.
    async fn all<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        id_of: impl Fn(&T) -> Option<String>,
    ) -> Result<Vec<T>, ClientError> {
        let mut all: Vec<T> = Vec::new();
        for _ in 0..PAGES_MAX {
            let last = all.last().and_then(&id_of);
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            if let Some(last) = &last {
                query.push(("starting_after", last));
            }
            let page: Option<List<T>> = found(self.get(path, &query).await)?;
            let Some(mut page) = page else { break };
            let is_last = !page.has_more || page.data.is_empty();
            all.append(&mut page.data);
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}

fn metadata<'a>(pairs: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    let named = pairs
        .iter()
        .map(|(key, value)| (format!("metadata[{key}]"), *value));
    named.collect()
}
