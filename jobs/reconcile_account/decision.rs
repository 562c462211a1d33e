//! What of an account's invoices is not as it should be, and who is to do something about it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::billing::matching::{Difference, Line, Wanted, compare};

/// What goes onto an invoice is there, and compared, within this time.
const WORKED_ON_FOR: TimeDelta = TimeDelta::hours(1);

/// An invoice of the account, as our books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurInvoice {
    pub invoice_id: Uuid,
    pub invoice_ref: String,
    pub customer_ref: String,
    pub currency: String,
    /// As it was stored last: Stripe's word, or `deleted`.
    pub status: String,
    /// See [`is_settled`].
    pub is_settled: bool,
    pub wanted: Vec<Wanted>,
}

/// An invoice of one of the account's customers, as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TheirInvoice {
    pub invoice_ref: String,
    pub customer_ref: String,
    pub currency: String,
    pub status: String,
    /// The invoice of ours that it says it is. None: it does not say that it is ours.
    pub says_it_is: Option<String>,
    /// What stands on it and says that it is ours; on one of ours everything that somebody put there.
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub ours: Vec<OurInvoice>,
    pub theirs: Vec<TheirInvoice>,
    /// Lines that say they are ours and are on no invoice: they would land on whichever comes next.
    pub pending: Vec<Line>,
    /// Invoices of the same customers that are in the books of other accounts, which are compared in their turns.
    pub of_others: BTreeSet<String>,
    /// Invoices of ours that may have been made at Stripe just now.
    pub planned: BTreeSet<String>,
    pub is_parked: bool,
}

/// One thing that is not as it should be. As JSON it is what findings tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Drift {
    Line(Difference),
    Invoice(InvoiceDrift),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum InvoiceDrift {
    /// Stripe does not know an invoice that was final.
    InvoiceGone,
    OtherCustomer {
        customer_ref: String,
    },
    OtherCurrency {
        currency: String,
    },
    /// It says it is an invoice of ours, and we made none such.
    InvoiceForeign {
        says_it_is: String,
    },
    /// A line that says it is ours is on no invoice.
    LinePending {
        charge_id: String,
        amount_minor: i64,
    },
}

/// Everything that is not as it should be about one invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drifted {
    /// The invoice, or the line that is on none.
    pub subject: String,
    /// Minor units: what should stand there, and what does.
    pub ours_minor: i64,
    pub theirs_minor: i64,
    pub differences: Vec<Drift>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Drafts that `compare_invoice` repairs.
    pub compare: Vec<Uuid>,
    /// Invoices of which our books are behind.
    pub record: Vec<String>,
    pub drifted: Vec<Drifted>,
    /// What is as it should be, or drifted: findings about these are up to date now.
    pub looked_at: Vec<String>,
}

/// Whether nobody is working on an invoice: no request of ours for it is open, and its lines were seen to be right once, or
/// there was time enough for that. `changed_at` is when it was made, or finalized.
pub fn is_settled(
    has_open_call: bool,
    was_matched: bool,
    changed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    !has_open_call && (was_matched || changed_at + WORKED_ON_FOR <= now)
}

/// Compare both ways.
pub fn decide(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let mut theirs: BTreeMap<&str, &TheirInvoice> = facts
        .theirs
        .iter()
        .map(|invoice| (invoice.invoice_ref.as_str(), invoice))
        .collect();
    for ours in &facts.ours {
        let theirs = theirs.remove(ours.invoice_ref.as_str());
        plan.of_ours(ours, theirs, facts.is_parked);
    }
    for theirs in theirs.into_values() {
        if !facts.of_others.contains(&theirs.invoice_ref) {
            plan.of_unknown(theirs, &facts.planned);
        }
    }
    for line in &facts.pending {
        let drift = InvoiceDrift::LinePending {
            charge_id: line.charge_id.clone(),
            amount_minor: line.amount_minor,
        };
        plan.drifted(&line.item_ref, &[], &[], vec![Drift::Invoice(drift)]);
        plan.looked_at.push(line.item_ref.clone());
    }
    plan
}

