//! Objects taken over from elsewhere as they are, a recorded webhook's for example: what fetches
//! them again finds what the recording says.

use serde_json::Value;

use super::Stripe;
use crate::sandbox::wire::Request;

impl Stripe {
    /// Answer that object, unchanged whatever the version asked for, where one of its kind and id is
    /// fetched. Goes before an object of the same id. False when it has no `id`.
    pub(in crate::sandbox) fn adopt(&mut self, object: Value) -> bool {
        let Some(id) = object["id"].as_str().map(str::to_owned) else {
            return false;
        };
        self.adopted.insert(id, object);
        true
    }

    /// The adopted object that a request fetches, if it fetches one.
    pub(super) fn fetch_adopted(&self, request: &Request, segments: &[&str]) -> Option<Value> {
        let (kind, id) = match segments {
            ["v1", "customers", id] => ("customer", id),
            ["v1", "subscriptions", id] => ("subscription", id),
            ["v1", "invoices", id] => ("invoice", id),
            ["v1", "charges", id] => ("charge", id),
            ["v1", "disputes", id] => ("dispute", id),
            ["v1", "prices", id] => ("price", id),
            ["v1", "checkout", "sessions", id] => ("checkout.session", id),
            _ => return None,
        };
        let object = self.adopted.get(*id).filter(|_| request.method == "GET")?;
        (object["object"] == kind).then(|| object.clone())
    }
}
