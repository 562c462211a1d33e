//! What Tollkeeper decides. No I/O and no clock: facts and `now` come in, decisions go out.
//!
//! One file per job: its payload, its promise (kind, key, lane, retries) and its decision. The same
//! name in the service's `src/work/` does what was decided here.

pub mod announce_notification;
pub mod announce_upcoming_invoice;
pub mod apply_dispute;
pub mod apply_refund;
pub mod attach_charges;
pub mod billing;
pub mod billing_notices;
pub mod close_due_periods;
pub mod close_period;
pub mod close_usage_windows;
pub mod compare_invoice;
pub mod deliver_notification;
pub mod finalize_invoice;
pub mod handle_stripe_event;
pub mod job;
pub mod mail;
pub mod mask;
pub mod money;
pub mod notification;
pub mod notify_customer;
pub mod open_period;
pub mod outside;
pub mod plans;
pub mod poll_invoice_drafts;
pub mod poll_stripe_events;
pub mod provision_number;
pub mod provision_subaccount;
pub mod prune_history;
pub mod public_address;
pub mod raise_usage_invoice;
pub mod reactivate_telephony;
pub mod record_invoice;
pub mod recount_usage;
pub mod release_number;
pub mod stripe;
pub mod stripe_events;
pub mod suspend_telephony;
pub mod sweep_charges;
pub mod sweep_expired_leases;
pub mod sweep_provider_resources;
pub mod sync_subscription;
pub mod telephony;
pub mod timetable;
pub mod usage;

pub use announce_notification::AnnounceNotification;
pub use announce_upcoming_invoice::AnnounceUpcomingInvoice;
pub use apply_dispute::ApplyDispute;
pub use apply_refund::ApplyRefund;
pub use attach_charges::AttachCharges;
pub use close_due_periods::CloseDuePeriods;
pub use close_period::ClosePeriod;
pub use close_usage_windows::CloseUsageWindows;
pub use compare_invoice::CompareInvoice;
pub use deliver_notification::DeliverNotification;
pub use finalize_invoice::FinalizeInvoice;
pub use handle_stripe_event::HandleStripeEvent;
pub use job::{Job, Lane, NewJob, RetryPolicy};
pub use notification::NewNotification;
pub use notify_customer::NotifyCustomer;
pub use open_period::OpenPeriod;
pub use poll_invoice_drafts::PollInvoiceDrafts;
pub use poll_stripe_events::PollStripeEvents;
pub use provision_number::ProvisionNumber;
pub use provision_subaccount::ProvisionSubaccount;
pub use prune_history::PruneHistory;
pub use raise_usage_invoice::RaiseUsageInvoice;
pub use reactivate_telephony::ReactivateTelephony;
pub use record_invoice::RecordInvoice;
pub use recount_usage::RecountUsage;
pub use release_number::ReleaseNumber;
pub use suspend_telephony::SuspendTelephony;
pub use sweep_charges::SweepCharges;
pub use sweep_expired_leases::SweepExpiredLeases;
pub use sweep_provider_resources::SweepProviderResources;
pub use sync_subscription::SyncSubscription;

#[cfg(test)]
mod dice;
