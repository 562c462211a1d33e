//! `POST /api/subscription/time-zone`.

use chrono_tz::Tz;
use poem_openapi::Object;
use serde_json::json;

use super::{super::user_id::UserId, Answer, Shared, Who};
use crate::{
    db::{self, accounts},
    http::{
        auth::{Caller, Scope},
        problem::Problem,
    },
    queue::operate::{self, By},
};

/// Where a user's days begin, from now on. The day that runs is counted anew where it begins at another instant.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SetTimeZone {
    /// Or `email`.
    user_id: Option<UserId>,
    email: Option<String>,
    /// An IANA name: `Europe/Berlin`.
    time_zone: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TimeZone {
    user_id: String,
    time_zone: String,
}

pub async fn set(shared: &Shared, caller: &Caller, body: SetTimeZone) -> Answer<TimeZone> {
    let who = Who {
        user_id: body.user_id,
        email: body.email,
    };
    // Who may move the hour at which a day's count begins anew may have two days in one.
    let account = shared.account(caller, Scope::UsageAdmin, &who).await?;
    let zone: Tz = body.time_zone.unwrap_or_default().parse().map_err(|_| {
        Problem::bad_request(
            "INVALID_TIME_ZONE",
            "timeZone is an IANA name, like Europe/Berlin",
        )
    })?;

    let by = caller.principal().to_string();
    let by = By {
        who: &by,
        why: "set by the app",
    };
    let mut tx = db::begin(&shared.pool).await?;
    accounts::ensure(&mut tx, account.as_str(), None).await?;
    accounts::set_time_zone(&mut tx, account.as_str(), zone.name()).await?;
    let target = json!({ "account_id": account.as_str(), "time_zone": zone.name() });
    operate::record(&mut tx, "time_zone", by, None, target, 1).await?;
    tx.commit().await?;
    let set = TimeZone {
        user_id: account.as_str().to_owned(),
        time_zone: zone.name().to_owned(),
    };
    shared.answer(set, "Time zone set")
}
