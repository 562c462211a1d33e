//! How a sandbox is set up.

use std::net::{Ipv4Addr, SocketAddr};

use super::{deliveries::Retries, stripe::ApiVersion, twilio::Stock};
use crate::clock::Clock;

/// Everything has a default: `Settings { seed, ..Settings::default() }`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The same seed: the same ids and faults. Beside a database that outlives the sandbox take
    /// another one each time, or new events have the ids of old ones and are taken for copies.
    pub seed: u64,
    /// Share a clone to move the sandbox and the service together.
    pub clock: Clock,
    /// The clock of whoever events are sent to, where it is another one: signatures are of its time.
    pub receivers_clock: Option<Clock>,
    /// An endpoint that is there from the beginning; more by API or by `Sandbox::add_webhook`.
    pub webhook: Option<WebhookTarget>,
    /// The account's version: for requests without `Stripe-Version`, and for events.
    pub api_version: ApiVersion,
    /// The one API key that is accepted.
    pub stripe_secret_key: String,
    pub twilio_account_sid: String,
    pub twilio_auth_token: String,
    /// The one key that speech and analysis accept.
    pub speech_api_key: String,
    /// The one account of VoIP.ms.
    pub voipms_username: String,
    pub voipms_password: String,
    pub stock: Stock,
    pub subaccounts_max: usize,
    pub retries: Retries,
    pub dunning: Dunning,
    /// So many days before its end a period's renewal is announced with `invoice.upcoming`.
    pub renewal_notice_days: u16,
    /// So many attempts to deliver are remembered; beyond it the oldest are forgotten.
    pub deliveries_max: usize,
}

/// How an invoice that is not paid is collected again.
#[derive(Debug, Clone)]
pub struct Dunning {
    /// Days from one attempt to the next.
    pub retry_after_days: Vec<u16>,
    pub after_the_last: LastAttempt,
}

/// What becomes of a subscription when the last attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAttempt {
    PastDue,
    Unpaid,
    Cancel,
}

impl Default for Dunning {
    fn default() -> Dunning {
        Dunning {
            retry_after_days: vec![3, 5, 7],
            after_the_last: LastAttempt::Unpaid,
        }
    }
}

/// Where events go, and the `whsec_…` they are signed with.
#[derive(Debug, Clone)]
pub struct WebhookTarget {
    pub url: String,
    pub secret: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: Clock::default(),
            receivers_clock: None,
            webhook: None,
            api_version: ApiVersion::New,
            stripe_secret_key: "sk_test_sandbox".to_owned(),
            twilio_account_sid: "AC00000000000000000000000000000001".to_owned(),
            twilio_auth_token: "00000000000000000000000000000002".to_owned(),
            speech_api_key: "sk_speech_sandbox".to_owned(),
            voipms_username: "sandbox@example.com".to_owned(),
            voipms_password: "voipms_sandbox".to_owned(),
            stock: Stock::with_seed(1),
            subaccounts_max: 1000,
            retries: Retries::default(),
            dunning: Dunning::default(),
            renewal_notice_days: 3,
            deliveries_max: 1_000_000,
        }
    }
}
