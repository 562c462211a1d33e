//! `POST /api/subscription/clear-cache`.

use poem_openapi::Object;

use super::{Answer, Shared};
use crate::http::{
    auth::is_secret,
    problem::{Problem, timestamp},
};

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ClearCache {
    admin_key: Option<String>,
}

#[derive(Debug, Object)]
pub struct Cleared {
    /// Always true: every answer is read from the database.
    cleared: bool,
    timestamp: String,
}

pub fn clear(shared: &Shared, body: ClearCache) -> Answer<Cleared> {
    let told = body.admin_key.unwrap_or_default();
    // Without a key nobody is an administrator, whatever they send.
    let key = shared.admin_key.as_ref();
    let is_admin = key.is_some_and(|key| is_secret(&told, key));
    if !is_admin {
        return Err(Problem::forbidden("FORBIDDEN", "Invalid admin key").into());
    }
    let cleared = Cleared {
        cleared: true,
        timestamp: timestamp(shared.clock.now()),
    };
    shared.answer(cleared, "Cache cleared")
}
