//! One file per job, same name as in `jobs/`: load the facts, decide, apply.

mod account;
mod analyse_transcript;
mod announce_notification;
mod announce_upcoming_invoice;
mod apply_dispute;
mod apply_refund;
mod attach_charges;
mod check_billing;
mod close_due_periods;
mod close_period;
mod close_usage_windows;
mod compare_invoice;
mod compare_usage;
mod compare_usage_records;
mod delete_recording;
mod deliver_notification;
mod fetch_recording;
mod finalize_invoice;
mod handle_stripe_event;
mod handle_twilio_callback;
mod handle_voipms_callback;
mod invoicing;
mod left_behind;
mod notify_customer;
mod open_period;
mod outbound;
mod payments;
mod phone_log;
mod place_call;
mod poll_invoice_drafts;
mod poll_stripe_events;
mod provision_number;
mod provision_subaccount;
mod prune_history;
mod raise_usage_invoice;
mod reactivate_telephony;
mod reconcile_account;
mod reconcile_invoices;
mod reconcile_phone_log;
mod reconcile_phone_logs;
mod reconcile_voipms_log;
pub mod reconciliation;
mod record_invoice;
mod recordings;
mod recount_usage;
mod release_number;
mod send_message;
mod standstill;
mod subaccount_status;
mod subaccounts;
mod suspend_telephony;
mod sweep_charges;
mod sweep_expired_leases;
mod sweep_provider_resources;
mod sweep_recordings;
mod sync_subscription;
mod transcribe_recording;
mod voipms_log;

use std::{future::Future, time::Duration};

use tollkeeper_jobs::Job;

use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

/// Runs that find no place wait for one: two seconds at first, and a minute where many wait, who would else ask and be
/// turned away over and over.
const STEP_BACK: Duration = Duration::from_secs(2);
const STEPS_MAX: u32 = 30;

/// How long a run waits that found no place.
fn step_back(lease: &Lease) -> Duration {
    STEP_BACK * lease.attempt.unsigned_abs().clamp(1, STEPS_MAX)
}

/// How a job is done. May be run twice, at any time, beside itself: its header says why that is
/// harmless. Every transaction that decides begins with [`Lease::begin`].
pub trait Work: Job {
    fn run(
        &self,
        ctx: &Context,
        lease: &Lease,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}
