//! Objects of one kind in the order they were made, found by id, listed in pages, newest first.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::errors;
use crate::sandbox::wire::{Params, Reply};

const LIMIT: usize = 10;
const LIMIT_MAX: usize = 100;

pub trait Object {
    fn id(&self) -> &str;

    /// The customer it belongs to, by whom it is found quickly.
    fn owner(&self) -> Option<&str> {
        None
    }
}

pub struct Shelf<T> {
    rows: Vec<T>,
    positions: HashMap<String, usize>,
    of_owner: HashMap<String, Vec<usize>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf {
            rows: Vec::new(),
            positions: HashMap::new(),
            of_owner: HashMap::new(),
        }
    }
}

impl<T: Object> Shelf<T> {
    pub fn add(&mut self, row: T) {
        let position = self.rows.len();
        self.positions.insert(row.id().to_owned(), position);
        if let Some(owner) = row.owner() {
            let own = self.of_owner.entry(owner.to_owned()).or_default();
            own.push(position);
        }
        self.rows.push(row);
    }

    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(*self.positions.get(id)?)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(*self.positions.get(id)?)
    }

    /// Oldest first.
    pub fn all(&self) -> &[T] {
        &self.rows
    }

    /// Of one owner, oldest first.
    pub fn of(&self, owner: &str) -> impl DoubleEndedIterator<Item = &T> {
        self.between(Some(owner), 0, self.rows.len())
    }

    fn between(
        &self,
        owner: Option<&str>,
        from: usize,
        until: usize,
    ) -> Box<dyn DoubleEndedIterator<Item = &T> + '_> {
        let Some(owner) = owner else {
            return Box::new(self.rows[from..until].iter());
        };
        let own = self.of_owner.get(owner).map_or(&[][..], Vec::as_slice);
        let first = own.partition_point(|position| *position < from);
        let end = own.partition_point(|position| *position < until);
        Box::new(own[first..end].iter().map(|position| &self.rows[*position]))
    }

    /// `{object: "list", data, has_more, url}` by `limit`, `starting_after` and `ending_before`.
    pub fn page(
        &self,
        params: &Params,
        url: &str,
        is_wanted: impl Fn(&T) -> bool,
        render: impl Fn(&T) -> Value,
    ) -> Result<Value, Reply> {
        self.page_of(None, params, url, is_wanted, render)
    }

    /// As [`Shelf::page`], of one owner only if there is one.
    pub fn page_of(
        &self,
        owner: Option<&str>,
        params: &Params,
        url: &str,
        is_wanted: impl Fn(&T) -> bool,
        render: impl Fn(&T) -> Value,
    ) -> Result<Value, Reply> {
        let limit = limit(params)?;
        let cursor = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(id) => match self.positions.get(id) {
                None => Err(errors::no_such_reference("object", id, name)),
                found => Ok(found.copied()),
            },
        };
        let (after, before) = (cursor("starting_after")?, cursor("ending_before")?);
        let older = self.between(owner, 0, after.unwrap_or(self.rows.len()));
        let (page, has_more): (Vec<&T>, bool) = match before {
            // Those next to the cursor, not the newest ones: that is how one walks up to the present.
            Some(position) => {
                let newer = self.between(owner, position + 1, self.rows.len());
                let newer = newer.filter(|row| is_wanted(row));
                let mut newer: Vec<&T> = newer.take(limit + 1).collect();
                let has_more = newer.len() > limit;
                newer.truncate(limit);
                newer.reverse();
                (newer, has_more)
            }
            None => {
                let wanted = older.rev().filter(|row| is_wanted(row));
                let mut page: Vec<&T> = wanted.take(limit + 1).collect();
                let has_more = page.len() > limit;
                page.truncate(limit);
                (page, has_more)
            }
        };
        let data: Vec<Value> = page.into_iter().map(render).collect();
        Ok(json!({"object": "list", "data": data, "has_more": has_more, "url": url}))
    }
}

/// How many rows a page has.
pub fn limit(params: &Params) -> Result<usize, Reply> {
    match params.get("limit").map(str::parse) {
        None => Ok(LIMIT),
        Some(Ok(limit @ 1..=LIMIT_MAX)) => Ok(limit),
        Some(_) => Err(errors::invalid_parameter(
            "limit",
            "limit is between 1 and 100",
        )),
    }
}
