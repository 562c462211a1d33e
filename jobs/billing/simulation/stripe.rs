//! A model of Stripe: invoices, their items, keys that live for a day, and requests that are carried out late.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::script::Renewal;

const KEY_LIVES_FOR: TimeDelta = TimeDelta::hours(24);

/// What a request is about; one of our effects. Everything is known by its place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Make one of our own invoices.
    Invoice {
        ours: usize,
    },
    /// Put a charge on an invoice.
    Item {
        charge: usize,
        ours: usize,
    },
    Finalize {
        ours: usize,
    },
}

/// A key as Stripe sees it. None: it was given none.
pub type Key = Option<(Effect, i32, u32)>;

#[derive(Debug, Clone, Copy)]
pub enum Request {
    MakeInvoice {
        ours: usize,
    },
    AddItem {
        on: usize,
        charge: usize,
        amount_minor: i64,
    },
    Finalize {
        on: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Made(usize),
    Refused,
    Failed,
}

#[derive(Debug)]
pub struct Invoice {
    /// Of ours, as its metadata says. None: a renewal's.
    pub ours: Option<usize>,
    pub finalizes_at: Option<DateTime<Utc>>,
    finalized_at: Option<DateTime<Utc>>,
}

#[derive(Debug)]
pub struct Item {
    pub on: usize,
    /// As its metadata says.
    pub charge: usize,
    pub amount_minor: i64,
    pub is_deleted: bool,
}

#[derive(Debug, Default)]
pub struct Stripe {
    pub invoices: Vec<Invoice>,
    pub items: Vec<Item>,
    replies: BTreeMap<(Effect, i32, u32), (DateTime<Utc>, Reply)>,
    late: Vec<(DateTime<Utc>, Key, Request)>,
    /// A key came again after it had been forgotten, where nothing but the key keeps a repeat from having its effect
    /// again.
    pub has_forgotten: bool,
}

impl Stripe {
    /// With the drafts of these renewals, in order; until its time comes nobody asks for one.
    pub fn new(renewals: &[Renewal]) -> Stripe {
        let drafts = renewals.iter().map(|renewal| Invoice {
            ours: None,
            finalizes_at: Some(renewal.finalizes_at),
            finalized_at: None,
        });
        Stripe {
            invoices: drafts.collect(),
            ..Stripe::default()
        }
    }

    pub fn is_draft(&self, invoice: usize, at: DateTime<Utc>) -> bool {
        let Invoice {
            finalizes_at,
            finalized_at,
            ..
        } = &self.invoices[invoice];
        [finalizes_at, finalized_at]
            .into_iter()
            .flatten()
            .all(|end| at < *end)
    }

    /// Carry out a request; `reply` is what it is answered with where that is not what was done.
    pub fn carry_out(
        &mut self,
        key: Key,
        request: Request,
        at: DateTime<Utc>,
        reply: Option<Reply>,
    ) -> Reply {
        if let Some((since, reply)) = key.and_then(|key| self.replies.get(&key)) {
            if at < *since + KEY_LIVES_FOR {
                return *reply;
            }
            // To finalize an invoice once more changes nothing.
            self.has_forgotten |= !matches!(request, Request::Finalize { .. });
        }
        let done = self.effect(request, at);
        let reply = match done {
            Reply::Refused => return Reply::Refused,
            done => reply.unwrap_or(done),
        };
        self.store(key, reply, at);
        reply
    }

    /// Fail without doing anything, and remember that.
    pub fn fail(&mut self, key: Key, at: DateTime<Utc>) {
        let is_stored = key.is_some_and(|key| self.replies.contains_key(&key));
        if !is_stored {
            self.store(key, Reply::Failed, at);
        }
    }

    pub fn carry_out_later(&mut self, key: Key, request: Request, at: DateTime<Utc>) {
        self.late.push((at, key, request));
    }

    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        while let Some(next) = self.next_late(now) {
            let (at, key, request) = self.late.swap_remove(next);
            self.carry_out(key, request, at, None);
        }
    }

    fn next_late(&self, now: DateTime<Utc>) -> Option<usize> {
        let due = (0..self.late.len()).filter(|one| self.late[*one].0 <= now);
        due.min_by_key(|one| self.late[*one].0)
    }

    fn store(&mut self, key: Key, reply: Reply, at: DateTime<Utc>) {
        if let Some(key) = key {
            self.replies.insert(key, (at, reply));
        }
    }

    fn effect(&mut self, request: Request, at: DateTime<Utc>) -> Reply {
        match request {
            Request::MakeInvoice { ours } => {
                self.invoices.push(Invoice {
                    ours: Some(ours),
                    finalizes_at: None,
                    finalized_at: None,
                });
                Reply::Made(self.invoices.len() - 1)
            }
            Request::AddItem {
                on,
                charge,
                amount_minor,
            } => {
                if !self.is_draft(on, at) {
                    return Reply::Refused;
                }
                self.items.push(Item {
                    on,
                    charge,
                    amount_minor,
                    is_deleted: false,
                });
                Reply::Made(self.items.len() - 1)
            }
            Request::Finalize { on } => {
                let invoice = &mut self.invoices[on];
                invoice.finalized_at = invoice.finalized_at.or(Some(at));
                Reply::Made(on)
            }
        }
    }

    /// What a look finds of a request's effect.
    pub fn look(&self, request: Request, now: DateTime<Utc>) -> Option<usize> {
        match request {
            Request::MakeInvoice { ours } => self
                .invoices
                .iter()
                .position(|invoice| invoice.ours == Some(ours)),
            Request::AddItem { on, charge, .. } => self
                .items
                .iter()
                .position(|item| item.on == on && item.charge == charge && !item.is_deleted),
            Request::Finalize { on } => (!self.is_draft(on, now)).then_some(on),
        }
    }

    /// The lines of an invoice, by their place.
    pub fn lines(&self, invoice: usize) -> impl Iterator<Item = (usize, &Item)> {
        let items = self.items.iter().enumerate();
        items.filter(move |(_, item)| item.on == invoice && !item.is_deleted)
    }

    /// Whether it is gone: from a draft only.
    pub fn delete(&mut self, item: usize, at: DateTime<Utc>) {
        if self.is_draft(self.items[item].on, at) {
            self.items[item].is_deleted = true;
        }
    }
}
