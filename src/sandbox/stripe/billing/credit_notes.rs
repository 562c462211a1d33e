//! `/v1/credit_notes`: what is taken back of a finalized invoice. Before it is paid, less is due;
//! afterwards the money goes back, to the balance, or another way, as the note says.

use serde_json::{Value, json};

use super::{
    super::{
        Stripe,
        customers::metadata_of,
        errors,
        events::{Both, Snapshot},
        filters::Created,
        model::Metadata,
        shelf::Object,
    },
    Ask,
    amounts::integer,
    model::{Invoice, InvoiceStatus},
};
use crate::sandbox::wire::Reply;

const LINES_MAX: usize = 250;
const NAMES: [&str; 9] = [
    "invoice",
    "amount",
    "lines",
    "metadata",
    "memo",
    "reason",
    "refund_amount",
    "credit_amount",
    "out_of_band_amount",
];

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct CreditNote {
    pub id: String,
    pub created: i64,
    pub number: String,
    pub amount: i64,
    pub currency: String,
    pub customer: String,
    pub invoice: String,
    pub lines: Vec<NoteLine>,
    pub memo: Option<String>,
    pub reason: Option<String>,
    pub metadata: Metadata,
    pub refund: Option<String>,
    pub is_before_payment: bool,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct NoteLine {
    pub amount: i64,
    pub description: Option<String>,
    /// The invoice's line that it is about.
    pub on: Option<String>,
}

impl Object for CreditNote {
    fn id(&self) -> &str {
        &self.id
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

impl CreditNote {
    fn json(&self) -> Value {
        let lines = self.lines.iter().enumerate();
        let lines: Vec<Value> = lines
            .map(|(index, line)| {
                json!({
                    "id": format!("cnli_{}_{index}", self.id),
                    "object": "credit_note_line_item",
                    "amount": line.amount,
                    "description": line.description,
                    "invoice_line_item": line.on,
                    "type": if line.on.is_some() { "invoice_line_item" } else { "custom_line_item" },
                })
            })
            .collect();
        json!({
            "id": self.id,
            "object": "credit_note",
            "amount": self.amount,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "invoice": self.invoice,
            "lines": {
                "object": "list",
                "data": lines,
                "has_more": false,
                "url": format!("/v1/credit_notes/{}/lines", self.id),
            },
            "livemode": false,
            "memo": self.memo,
            "metadata": self.metadata,
            "number": self.number,
            "reason": self.reason,
            "refund": self.refund,
            "status": "issued",
            "subtotal": self.amount,
            "total": self.amount,
            "type": if self.is_before_payment { "pre_payment" } else { "post_payment" },
        })
    }
}

/// Where the money of a paid invoice goes.
struct Ways {
    refund: i64,
    credit: i64,
}

impl Stripe {
    pub(super) fn create_credit_note(&mut self, ask: Ask) -> Result<Value, Reply> {
        ask.knows_only(&NAMES)?;
        let params = ask.params;
        let invoice_id = params
            .get("invoice")
            .ok_or_else(|| errors::missing_parameter("invoice"))?;
        let invoice = self.invoices.get(invoice_id).filter(|row| !row.is_deleted);
        let invoice = invoice
            .ok_or_else(|| errors::no_such_reference("invoice", invoice_id, "invoice"))?
            .clone();
        let is_before_payment = match invoice.status {
            InvoiceStatus::Open => true,
            InvoiceStatus::Paid => false,
            _ => {
                return Err(errors::not_now(
                    "A credit note is for an invoice that is open or paid.",
                ));
            }
        };
        let lines = lines(ask, &invoice)?;
        let sum = lines
            .iter()
            .fold(0_i64, |sum, line| sum.saturating_add(line.amount));
        let amount = match integer(params, "amount")? {
            Some(amount) => amount,
            None if lines.is_empty() => return Err(errors::missing_parameter("amount")),
            None => sum,
        };
        let left = if is_before_payment {
            invoice.amount_due
        } else {
            invoice.total() - invoice.credited_before_payment - invoice.credited_after_payment
        };
        if !(1..=left).contains(&amount) || (!lines.is_empty() && sum != amount) {
            let message = format!(
                "The amount of a credit note is the sum of its lines, between 1 and what is left, {left}."
            );
            return Err(errors::invalid_parameter("amount", &message));
        }
        let ways = self.ways(ask, &invoice, amount, is_before_payment)?;
        let note = CreditNote {
            id: self.ids.next("cn", 24),
            created: ask.at,
            number: self.next_note_number(&invoice),
            amount,
            currency: invoice.currency.clone(),
            customer: invoice.customer.clone(),
            invoice: invoice.id.clone(),
            lines,
            memo: params.get("memo").map(str::to_owned),
            reason: params.get("reason").map(str::to_owned),
            metadata: metadata_of(params)?,
            refund: None,
            is_before_payment,
        };
        let value = self.issue(ask.at, note, &invoice, &ways);
        Ok(value)
    }

    fn next_note_number(&self, invoice: &Invoice) -> String {
        let own = self.credit_notes.of(&invoice.customer);
        let count = own.filter(|note| note.invoice == invoice.id).count() + 1;
        let number = invoice.number.as_deref().unwrap_or_default();
        format!("{number}-CN-{count:02}")
    }

    /// A note on a paid invoice says where all of its amount goes.
    fn ways(
        &self,
        ask: Ask,
        invoice: &Invoice,
        amount: i64,
        is_before_payment: bool,
    ) -> Result<Ways, Reply> {
        let part = |name: &str| match integer(ask.params, name)? {
            None => Ok(0),
            Some(part @ 0..) => Ok(part),
            Some(_) => Err(errors::invalid_integer(name)),
        };
        let (refund, credit) = (part("refund_amount")?, part("credit_amount")?);
        let parts = refund
            .saturating_add(credit)
            .saturating_add(part("out_of_band_amount")?);
        let expected = if is_before_payment { 0 } else { amount };
        if parts != expected {
            let message = format!(
                "The sum of refund_amount, credit_amount and out_of_band_amount must be {expected}."
            );
            return Err(errors::invalid_parameter("credit_amount", &message));
        }
        let charge = invoice.charge.as_ref().and_then(|id| self.charges.get(id));
        let refundable = charge.map_or(0, |charge| charge.amount - charge.amount_refunded);
        if refund > refundable {
            let message = format!("Only {refundable} of the charge can be given back.");
            return Err(errors::invalid_parameter("refund_amount", &message));
        }
        Ok(Ways { refund, credit })
    }

    fn issue(&mut self, at: i64, mut note: CreditNote, on: &Invoice, ways: &Ways) -> Value {
        if let (1.., Some(charge)) = (ways.refund, &on.charge) {
            note.refund = self.refund(at, charge, ways.refund, None, Metadata::new());
        }
        let back = ways.credit.saturating_neg();
        self.move_balance(at, &on.customer, Some(&on.id), "credit_note", back);
        let object = Both::render(|_| note.json());
        let value = object.new.clone();
        self.emit(at, "credit_note.created", Snapshot::from(object), None);
        let (amount, is_before_payment) = (note.amount, note.is_before_payment);
        self.credit_notes.add(note);
        self.update_invoice(at, &on.id, |invoice| {
            if is_before_payment {
                invoice.amount_due -= amount;
                invoice.credited_before_payment += amount;
            } else {
                invoice.credited_after_payment += amount;
            }
        });
        self.pay_nothing(at, &on.id);
        value
    }

    pub(super) fn get_credit_note(&self, id: &str) -> Result<Value, Reply> {
        let note = self.credit_notes.get(id);
        note.map(CreditNote::json)
            .ok_or_else(|| errors::no_such("credit_note", id))
    }

    pub(super) fn list_credit_notes(&self, ask: Ask) -> Result<Value, Reply> {
        let params = ask.params;
        let invoice = params.get("invoice");
        let of_invoice = invoice.and_then(|id| self.invoices.get(id));
        let owner = params
            .get("customer")
            .or(of_invoice.map(|row| row.customer.as_str()));
        let created = Created::of(params)?;
        let is_wanted = |note: &CreditNote| {
            invoice.is_none_or(|id| note.invoice == id) && created.holds(note.created)
        };
        self.credit_notes.page_of(
            owner,
            params,
            "/v1/credit_notes",
            is_wanted,
            CreditNote::json,
        )
    }
}

/// `lines[n][amount|invoice_line_item|description|type]`.
fn lines(ask: Ask, invoice: &Invoice) -> Result<Vec<NoteLine>, Reply> {
    let mut lines = Vec::new();
    for index in 0..LINES_MAX {
        let name = |field: &str| format!("lines[{index}][{field}]");
        let field = |field: &str| ask.params.get(&name(field)).map(str::to_owned);
        let Some(kind) = field("type") else {
            break;
        };
        let on = field("invoice_line_item");
        if let Some(id) = &on
            && !invoice.lines.iter().any(|line| line.id == *id)
        {
            let param = name("invoice_line_item");
            return Err(errors::no_such_reference("invoice line item", id, &param));
        }
        if on.is_none() && kind == "invoice_line_item" {
            return Err(errors::missing_parameter(&name("invoice_line_item")));
        }
        let amount = match integer(ask.params, &name("amount"))? {
            Some(amount) => amount,
            None => integer(ask.params, &name("unit_amount"))?
                .ok_or_else(|| errors::missing_parameter(&name("amount")))?,
        };
        lines.push(NoteLine {
            amount,
            description: field("description"),
            on,
        });
    }
    Ok(lines)
}
