//! `GET /api/twilio/calls` and `/sms`: what was called and written, as the provider told it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use tollkeeper_jobs::telephony::e164::E164;

use super::{
    Shared, Tag,
    envelope::{FlatProblem, Refused},
};
use crate::{
    db::{
        calls::{self, StoredCall},
        messages::{self, StoredMessage},
        phone_log::Page,
    },
    http::{
        auth::{AccountId, Caller, Scope},
        problem::{Problem, timestamp},
    },
};

pub struct PhoneLog(pub(super) Arc<Shared>);

const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 1000;

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
pub struct PhoneCall {
    /// `CA…`
    call_sid: String,
    user_id: String,
    /// E.164, or a word where the caller has no number.
    from_number: Option<String>,
    to_number: Option<String>,
    /// inbound or outbound.
    direction: Option<String>,
    /// queued, initiated, ringing, in-progress, completed, busy, failed, no-answer or canceled.
    status: String,
    /// In seconds; absent until it is over.
    duration: Option<i32>,
    /// The call that it is a leg of.
    parent_call_sid: Option<String>,
    created_at: String,
    ended_at: Option<String>,
    updated_at: String,
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

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct TextMessage {
    /// `SM…` or `MM…`
    message_sid: String,
    user_id: String,
    from_number: Option<String>,
    to_number: Option<String>,
    /// Absent where only its delivery was told of.
    body: Option<String>,
    /// inbound or outbound.
    direction: Option<String>,
    /// queued, sending, sent, delivered, undelivered, failed, read, received and a few more of Twilio's words.
    status: String,
    num_segments: Option<i32>,
    num_media: i32,
    /// The provider's, where it was not delivered.
    error_code: Option<String>,
    created_at: String,
    updated_at: String,
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
        let next_cursor = page.next(&mut rows, |row| (row.began_at, &row.call_ref));
        Ok(Json(Calls {
            success: true,
            calls: rows.into_iter().map(call).collect(),
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
        let next_cursor = page.next(&mut rows, |row| (row.began_at, &row.message_ref));
        Ok(Json(Messages {
            success: true,
            messages: rows.into_iter().map(message).collect(),
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

pub fn call(row: StoredCall) -> PhoneCall {
    PhoneCall {
        call_sid: row.call_ref,
        user_id: row.account_id,
        from_number: row.from_number,
        to_number: row.to_number,
        direction: row.direction,
        status: row.status,
        duration: row.seconds,
        parent_call_sid: row.parent_ref,
        created_at: timestamp(row.began_at),
        ended_at: row.ended_at.map(timestamp),
        updated_at: timestamp(row.updated_at),
    }
}

pub fn message(row: StoredMessage) -> TextMessage {
    TextMessage {
        message_sid: row.message_ref,
        user_id: row.account_id,
        from_number: row.from_number,
        to_number: row.to_number,
        body: row.body,
        direction: row.direction,
        status: row.status,
        num_segments: row.segments,
        num_media: row.media,
        error_code: row.error_code,
        created_at: timestamp(row.began_at),
        updated_at: timestamp(row.updated_at),
    }
}
