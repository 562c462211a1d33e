//! Ask for the deliveries of one notification, one for each endpoint that wants it, and for the mail to the
//! customer.
//!
//! Enqueued by `notify::announce`, in the transaction of what happened. Safe to run twice: a delivery
//! that is under way is there already, and one that was done is done again under the same id, by which
//! the receiver knows it; what was mailed is written down. It sends nothing itself.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Job, notification::is_wanted};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceNotification {
    pub notification_id: Uuid,
}

impl Job for AnnounceNotification {
    const KIND: &'static str = "announce_notification";

    fn key(&self) -> String {
        self.notification_id.to_string()
    }
}

/// An endpoint that is not disabled, and what it wants; None: everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    pub endpoint_id: Uuid,
    pub types: Option<Vec<String>>,
}

/// The endpoints that are told about this type.
pub fn decide(kind: &str, listening: &[Listening]) -> Vec<Uuid> {
    let told = listening
        .iter()
        .filter(|endpoint| is_wanted(endpoint.types.as_deref(), kind));
    told.map(|endpoint| endpoint.endpoint_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_a_type_is_told_and_nobody_else() {
        let listening = [None, Some("usage.threshold"), Some("payment.failed")].map(|only| {
            let types = only.map(|only| vec![only.to_owned()]);
            let endpoint_id = Uuid::from_u128(only.map_or(0, str::len) as u128);
            Listening { endpoint_id, types }
        });

        let told = decide("usage.threshold", &listening);

        assert_eq!(told, [listening[0].endpoint_id, listening[1].endpoint_id]);
        assert!(decide("usage.threshold", &[]).is_empty());
    }
}
