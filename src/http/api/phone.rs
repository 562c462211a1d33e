//! `/api/phone/*`: a user's numbers, and what was written with whom.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Any};
use serde_json::{Value, json};

use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, Refused},
    number_view::HeldNumber,
    phone_log::{self, Asked, PAGE_MAX},
    phone_log_view::SaidMessage,
    phone_usage,
};
use crate::{
    db::{
        conversations::{self, Most, Said},
        overview,
    },
    http::{auth::Caller, problem::timestamp},
};

pub struct Phone(pub(super) Arc<Shared>);

/// So much of the last message is shown beside its conversation.
const PREVIEW_MAX: usize = 100;
/// So many messages are shown with a conversation, and with all of a page: many long conversations are several pages.
const MESSAGES_SHOWN: Most = Most {
    of_each: 100,
    in_all: 10_000,
};

#[derive(Debug, Object)]
struct Conversations {
    /// Always true.
    success: bool,
    /// The one with the newest message first.
    data: Vec<Conversation>,
    meta: ConversationPage,
    message: String,
    timestamp: String,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct ConversationPage {
    /// Sent back as `cursor`, it asks for the next ones. Absent: there are no more.
    next_cursor: Option<String>,
}

#[derive(Debug, Object)]
struct Conversation {
    /// A UUID.
    id: Option<String>,
    /// Of the user's own number.
    phone_number_id: Option<String>,
    /// The user's, E.164.
    phone_number: String,
    /// Whom they write with.
    participant_number: String,
    last_message_at: String,
    /// The first hundred characters of it; null where its text is not known.
    last_message_preview: Option<String>,
    /// Always 0: nobody says here what they have read.
    unread_count: i32,
    /// Always false: nobody puts anything away here.
    is_archived: bool,
    /// Always empty.
    metadata: Any<Value>,
    /// When its first message went.
    created_at: String,
    /// The last hundred, the newest first.
    messages: Vec<SaidMessage>,
}

type Answer<T> = Result<Json<Envelope<T>>, Refused<EnvelopedProblem>>;

#[OpenApi(prefix_path = "/phone", tag = "Tag::Telephony")]
impl Phone {
    /// A user's numbers, for clients of the phone system
    #[oai(path = "/phone-numbers", method = "get", operation_id = "phoneNumbers")]
    async fn numbers(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// The same, as older clients name them.
        #[oai(name = "clientId")]
        client_id: Query<Option<String>>,
    ) -> Answer<Vec<HeldNumber>> {
        let account = phone_usage::account(&caller, &user_id, &client_id)?;
        let mut tx = self.0.begin(&account).await?;
        let rows = overview::active_numbers(&mut tx, account.as_str()).await?;
        drop(tx);
        let numbers = rows.into_iter().map(HeldNumber::of).collect();
        let now = self.0.clock.now();
        Ok(Envelope::new(numbers, "Phone numbers retrieved", now))
    }

    /// What a user wrote and was written, by whom they wrote with
    ///
    /// The conversation with the newest message comes first, each with its last hundred messages, of which a page has ten
    /// thousand at most; `GET /api/twilio/sms` has all of them.
    #[oai(
        path = "/sms/conversations",
        method = "get",
        operation_id = "conversations"
    )]
    async fn conversations(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Only those of this number, of either side. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
        /// How many conversations: 1000 when left out, which is the most.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the answer before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Conversations>, Refused<EnvelopedProblem>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let limit = limit.unwrap_or(PAGE_MAX);
        let mut page = Asked::read(phone_number.as_deref(), Some(limit), cursor.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let rows =
            conversations::list(&mut tx, account.as_str(), &page.rows(), MESSAGES_SHOWN).await?;
        drop(tx);
        let is_cut_short = rows.len() == MESSAGES_SHOWN.in_all;
        let mut found = by_numbers(rows);
        if is_cut_short {
            // The last one may lack messages: it comes with the next page.
            page = page.at_most(found.len() - 1);
        }
        let next_cursor = page.next(&mut found, |said| {
            let last = &said[0].message.message;
            (last.began_at, &last.message_ref)
        });
        Ok(Json(Conversations {
            success: true,
            data: found.into_iter().map(conversation).collect(),
            meta: ConversationPage { next_cursor },
            message: "Conversations retrieved".to_owned(),
            timestamp: timestamp(self.0.clock.now()),
        }))
    }
}

/// The messages of each conversation, of which there is one at least. Those of one stand together, as the rows come.
fn by_numbers(rows: Vec<Said>) -> Vec<Vec<Said>> {
    rows.chunk_by(|a, b| a.our_number == b.our_number && a.their_number == b.their_number)
        .map(<[Said]>::to_vec)
        .collect()
}

/// Of messages between the same two numbers, the newest first.
fn conversation(said: Vec<Said>) -> Conversation {
    let Said {
        our_number,
        their_number,
        first_at,
        message: shown,
    } = &said[0];
    let preview = |body: &String| body.chars().take(PREVIEW_MAX).collect();
    Conversation {
        id: shown.conversation_id.map(|id| id.to_string()),
        phone_number_id: shown.phone_number_id.map(|id| id.to_string()),
        phone_number: our_number.clone(),
        participant_number: their_number.clone(),
        last_message_at: timestamp(shown.message.began_at),
        last_message_preview: shown.message.body.as_ref().map(preview),
        unread_count: 0,
        is_archived: false,
        metadata: Any(json!({})),
        created_at: timestamp(*first_at),
        messages: said
            .into_iter()
            .map(|said| SaidMessage::of(said.message))
            .collect(),
    }
}
