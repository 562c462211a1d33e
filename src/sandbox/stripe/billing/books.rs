//! The sandbox's own books: what was ever billed, as plain rows beside the objects that are served.
//! A test asks them who owes what; they know nothing of the service's arithmetic.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    super::model::Metadata,
    model::{Invoice, InvoiceStatus, Line, LineKind},
};

/// One invoice, the deleted ones too. Amounts in minor units, instants in Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BookedInvoice {
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub subscription: Option<String>,
    pub billing_reason: &'static str,
    pub status: InvoiceStatus,
    pub currency: String,
    /// The sum of its lines.
    pub total: i64,
    /// What of it is to be paid after the customer's balance and credit notes.
    pub due: i64,
    pub metadata: Metadata,
    pub finalized_at: Option<i64>,
    /// What was paid.
    pub paid: i64,
    /// What credit notes took back.
    pub credited: i64,
    /// What went back to the customer's card.
    pub refunded: i64,
    /// What it did to the customer's balance: below zero it left a credit.
    pub moved_to_balance: i64,
    pub is_deleted: bool,
    pub lines: Vec<BookedLine>,
}

/// One line, the deleted ones too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BookedLine {
    pub line: String,
    /// The invoice item; none for a subscription's own price.
    pub item: Option<String>,
    pub kind: LineKind,
    pub amount: i64,
    pub currency: String,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub period_start: i64,
    pub period_end: i64,
    pub is_deleted: bool,
}

/// The rows in the order they were begun.
#[derive(Default)]
pub(in crate::sandbox) struct Books {
    rows: Vec<BookedInvoice>,
    positions: HashMap<String, usize>,
}

impl Books {
    /// Put an invoice down as it is now. What is no longer on it stays as a deleted line.
    pub fn note(&mut self, invoice: &Invoice) {
        let position = self.positions.get(&invoice.id).copied();
        let position = position.unwrap_or_else(|| {
            self.positions.insert(invoice.id.clone(), self.rows.len());
            self.rows.push(begun(invoice));
            self.rows.len() - 1
        });
        let row = &mut self.rows[position];
        row.status = invoice.status;
        row.total = invoice.total();
        row.due = invoice.due();
        row.metadata.clone_from(&invoice.metadata);
        row.finalized_at = invoice.finalized_at;
        row.paid = invoice.amount_paid;
        row.credited = invoice.credited_before_payment + invoice.credited_after_payment;
        let is_settled = invoice.status != InvoiceStatus::Void;
        let after = invoice.ending_balance.filter(|_| is_settled);
        row.moved_to_balance = after.map_or(0, |after| after - invoice.starting_balance);
        row.is_deleted = invoice.is_deleted;
        note_lines(&mut row.lines, &invoice.lines);
    }

    pub fn refund(&mut self, invoice_id: &str, amount: i64) {
        let position = self.positions.get(invoice_id);
        if let Some(row) = position.and_then(|position| self.rows.get_mut(*position)) {
            row.refunded += amount;
        }
    }

    /// In the order the invoices were begun.
    pub fn rows(&self) -> &[BookedInvoice] {
        &self.rows
    }
}

fn begun(invoice: &Invoice) -> BookedInvoice {
    BookedInvoice {
        id: invoice.id.clone(),
        created: invoice.created,
        customer: invoice.customer.clone(),
        subscription: invoice.subscription().map(str::to_owned),
        billing_reason: invoice.billing_reason,
        status: invoice.status,
        currency: invoice.currency.clone(),
        total: 0,
        due: 0,
        metadata: Metadata::new(),
        finalized_at: None,
        paid: 0,
        credited: 0,
        refunded: 0,
        moved_to_balance: 0,
        is_deleted: false,
        lines: Vec::new(),
    }
}

/// Lines are only added at the end and taken out, so both lists have one order.
fn note_lines(rows: &mut Vec<BookedLine>, lines: &[Line]) {
    let mut next = lines.iter().peekable();
    for row in rows.iter_mut().filter(|row| !row.is_deleted) {
        match next.next_if(|line| line.id == row.line) {
            Some(line) => row.amount = line.amount,
            None => row.is_deleted = true,
        }
    }
    rows.extend(next.map(|line| BookedLine {
        line: line.id.clone(),
        item: line.item.clone(),
        kind: line.kind,
        amount: line.amount,
        currency: line.currency.clone(),
        description: line.description.clone(),
        metadata: line.metadata.clone(),
        period_start: line.period_start,
        period_end: line.period_end,
        is_deleted: false,
    }));
}
