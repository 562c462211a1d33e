//! The filter by age that Stripe's lists have in common.

use super::errors;
use crate::sandbox::wire::{Params, Reply};

/// `created[gte]`, `created[gt]`, `created[lte]`, `created[lt]`, or `created` for one second.
pub struct Created {
    from: Option<i64>,
    after: Option<i64>,
    until: Option<i64>,
    before: Option<i64>,
}

impl Created {
    pub fn of(params: &Params) -> Result<Created, Reply> {
        let bound = |name: &str| match params.get(name).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(bound)) => Ok(Some(bound)),
            Some(Err(_)) => Err(errors::invalid_integer(name)),
        };
        let exactly = bound("created")?;
        Ok(Created {
            from: bound("created[gte]")?.or(exactly),
            after: bound("created[gt]")?,
            until: bound("created[lte]")?.or(exactly),
            before: bound("created[lt]")?,
        })
    }

    pub fn holds(&self, created: i64) -> bool {
        self.from.is_none_or(|bound| created >= bound)
            && self.after.is_none_or(|bound| created > bound)
            && self.until.is_none_or(|bound| created <= bound)
            && self.before.is_none_or(|bound| created < bound)
    }
}