impl Plan {
    fn of_ours(&mut self, ours: &OurInvoice, theirs: Option<&TheirInvoice>, is_parked: bool) {
        let is_deleted = ours.status == "deleted";
        let invoice_ref = &ours.invoice_ref;
        let Some(theirs) = theirs else {
            match ours.status.as_str() {
                "deleted" => self.looked_at.push(invoice_ref.clone()),
                "draft" => self.record.push(invoice_ref.clone()),
                _ => {
                    let gone = vec![Drift::Invoice(InvoiceDrift::InvoiceGone)];
                    self.drifted(invoice_ref, &ours.wanted, &[], gone);
                    self.looked_at.push(invoice_ref.clone());
                }
            }
            return;
        };
        if is_deleted || ours.status != theirs.status {
            self.record.push(invoice_ref.clone());
        }
        if is_deleted || !ours.is_settled {
            return;
        }
        let mut differences = compare(&ours.wanted, &theirs.lines);
        if theirs.status == "draft" {
            differences.retain(|one| !is_still_to_come(one, &ours.wanted));
        }
        let mut drifts = of_invoice(ours, theirs);
        if drifts.is_empty() && !differences.is_empty() && theirs.status == "draft" && !is_parked {
            self.compare.push(ours.invoice_id);
            return;
        }
        drifts.extend(differences.into_iter().map(Drift::Line));
        if !drifts.is_empty() {
            self.drifted(invoice_ref, &ours.wanted, &theirs.lines, drifts);
        }
        self.looked_at.push(invoice_ref.clone());
    }

    /// An invoice that is in nobody's books.
    fn of_unknown(&mut self, theirs: &TheirInvoice, planned: &BTreeSet<String>) {
        let invoice_ref = &theirs.invoice_ref;
        match &theirs.says_it_is {
            Some(id) if planned.contains(id) => return,
            Some(id) => {
                let says_it_is = id.clone();
                let foreign = InvoiceDrift::InvoiceForeign { says_it_is };
                let mut drifts = vec![Drift::Invoice(foreign)];
                drifts.extend(compare(&[], &theirs.lines).into_iter().map(Drift::Line));
                self.drifted(invoice_ref, &[], &theirs.lines, drifts);
            }
            None => {
                self.record.push(invoice_ref.clone());
                // A draft's are looked at once it is in our books.
                if theirs.status == "draft" {
                    return;
                }
                let foreign = compare(&[], &theirs.lines).into_iter().map(Drift::Line);
                let foreign: Vec<Drift> = foreign.collect();
                if !foreign.is_empty() {
                    self.drifted(invoice_ref, &[], &theirs.lines, foreign);
                }
            }
        }
        self.looked_at.push(invoice_ref.clone());
    }

    fn drifted(
        &mut self,
        subject: &str,
        wanted: &[Wanted],
        lines: &[Line],
        differences: Vec<Drift>,
    ) {
        self.drifted.push(Drifted {
            subject: subject.to_owned(),
            ours_minor: sum(wanted.iter().map(|charge| charge.amount_minor)),
            theirs_minor: sum(lines.iter().map(|line| line.amount_minor)),
            differences,
        });
    }
}

/// A line that a draft is still to get: the account was parked before, or nobody has come to it.
fn is_still_to_come(difference: &Difference, wanted: &[Wanted]) -> bool {
    let Difference::Missing { charge_id } = difference else {
        return false;
    };
    let mut of_charge = wanted.iter().filter(|one| one.charge_id == *charge_id);
    of_charge.any(|one| one.item_ref.is_empty())
}

/// For a person to read: what does not fit is shown as the largest amount there is.
fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

fn of_invoice(ours: &OurInvoice, theirs: &TheirInvoice) -> Vec<Drift> {
    let mut drifts = Vec::new();
    if ours.customer_ref != theirs.customer_ref {
        let customer_ref = theirs.customer_ref.clone();
        drifts.push(Drift::Invoice(InvoiceDrift::OtherCustomer { customer_ref }));
    }
    if ours.currency != theirs.currency {
        let currency = theirs.currency.clone();
        drifts.push(Drift::Invoice(InvoiceDrift::OtherCurrency { currency }));
    }
    drifts
}

#[cfg(test)]
mod tests;
