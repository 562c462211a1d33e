//! What Tollkeeper decides. No I/O and no clock: facts and `now` come in, decisions go out.
//!
//! One file per job: its payload, its promise (kind, key, lane, retries) and its decision. The same
//! name in the service's `src/work/` does what was decided here.

pub mod announce_notification;
pub mod billing;
pub mod close_usage_windows;
pub mod deliver_notification;
pub mod handle_stripe_event;
pub mod job;
pub mod mask;
pub mod money;
pub mod notification;
pub mod outside;
pub mod plans;
pub mod poll_stripe_events;
pub mod provision_number;
pub mod provision_subaccount;
pub mod prune_history;
pub mod public_address;
pub mod reactivate_telephony;
pub mod recount_usage;
pub mod release_number;
pub mod stripe;
pub mod stripe_events;
pub mod suspend_telephony;
pub mod sweep_expired_leases;
pub mod sweep_provider_resources;
pub mod sync_subscription;
pub mod telephony;
pub mod timetable;
pub mod usage;

pub use announce_notification::AnnounceNotification;
pub use close_usage_windows::CloseUsageWindows;
pub use deliver_notification::DeliverNotification;
pub use handle_stripe_event::HandleStripeEvent;
pub use job::{Job, Lane, NewJob, RetryPolicy};
pub use notification::NewNotification;
pub use poll_stripe_events::PollStripeEvents;
pub use provision_number::ProvisionNumber;
pub use provision_subaccount::ProvisionSubaccount;
pub use prune_history::PruneHistory;
pub use reactivate_telephony::ReactivateTelephony;
pub use recount_usage::RecountUsage;
pub use release_number::ReleaseNumber;
pub use suspend_telephony::SuspendTelephony;
pub use sweep_expired_leases::SweepExpiredLeases;
pub use sweep_provider_resources::SweepProviderResources;
pub use sync_subscription::SyncSubscription;
