//! `/v1/invoiceitems`: what is put on an invoice besides a subscription's own price.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::{
        Stripe,
        changes::flag,
        customers::metadata_of,
        errors,
        events::{Both, Snapshot},
        filters::Created,
    },
    Ask,
    amounts::{bounded, currency, integer, times},
    item_shape,
    lines::LINES_MAX,
    model::{InvoiceItem, InvoiceStatus, Line, LineKind, Pricing},
};
use crate::sandbox::wire::Reply;

const NAMES: [&str; 14] = [
    "customer",
    "invoice",
    "subscription",
    "amount",
    "currency",
    "description",
    "period",
    "metadata",
    "quantity",
    "unit_amount_decimal",
    "price",
    "pricing",
    "discountable",
    "tax_behavior",
];

/// How much an item costs.
struct Cost {
    amount: i64,
    quantity: i64,
    currency: Option<String>,
    pricing: Pricing,
}

impl Stripe {
    pub(super) fn create_item(&mut self, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&NAMES)?;
        let params = ask.params;
        let customer = params
            .get("customer")
            .ok_or_else(|| errors::missing_parameter("customer"))?;
        self.living_customer(customer)?;
        let metadata = metadata_of(params)?;
        let (period_start, period_end) = period(ask)?;
        let invoice_currency = self.check_invoice(ask, customer)?;
        let subscription = self.check_subscription(ask, customer)?;
        let cost = self.cost(ask)?;
        let currency = cost.currency.or_else(|| invoice_currency.clone());
        let currency = currency.unwrap_or_else(|| "usd".to_owned());
        if invoice_currency.is_some_and(|wanted| wanted != currency) {
            let message = "The currency of an item is the one of its invoice.";
            return Err(errors::invalid_parameter("currency", message));
        }
        let id = self.ids.next("ii", 24);
        let line = Line {
            id: String::new(),
            kind: LineKind::Item,
            item: Some(id.clone()),
            subscription,
            subscription_item: None,
            amount: cost.amount,
            currency,
            description: params.get("description").map(str::to_owned),
            metadata,
            period_start,
            period_end,
            quantity: cost.quantity,
            pricing: cost.pricing,
            is_discountable: flag(params, "discountable")?.unwrap_or(cost.amount >= 0),
        };
        self.add_item(ask.at, &id, customer, params.get("invoice"), line);
        self.get_item(&id, ask)
    }

    /// Add an item, pending or on an invoice with room for it, and tell of it.
    pub(super) fn add_item(
        &mut self,
        at: i64,
        id: &str,
        customer: &str,
        invoice: Option<&str>,
        line: Line,
    ) {
        self.items.add(InvoiceItem {
            id: id.to_owned(),
            created: at,
            customer: customer.to_owned(),
            invoice: None,
            is_deleted: false,
            line,
        });
        if let Some(invoice) = invoice {
            self.attach(at, id, invoice);
        }
        self.emit_item(at, "invoiceitem.created", id);
    }

    /// The invoice that is named takes another item of this customer. Returns its currency.
    fn check_invoice(&self, ask: Ask, customer: &str) -> Result<Option<String>, Reply> {
        let Some(id) = ask.params.get("invoice") else {
            return Ok(None);
        };
        let invoice = self.draft_named(id)?;
        if invoice.customer != customer {
            let message = "The invoice belongs to another customer.";
            return Err(errors::invalid_parameter("invoice", message));
        }
        if invoice.lines.len() >= LINES_MAX {
            let message = "An invoice has at most 250 items.";
            return Err(errors::invalid_parameter("invoice", message));
        }
        Ok(Some(invoice.currency.clone()))
    }

    fn check_subscription(&self, ask: Ask, customer: &str) -> Result<Option<String>, Reply> {
        let Some(id) = ask.params.get("subscription") else {
            let invoice = ask
                .params
                .get("invoice")
                .and_then(|id| self.invoices.get(id));
            let parent = invoice.and_then(|invoice| invoice.subscription());
            return Ok(parent.map(str::to_owned));
        };
        if ask.params.get("invoice").is_some() {
            let message = "You may only specify one of these parameters: invoice, subscription.";
            return Err(errors::invalid_parameter("subscription", message));
        }
        let own = self.subscriptions.get(id);
        own.filter(|subscription| subscription.customer == customer)
            .ok_or_else(|| errors::no_such_reference("subscription", id, "subscription"))?;
        Ok(Some(id.to_owned()))
    }

    /// `amount`, or `quantity` times `unit_amount_decimal` or a price.
    fn cost(&mut self, ask: Ask) -> Result<Cost, Reply> {
        let params = ask.params;
        let currency = currency(params)?;
        let quantity = integer(params, "quantity")?;
        if let Some(amount) = integer(params, "amount")? {
            if quantity.is_some() || params.get("unit_amount_decimal").is_some() {
                let message = "You may only specify one of these parameters: amount, quantity.";
                return Err(errors::invalid_parameter("amount", message));
            }
            return Ok(Cost {
                amount: bounded(amount, "amount")?,
                quantity: 1,
                currency,
                pricing: self.made_up_pricing(amount.to_string()),
            });
        }
        let quantity = quantity.unwrap_or(1);
        let (name, pricing, of_price) = if let Some(decimal) = params.get("unit_amount_decimal") {
            let pricing = self.made_up_pricing(decimal.to_owned());
            ("unit_amount_decimal", pricing, None)
        } else {
            let named = ["pricing[price]", "price"].into_iter();
            let mut named = named.filter_map(|name| Some((name, params.get(name)?)));
            let (name, id) = named
                .next()
                .ok_or_else(|| errors::missing_parameter("amount"))?;
            let price = self.price_of(id, name)?;
            (name, Pricing::of(&price), Some(price.currency))
        };
        let amount = times(&pricing.unit_amount_decimal, quantity)
            .ok_or_else(|| errors::invalid_parameter(name, "Invalid decimal"))?;
        Ok(Cost {
            amount: bounded(amount, name)?,
            quantity,
            currency: of_price.or(currency),
            pricing,
        })
    }

    /// Stripe makes a price and a product for an item that names none.
    pub(super) fn made_up_pricing(&mut self, unit_amount_decimal: String) -> Pricing {
        Pricing {
            price: self.ids.next("price", 24),
            product: self.ids.next("prod", 14),
            unit_amount_decimal,
            recurring: None,
        }
    }

    pub(super) fn get_item(&self, id: &str, ask: Ask) -> Result<Value, Reply> {
        Ok(item_shape::item(self.living_item(id)?, ask.version))
    }

    fn living_item(&self, id: &str) -> Result<&InvoiceItem, Reply> {
        let item = self.items.get(id).filter(|item| !item.is_deleted);
        item.ok_or_else(|| errors::no_such("Invoice Item", id))
    }

    pub(super) fn list_items(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let (invoice, pending) = (params.get("invoice"), flag(params, "pending")?);
        let created = Created::of(params)?;
        let of_invoice = invoice.and_then(|id| self.invoices.get(id));
        let owner = params
            .get("customer")
            .or(of_invoice.map(|invoice| invoice.customer.as_str()));
        if let (Some(id), None) = (invoice, of_invoice) {
            return Err(errors::no_such_reference("invoice", id, "invoice"));
        }
        let is_wanted = |item: &InvoiceItem| {
            !item.is_deleted
                && invoice.is_none_or(|id| item.invoice.as_deref() == Some(id))
                && pending.is_none_or(|pending| item.invoice.is_none() == pending)
                && created.holds(item.created)
        };
        let render = |item: &InvoiceItem| item_shape::item(item, ask.version);
        self.items
            .page_of(owner, params, "/v1/invoiceitems", is_wanted, render)
    }

    /// Only while it is pending, or on a draft.
    pub(super) fn delete_item(&mut self, id: &str, ask: Ask) -> Result<Value, Reply> {
        let invoice = self.living_item(id)?.invoice.clone();
        let on = invoice.as_ref().and_then(|id| self.invoices.get(id));
        if on.is_some_and(|invoice| invoice.status != InvoiceStatus::Draft || invoice.is_deleted) {
            return Err(errors::invoice_not_editable());
        }
        self.drop_item(ask.at, id);
        Ok(json!({"id": id, "object": "invoiceitem", "deleted": true}))
    }

    /// Delete an item, and its line where it is on an invoice.
    pub(super) fn drop_item(&mut self, at: i64, id: &str) {
        let Some(item) = self.items.get_mut(id) else {
            return;
        };
        item.is_deleted = true;
        if let Some(invoice) = item.invoice.clone() {
            self.take_off(at, id, &invoice);
        }
        self.emit_item(at, "invoiceitem.deleted", id);
    }

    /// The lines of an item disappear from its invoice.
    fn take_off(&mut self, at: i64, item_id: &str, invoice_id: &str) {
        self.update_invoice(at, invoice_id, |invoice| {
            Arc::make_mut(&mut invoice.lines).retain(|line| line.item.as_deref() != Some(item_id));
        });
    }

    fn emit_item(&mut self, at: i64, kind: &'static str, id: &str) {
        if let Some(item) = self.items.get(id) {
            let object = Both::render(|version| item_shape::item(item, version));
            self.emit(at, kind, Snapshot::from(object), None);
        }
    }
}

/// `period[start]` and `period[end]`, both or none; the end not before the start.
fn period(ask: Ask) -> Result<(i64, i64), Reply> {
    let start = integer(ask.params, "period[start]")?;
    let end = integer(ask.params, "period[end]")?;
    match (start, end) {
        (None, None) => Ok((ask.at, ask.at)),
        (Some(start), Some(end)) if start <= end => Ok((start, end)),
        (Some(_), Some(_)) => {
            let message = "The end of a period is not before its start.";
            Err(errors::invalid_parameter("period[end]", message))
        }
        (None, Some(_)) => Err(errors::missing_parameter("period[start]")),
        (Some(_), None) => Err(errors::missing_parameter("period[end]")),
    }
}
