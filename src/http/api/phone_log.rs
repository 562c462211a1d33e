//! `GET /api/twilio/calls` and `/sms`: what was called and written, as the provider told it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use tollkeeper_jobs::telephony::e164::E164;

use super::{
    Shared, Tag,
    envelope::{FlatProblem, Refused},
    phone_log_view::{PhoneCall, TextMessage},
};
use crate::{
    db::{calls, messages, phone_log::Page},
    http::{
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

pub struct PhoneLog(pub(super) Arc<Shared>);

const PAGE_DEFAULT: u32 = 50;
pub const PAGE_MAX: u32 = 1000;

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Calls {
    /// Always true.
    success: bool,
    /// The newest first.
    calls: Vec<PhoneCall>,
    /// Sent back as `cursor`, it asks for the next ones. Absent: there are no more.
    #[oai(rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Messages {
    /// Always true.
    success: bool,
    /// The newest first.
    messages: Vec<TextMessage>,
    /// Sent back as `cursor`, it asks for the next ones. Absent: there are no more.
    #[oai(rename = "nextCursor")]
    next_cursor: Option<String>,
}

type Answer<T> = Result<Json<T>, Refused<FlatProblem>>;

#[OpenApi(prefix_path = "/twilio", tag = "Tag::Telephony")]
impl PhoneLog {
    /// A user's calls
    #[oai(path = "/calls", method = "get", operation_id = "calls")]
    async fn calls(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Only those from or to it. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
        /// 50 when left out, 1000 at most.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the answer before.
        cursor: Query<Option<String>>,
    ) -> Answer<Calls> {
        let account = account(&caller, user_id.as_deref())?;
        let page = Asked::read(phone_number.as_deref(), *limit, cursor.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let mut rows = calls::list(&mut tx, account.as_str(), &page.rows()).await?;
        drop(tx);
        let next_cursor = page.next(&mut rows, |row| (row.call.began_at, &row.call.call_ref));
        Ok(Json(Calls {
            success: true,
            calls: rows
                .into_iter()
                .map(|row| PhoneCall::of(row, &self.0.twilio))
                .collect(),
            next_cursor,
        }))
    }

    /// A user's messages
    #[oai(path = "/sms", method = "get", operation_id = "messages")]
    async fn messages(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Only those from or to it. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
        /// 50 when left out, 1000 at most.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the answer before.
        cursor: Query<Option<String>>,
    ) -> Answer<Messages> {
        let account = account(&caller, user_id.as_deref())?;
        let page = Asked::read(phone_number.as_deref(), *limit, cursor.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let mut rows = messages::list(&mut tx, account.as_str(), &page.rows()).await?;
        drop(tx);
        let next_cursor = page.next(&mut rows, |row| {
            (row.message.began_at, &row.message.message_ref)
        });
        Ok(Json(Messages {
            success: true,
            messages: rows.into_iter().map(TextMessage::of).collect(),
            next_cursor,
        }))
    }
}

pub fn account(caller: &Caller, named: Option<&str>) -> Result<AccountId, Problem> {
    caller.account(Scope::TelephonyRead, named, || {
        Problem::bad_request("MISSING_PARAMETER", "userId is required")
    })
}

/// Which part of a list is asked for.
pub struct Asked {
    number: Option<E164>,
    behind: Option<(DateTime<Utc>, String)>,
    limit: i64,
}

impl Asked {
    pub fn read(
        number: Option<&str>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Asked, Problem> {
        let number = number.filter(|number| !number.is_empty());
        let number = number.map(E164::as_written).transpose().map_err(|error| {
            Problem::bad_request("INVALID_PHONE_NUMBER", format!("phoneNumber is {error}"))
        })?;
        let behind = cursor.map(Asked::place).transpose()?;
        let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        Ok(Asked {
            number,
            behind,
            limit: limit.into(),
        })
    }

    /// A cursor is the time of the last row in microseconds, and its id.
    fn place(cursor: &str) -> Result<(DateTime<Utc>, String), Problem> {
        let read = cursor.split_once('.').and_then(|(micros, id)| {
            let micros: i64 = micros.parse().ok()?;
            let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_ours = micros >= 0 && id.bytes().all(of_an_id);
            let at = DateTime::from_timestamp_micros(micros).filter(|_| is_ours)?;
            Some((at, id.to_owned()))
        });
        read.ok_or_else(|| {
            Problem::bad_request("INVALID_CURSOR", "cursor is none that was answered")
        })
    }

    /// One row more than is shown: so it is known whether there are more.
    pub fn rows(&self) -> Page<'_> {
        let behind = self.behind.as_ref();
        Page {
            number: self.number.as_ref().map(E164::as_str),
            behind: behind.map(|(at, id)| (*at, id.as_str())),
            limit: self.limit + 1,
        }
    }

    /// The same, of fewer rows than were asked for.
    pub fn at_most(self, rows: usize) -> Asked {
        let most = i64::try_from(rows).unwrap_or(i64::MAX);
        Asked {
            limit: self.limit.min(most),
            ..self
        }
    }

    /// Cut off the one row that was asked for too many, and say where the next page begins if there is one.
    pub fn next<T>(
        &self,
        rows: &mut Vec<T>,
        of: impl Fn(&T) -> (DateTime<Utc>, &String),
    ) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return None;
        }
        rows.truncate(limit);
        let (at, id) = rows.last().map(of)?;
        Some(format!("{}.{id}", at.timestamp_micros()))
    }
}
