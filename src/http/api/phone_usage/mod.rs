//! `/api/phone/usage/*`: what was called and written, what the provider takes for it, and what the user pays.

mod days;
mod view;

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use tollkeeper_jobs::telephony::costs::{self, Kind};

use self::{
    days::WholeDays,
    view::{UsageRecord, UsageSummary, record, summary},
};
use super::{
    Shared, Tag,
    billing::usage::{SMS, VOICE},
    envelope::{Envelope, EnvelopedProblem, Refused},
    phone_log::{self, Asked, PAGE_MAX},
};
use crate::{
    billing,
    db::phone_usage,
    http::{
        auth::{AccountId, Caller},
        problem::{Problem, timestamp},
    },
};

pub struct PhoneUsage(pub(super) Arc<Shared>);

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct UsageDetails {
    /// Always true.
    success: bool,
    /// The newest first.
    data: Vec<UsageRecord>,
    meta: UsagePage,
    message: String,
    timestamp: String,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct UsagePage {
    /// Sent back as `cursor`, it asks for the next ones. Absent: there are no more.
    next_cursor: Option<String>,
}

#[OpenApi(prefix_path = "/phone", tag = "Tag::Telephony")]
impl PhoneUsage {
    /// What a user called and wrote, and what it costs
    ///
    /// Of whole days in UTC, a year at most. A call counts on the day it ended. What was taken back from a bill was used
    /// all the same: it is no part of the price, and of everything else.
    #[oai(
        path = "/usage/summary",
        method = "get",
        operation_id = "phoneUsageSummary"
    )]
    async fn summary(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// The same, as older clients name them.
        #[oai(name = "clientId")]
        client_id: Query<Option<String>>,
        /// The first of this month when left out.
        #[oai(name = "startDate")]
        start_date: Query<Option<String>>,
        /// Not included; tomorrow when left out.
        #[oai(name = "endDate")]
        end_date: Query<Option<String>>,
    ) -> Result<Json<Envelope<UsageSummary>>, Refused<EnvelopedProblem>> {
        let account = account(&caller, &user_id, &client_id)?;
        let now = self.0.clock.now();
        let days = WholeDays::read(&start_date, &end_date, now.date_naive())?;
        let mut tx = self.0.begin(&account).await?;
        let rows = phone_usage::alike(&mut tx, account.as_str(), days.span()).await?;
        let meters = [VOICE, SMS];
        let catalogue = &self.0.catalogue;
        let span = days.span();
        let prices =
            billing::added(&mut tx, catalogue, account.as_str(), span, &meters, now).await?;
        drop(tx);
        let used: Vec<_> = rows.into_iter().map(Into::into).collect();
        let totals = costs::totals(&used, &catalogue.list_prices);
        let summary = summary(&account, &days, &totals, &prices, &catalogue.currency);
        Ok(Envelope::new(summary, "Usage summary retrieved", now))
    }

    /// Each call and message that was counted, the newest first
    ///
    /// Of whole days in UTC, a year at most.
    #[oai(
        path = "/usage/details",
        method = "get",
        operation_id = "phoneUsageDetails"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a parameter of the query"
    )]
    async fn details(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// The same, as older clients name them.
        #[oai(name = "clientId")]
        client_id: Query<Option<String>>,
        /// The first of this month when left out.
        #[oai(name = "startDate")]
        start_date: Query<Option<String>>,
        /// Not included; tomorrow when left out.
        #[oai(name = "endDate")]
        end_date: Query<Option<String>>,
        /// call_minutes, sms_sent, sms_received, mms_sent or mms_received; all when left out. Of recording_storage and
        /// email_sent, which nothing is charged for, there are none.
        #[oai(name = "type")]
        kind: Query<Option<String>>,
        /// 1000 when left out, which is the most.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the answer before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<UsageDetails>, Refused<EnvelopedProblem>> {
        let account = account(&caller, &user_id, &client_id)?;
        let now = self.0.clock.now();
        let span = WholeDays::read(&start_date, &end_date, now.date_naive())?.span();
        let wanted = Wanted::read(kind.as_deref().unwrap_or_default())?;
        let limit = limit.unwrap_or(PAGE_MAX);
        let page = Asked::read(None, Some(limit), cursor.as_deref())?;
        let mut rows = match wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::Uses(kind) => {
                let mut tx = self.0.begin(&account).await?;
                phone_usage::list(&mut tx, account.as_str(), span, kind, &page.rows()).await?
            }
        };
        let next_cursor = page.next(&mut rows, |row| (row.occurred_at, &row.source_id));
        let prices = &self.0.catalogue.list_prices;
        let records = rows.iter().map(|row| record(&account, row, prices));
        Ok(Json(UsageDetails {
            success: true,
            data: records.collect::<Result<_, Problem>>()?,
            meta: UsagePage { next_cursor },
            message: "Usage details retrieved".to_owned(),
            timestamp: timestamp(now),
        }))
    }
}

/// Whom it is about, by either name; two different ones are refused before.
pub fn account(
    caller: &Caller,
    user_id: &Option<String>,
    client_id: &Option<String>,
) -> Result<AccountId, Problem> {
    let named = [user_id, client_id].into_iter().flatten();
    let named = named.map(String::as_str).find(|named| !named.is_empty());
    phone_log::account(caller, named)
}

/// Which uses are asked for.
enum Wanted {
    /// All of them, or those of a kind.
    Uses(Option<Kind>),
    /// A kind of the replaced services that is not metered here.
    Nothing,
}

impl Wanted {
    fn read(text: &str) -> Result<Wanted, Problem> {
        match text {
            "" => Ok(Wanted::Uses(None)),
            "recording_storage" | "email_sent" => Ok(Wanted::Nothing),
            _ => {
                let kind = Kind::of(text).ok_or_else(|| {
                    let known = Kind::ALL.map(Kind::as_str).join(", ");
                    Problem::bad_request("INVALID_TYPE", format!("type is one of {known}"))
                })?;
                Ok(Wanted::Uses(Some(kind)))
            }
        }
    }
}
