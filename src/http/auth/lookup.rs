//! Looking service keys up: all that come at once in one look, and none again for a tenth of a second. A look for
//! each request would cost more than what most of them ask for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    clock::Clock,
    context::Context,
    db::api_keys::{self, ApiKey},
    grouped::{Failed, Grouped, Together},
};

/// For so long after it was revoked a key may still be taken by a process that has just looked it up.
pub const KNOWN_FOR: Duration = Duration::from_millis(100);
/// Who comes while so many others are known is looked up each time.
const KNOWN_MAX: usize = 10_000;

type Sha256 = [u8; 32];

/// The keys that are good, by their digests.
pub struct Keys {
    clock: Clock,
    lookup: Grouped<Lookup>,
    known: Mutex<HashMap<Sha256, Known>>,
}

struct Known {
    key: Arc<ApiKey>,
    /// Before it was asked for.
    since: Instant,
}

impl Known {
    fn is_fresh_at(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < KNOWN_FOR
    }
}

impl Keys {
    pub fn new(ctx: &Context) -> Keys {
        let deadline = ctx.config.http.store_deadline;
        Keys {
            clock: ctx.clock.clone(),
            lookup: Grouped::start(Lookup(ctx.clock.clone()), ctx.pools.api.clone(), deadline),
            known: Mutex::default(),
        }
    }

    /// The key with this digest, if it is neither revoked nor expired. One that is unknown is looked up each time: a
    /// new key is good at once.
    pub async fn live(&self, digest: Sha256) -> Result<Option<Arc<ApiKey>>, Failed> {
        let since = Clock::instant();
        if let Some(key) = self.known(&digest, since) {
            return Ok(Some(key));
        }
        let found = self.lookup.ask(digest).await?.map(Arc::new);
        if let Some(key) = &found {
            self.learn(digest, key.clone(), since);
        }
        Ok(found)
    }

    /// Remember that a key was used at this moment, so that it is written down once.
    pub fn was_used(&self, digest: &Sha256, at: DateTime<Utc>) {
        if let Some(known) = self.lock().get_mut(digest) {
            Arc::make_mut(&mut known.key).last_used_at = Some(at);
        }
    }

    fn known(&self, digest: &Sha256, now: Instant) -> Option<Arc<ApiKey>> {
        let known = self.lock();
        let known = known.get(digest).filter(|known| known.is_fresh_at(now))?;
        let is_good = known.key.expires_at.is_none_or(|at| at > self.clock.now());
        is_good.then(|| known.key.clone())
    }

    fn learn(&self, digest: Sha256, key: Arc<ApiKey>, since: Instant) {
        let mut known = self.lock();
        if known.len() >= KNOWN_MAX {
            let now = Clock::instant();
            known.retain(|_, known| known.is_fresh_at(now));
        }
        if known.len() < KNOWN_MAX {
            known.insert(digest, Known { key, since });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Known>> {
        self.known
            .lock()
            .expect("the lock is never held across a panic")
    }
}

/// Which key has this digest, if it is neither revoked nor expired.
struct Lookup(Clock);

impl Together for Lookup {
    type Asked = Sha256;
    type Answer = Option<ApiKey>;

    const NAME: &'static str = "service keys";
    const AT_ONCE: usize = 1;

    fn weight(_: &Sha256) -> usize {
        1
    }

    async fn answer(
        &self,
        conn: &mut PgConnection,
        group: &[&Sha256],
    ) -> sqlx::Result<Vec<Option<ApiKey>>> {
        let live = api_keys::live(conn, group, self.0.now()).await?;
        let of = |digest: &&Sha256| {
            let found = live.iter().find(|(of, _)| of == *digest);
            found.map(|(_, key)| key.clone())
        };
        Ok(group.iter().map(of).collect())
    }
}
