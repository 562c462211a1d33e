//! `/api/subscription/*` of usage: may they, and it was done.

mod access;
mod clear_cache;
mod corrections;
mod holds;
pub(super) mod input;
mod limits;
mod stats;
mod time_zone;
mod track;
mod who;

use std::sync::Arc;

use poem_openapi::{
    OpenApi,
    param::{Header, Query},
    payload::{Json, Response},
};

use self::{
    access::{Access, ValidateAccess},
    clear_cache::{ClearCache, Cleared},
    corrections::{Correct, Corrected},
    holds::{EndedHold, Release, Renew, RenewedHold, Reserve, ReserveAnswer, Settle, SettledHold},
    limits::{CheckLimits, Limits},
    stats::{Period, Stats},
    time_zone::{SetTimeZone, TimeZone},
    track::{TrackUsage, Tracked},
    who::Who,
};
use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, Refused},
    user_id::UserId,
};
use crate::http::auth::{Caller, Scope};

pub struct UsageOperations(pub(super) Arc<Shared>);

type Answer<T> = Result<Response<Json<Envelope<T>>>, Refused<EnvelopedProblem>>;

#[OpenApi(prefix_path = "/subscription", tag = "Tag::Usage")]
impl UsageOperations {
    /// May a user use a feature, and so much of it?
    ///
    /// A denial is an answer: 200 with `allowed: false` and a `code`. A user nobody knows has the free plan. With
    /// `consume` it is counted in the same step, if it is allowed: of two that ask for the last unit one gets it.
    #[oai(
        path = "/validate-access",
        method = "post",
        operation_id = "validateAccess"
    )]
    async fn validate_access(
        &self,
        caller: Caller,
        /// With `consume`: a copy of the request is answered like the first, and counts nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<ValidateAccess>,
    ) -> Answer<Access> {
        access::validate(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// What a user's plan allows, and how much of it is used
    #[oai(path = "/check-limits", method = "post", operation_id = "checkLimits")]
    async fn check_limits(&self, caller: Caller, body: Json<CheckLimits>) -> Answer<Limits> {
        limits::check(&self.0, &caller, body.0).await
    }

    /// Something was used
    ///
    /// It is counted, whatever the limit: it was done. Two equal reports count twice, unless they have the same
    /// idempotency key. Up to 1,000 uses of one user go in one call, each with a result of its own.
    #[oai(path = "/track-usage", method = "post", operation_id = "trackUsage")]
    async fn track_usage(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and counts nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<TrackUsage>,
    ) -> Answer<Tracked> {
        track::track(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// What a user used, by feature and by day
    #[oai(path = "/usage-stats", method = "get", operation_id = "usageStats")]
    #[allow(clippy::too_many_arguments)]
    async fn usage_stats(
        &self,
        caller: Caller,
        /// Or `email`. Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        email: Query<Option<String>>,
        /// `current_month`, `last_month` or `last_30_days`; anything else is the month so far.
        period: Query<Option<String>>,
        /// The first day (`2026-11-01`), with `to`: any period of up to 400 days.
        from: Query<Option<String>>,
        /// The last day, included.
        to: Query<Option<String>>,
    ) -> Answer<Stats> {
        let who = Who {
            user_id: user_id.0.map(UserId),
            email: email.0,
        };
        let period = Period {
            name: period.0,
            from: from.0,
            to: to.0,
        };
        stats::usage_stats(&self.0, &caller, &who, &period).await
    }

    /// Hold a quantity that is not known yet
    ///
    /// A call's minutes are known when it ends: hold what it may take, and settle it with what it took. A
    /// reservation expires by itself. A denial is 200 with `allowed: false`, like that of validate-access.
    #[oai(path = "/reserve", method = "post", operation_id = "reserveUsage")]
    async fn reserve(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and holds nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<Reserve>,
    ) -> Answer<ReserveAnswer> {
        holds::reserve(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// Hold it for longer
    #[oai(path = "/renew", method = "post", operation_id = "renewReservation")]
    async fn renew(&self, caller: Caller, body: Json<Renew>) -> Answer<RenewedHold> {
        holds::renew(&self.0, &caller, body.0).await
    }

    /// So much was used of what was held
    ///
    /// It is counted, more than was held too, and after the reservation expired: it was done. The same again is
    /// answered like the first time.
    #[oai(path = "/settle", method = "post", operation_id = "settleReservation")]
    async fn settle(&self, caller: Caller, body: Json<Settle>) -> Answer<SettledHold> {
        holds::settle(&self.0, &caller, body.0).await
    }

    /// Nothing was used of what was held
    #[oai(
        path = "/release",
        method = "post",
        operation_id = "releaseReservation"
    )]
    async fn release(&self, caller: Caller, body: Json<Release>) -> Answer<EndedHold> {
        holds::release(&self.0, &caller, body.0).await
    }

    /// Take back a use that was reported wrongly
    ///
    /// It stays on record, with a reversal beside it that names it, and who asked for that and why.
    #[oai(
        path = "/usage-corrections",
        method = "post",
        operation_id = "correctUsage"
    )]
    async fn correct(&self, caller: Caller, body: Json<Correct>) -> Answer<Corrected> {
        corrections::correct(&self.0, &caller, body.0).await
    }

    /// Where a user's days begin
    #[oai(path = "/time-zone", method = "post", operation_id = "setTimeZone")]
    async fn time_zone(&self, caller: Caller, body: Json<SetTimeZone>) -> Answer<TimeZone> {
        time_zone::set(&self.0, &caller, body.0).await
    }

    /// For older callers: there is no cache that could be stale
    #[oai(path = "/clear-cache", method = "post", operation_id = "clearCache")]
    async fn clear_cache(&self, body: Json<ClearCache>) -> Answer<Cleared> {
        clear_cache::clear(&self.0, body.0)
    }
}

impl Shared {
    fn answer<T>(&self, data: T, message: &str) -> Answer<T>
    where
        T: poem_openapi::types::Type
            + poem_openapi::types::ParseFromJSON
            + poem_openapi::types::ToJSON
            + Send
            + Sync,
    {
        Ok(Response::new(Envelope::new(
            data,
            message,
            self.clock.now(),
        )))
    }
}

const READ: Scope = Scope::SubscriptionRead;
const WRITE: Scope = Scope::UsageWrite;
