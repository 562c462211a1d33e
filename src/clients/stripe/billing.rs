//! Invoices and the lines we put on them.
//!
//! Every line names its invoice: one without would be pending, and land on whichever invoice comes next. Amounts are
//! whole minor units: Stripe never multiplies or rounds for us.

use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use tollkeeper_jobs::{
    stripe::{Invoice, InvoiceItem, List},
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
