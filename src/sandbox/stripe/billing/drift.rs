//! The hand of somebody who changes invoices behind everybody's back, finalized ones too. No event
//! tells of it.

use std::sync::Arc;

use super::{
    super::Stripe,
    model::{InvoiceItem, Line, LineKind},
};

impl Stripe {
    /// A coupon takes so much off what may be discounted. False without such an invoice.
    pub(in crate::sandbox) fn discount(&mut self, invoice_id: &str, percent_off: i64) -> bool {
        let is_there = self.invoices.get(invoice_id).is_some();
        if is_there {
            self.change_invoice(invoice_id, |invoice| invoice.percent_off = percent_off);
        }
        is_there
    }

    /// Put an item nobody asked for on any invoice. Returns its id; none without such an invoice.
    pub(in crate::sandbox) fn plant_item(
        &mut self,
        at: i64,
        invoice_id: &str,
        amount: i64,
        description: &str,
    ) -> Option<String> {
        let invoice = self.invoices.get(invoice_id)?;
        let (currency, period) = (invoice.currency.clone(), invoice.period_start);
        let (subscription, end) = (
            invoice.subscription().map(str::to_owned),
            invoice.period_end,
        );
        let pricing = self.made_up_pricing(amount.to_string());
        let id = self.ids.next("ii", 24);
        let line = Line {
            id: self.ids.next("il", 24),
            kind: LineKind::Item,
            item: Some(id.clone()),
            subscription,
            subscription_item: None,
            amount,
            currency,
            description: Some(description.to_owned()),
            metadata: Default::default(),
            period_start: period,
            period_end: end,
            quantity: 1,
            pricing,
            is_discountable: true,
        };
        self.plant(at, invoice_id, id, line)
    }

    /// The same item once more on its invoice, under another id. None when it is on no invoice.
    pub(in crate::sandbox) fn double_item(&mut self, at: i64, item_id: &str) -> Option<String> {
        let item = self.items.get(item_id)?;
        let (invoice_id, mut line) = (item.invoice.clone()?, item.line.clone());
        let id = self.ids.next("ii", 24);
        line.id = self.ids.next("il", 24);
        line.item = Some(id.clone());
        self.plant(at, &invoice_id, id, line)
    }

    fn plant(&mut self, at: i64, invoice_id: &str, id: String, line: Line) -> Option<String> {
        let customer = self.invoices.get(invoice_id)?.customer.clone();
        self.items.add(InvoiceItem {
            id: id.clone(),
            created: at,
            customer,
            invoice: Some(invoice_id.to_owned()),
            is_deleted: false,
            line: line.clone(),
        });
        self.change_invoice(invoice_id, |invoice| {
            Arc::make_mut(&mut invoice.lines).push(line);
        });
        Some(id)
    }

    /// Take an item away. False when there is none of that id.
    pub(in crate::sandbox) fn lose_item(&mut self, item_id: &str) -> bool {
        let item = self.items.get_mut(item_id).filter(|item| !item.is_deleted);
        let Some(item) = item else {
            return false;
        };
        item.is_deleted = true;
        if let Some(invoice_id) = item.invoice.clone() {
            self.change_invoice(&invoice_id, |invoice| {
                let lines = Arc::make_mut(&mut invoice.lines);
                lines.retain(|line| line.item.as_deref() != Some(item_id));
            });
        }
        true
    }

    /// Make an item cost something else. False when there is none of that id.
    pub(in crate::sandbox) fn falsify_item(&mut self, item_id: &str, amount: i64) -> bool {
        let item = self.items.get_mut(item_id).filter(|item| !item.is_deleted);
        let Some(item) = item else {
            return false;
        };
        item.line.amount = amount;
        if let Some(invoice_id) = item.invoice.clone() {
            self.change_invoice(&invoice_id, |invoice| {
                let lines = Arc::make_mut(&mut invoice.lines).iter_mut();
                for line in lines.filter(|line| line.item.as_deref() == Some(item_id)) {
                    line.amount = amount;
                }
            });
        }
        true
    }
}
