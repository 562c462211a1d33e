//! Have the calls and messages of every subaccount, and the messages of every number at VoIP.ms, compared with the
//! providers' own lists, and the callbacks taken up that VoIP.ms could not be asked about when they came.
//!
//! Enqueued by the timetable: Twilio repeats no callback that we failed to answer, so what was lost is only in its
//! lists. Safe to run twice: it only asks for `reconcile_phone_log` and `reconcile_voipms_log`, of
//! which one lives at a time for each account, in the account's own turn, and for `handle_voipms_callback`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Job, Lane};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilePhoneLogs {
    pub tick_at: DateTime<Utc>,
}

impl Job for ReconcilePhoneLogs {
    const KIND: &'static str = "reconcile_phone_logs";
    const LANE: Lane = Lane::Bulk;

    fn key(&self) -> String {
        "all".into()
    }
}
