//! What a job may use: the database, the providers, the catalogue, the clock.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tollkeeper_jobs::plans::Catalogue;

use crate::{
    clients::{
        mailer::Mailer,
        notifier::Notifier,
        pace::Pace,
        speech::Speech,
        stripe::{self, Stripe},
        twilio::Twilio,
        voipms::{self, Voipms},
    },
    clock::Clock,
    config::{Config, PoolConfig},
    db,
    queue::{Contact, Wake},
    sealed::Keyring,
    turns::SharedTurns,
};

/// Prepared statements that a connection keeps: more than the program has. With fewer, each run throws away what the
/// next one needs, and its statements are parsed and planned anew.
const STATEMENTS_KEPT: usize = 1024;

/// One per process, shared by every role.
#[derive(Clone)]
pub struct Context {
    pub config: Arc<Config>,
    pub pools: Pools,
    pub clock: Clock,
    pub stripe: Stripe,
    pub twilio: Twilio,
    /// None: nobody's numbers there are set.
    pub voipms: Option<Voipms>,
    pub speech: Speech,
    pub notifier: Notifier,
    /// None: no mail server is set.
    pub mailer: Option<Mailer>,
    pub catalogue: Arc<Catalogue>,
    pub keyring: Arc<Keyring>,
    /// Tells idle workers that something was stored.
    pub wake: Wake,
    /// What this process knows of Postgres' absences.
    pub contact: Contact,
}

impl Context {
    /// Everything a process needs, from its settings. Nothing is connected yet. The error lists every
    /// setting that does not fit, with its name.
    pub fn new(config: Config, pools: Pools, clock: Clock) -> Result<Context, Vec<String>> {
        let mut faults = Vec::new();
        let catalogue = Catalogue::of_settings(&config.price_ids)
            .map_err(|mut found| faults.append(&mut found));
        let keyring = Keyring::new(&config.encryption_keys)
            .map_err(|error| faults.push(format!("ENCRYPTION_KEY: {error}")));
        let mailer = config.mail.as_ref();
        let mailer = mailer.map(|mail| Mailer::new(mail, config.worker.default));
        let mailer = mailer.transpose().map_err(|fault| faults.push(fault));
        let (Ok(catalogue), Ok(keyring), Ok(mailer)) = (catalogue, keyring, mailer) else {
            return Err(faults);
        };
        Ok(Context {
            stripe: stripe(&config, &pools),
            twilio: Twilio::new(&config.twilio),
            voipms: voipms(&config, &pools),
            speech: Speech::new(&config.speech, config.worker.bulk),
            notifier: Notifier::new(&config.notify, config.worker.default),
            mailer,
            config: Arc::new(config),
            pools,
            clock,
            catalogue: Arc::new(catalogue),
            keyring: Arc::new(keyring),
            wake: Wake::default(),
            contact: Contact::default(),
        })
    }

    /// After an unknown outcome, how long the request may still be carried out by the provider.
    pub fn quiet_time(&self) -> TimeDelta {
        TimeDelta::from_std(self.config.telephony.quiet_time).unwrap_or(TimeDelta::MAX)
    }
}

/// Stripe, asked no more often by all processes over this database together than the settings allow.
pub fn stripe(config: &Config, pools: &Pools) -> Stripe {
    let per_second = config.stripe.requests_per_second;
    Stripe::new(&config.stripe, pace(stripe::PROVIDER, per_second, pools))
}

fn voipms(config: &Config, pools: &Pools) -> Option<Voipms> {
    let api = config.voipms.api.as_ref()?;
    let pace = pace(voipms::PROVIDER, api.requests_per_second, pools);
    Some(Voipms::new(api, pace))
}

fn pace(provider: &'static str, per_second: u32, pools: &Pools) -> Pace {
    let turns = SharedTurns::new(provider, per_second, pools.work.clone());
    turns.map_or(Pace::Free, |turns| Pace::InTurn(Arc::new(turns)))
}

/// Separate pools, so that a slow console or a busy worker never keeps a webhook waiting.
#[derive(Debug, Clone)]
pub struct Pools {
    /// The receiver's alone: whatever apps ask, a webhook finds a connection.
    pub ingest: PgPool,
    /// What apps ask.
    pub api: PgPool,
    /// The queue's own: claims, start gates, renewals and ends (`db::queue_pool`). Leases are renewed
    /// however many runs wait for a connection.
    pub queue: PgPool,
    /// The jobs'.
    pub work: PgPool,
    /// Operators, health checks and metrics.
    pub console: PgPool,
}

impl Pools {
    /// All of one database; they connect when first used.
    pub fn lazy(options: &PgConnectOptions, config: &PoolConfig) -> Pools {
        let options = options.clone().statement_cache_capacity(STATEMENTS_KEPT);
        let with = |kind: fn(PgConnectOptions, u32, Duration) -> PgPool, size| {
            kind(options.clone(), size, config.acquire_timeout)
        };
        Pools {
            ingest: with(db::ingest_pool, config.ingest),
            api: with(db::pool, config.api),
            queue: with(db::queue_pool, config.queue),
            work: with(db::checked_pool, config.work),
            console: with(db::checked_pool, config.console),
        }
    }
}
