//! `/api/phone/*`: a user's numbers, and what was written with whom.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query, payload::Json};

use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, Refused},
    number_view::HeldNumber,
    phone_log::{self, Asked, PAGE_MAX, TextMessage},
};
use crate::{
    db::{
        messages::{self, StoredMessage},
        overview,
    },
    http::{auth::Caller, problem::timestamp},
};

pub struct Phone(pub(super) Arc<Shared>);

/// So much of the last message is shown beside its conversation.
const PREVIEW_MAX: usize = 100;

#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Conversation {
    /// The user's, E.164.
    phone_number: String,
    /// Whom they write with.
    participant_number: String,
    last_message_at: String,
    /// The first hundred characters of it; absent where its text is not known.
    last_message_preview: Option<String>,
    /// The newest first.
    messages: Vec<TextMessage>,
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
    ) -> Answer<Vec<HeldNumber>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let rows = overview::active_numbers(&mut tx, account.as_str()).await?;
        drop(tx);
        let numbers = rows.into_iter().map(HeldNumber::of).collect();
        let now = self.0.clock.now();
        Ok(Envelope::new(numbers, "Phone numbers retrieved", now))
    }

    /// What a user wrote and was written, by whom they wrote with
    ///
    /// Of the last thousand messages. The conversation with the newest message comes first.
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
    ) -> Answer<Vec<Conversation>> {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let asked = Asked::read(phone_number.as_deref(), Some(PAGE_MAX), None)?;
        let mut tx = self.0.begin(&account).await?;
        let rows = messages::list(&mut tx, account.as_str(), &asked.rows()).await?;
        drop(tx);
        let now = self.0.clock.now();
        Ok(Envelope::new(
            conversations(rows),
            "Conversations retrieved",
            now,
        ))
    }
}

/// Newest message first, as the rows come.
fn conversations(rows: Vec<StoredMessage>) -> Vec<Conversation> {
    let mut found: Vec<Conversation> = Vec::new();
    for row in rows {
        let is_inbound = row.direction.as_deref() == Some("inbound");
        let (Some(from), Some(to)) = (row.from_number.clone(), row.to_number.clone()) else {
            continue;
        };
        let (ours, theirs) = if is_inbound { (to, from) } else { (from, to) };
        let at = found
            .iter()
            .position(|one| one.phone_number == ours && one.participant_number == theirs);
        let at = at.unwrap_or_else(|| {
            found.push(Conversation {
                phone_number: ours,
                participant_number: theirs,
                last_message_at: timestamp(row.began_at),
                last_message_preview: row
                    .body
                    .as_ref()
                    .map(|body| body.chars().take(PREVIEW_MAX).collect()),
                messages: Vec::new(),
            });
            found.len() - 1
        });
        found[at].messages.push(phone_log::message(row));
    }
    found
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn row(nth: i64, direction: &str, from: &str, to: &str, body: Option<&str>) -> StoredMessage {
        let at: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000 - nth, 0).unwrap();
        StoredMessage {
            account_id: "ann".into(),
            message_ref: format!("SM{nth}"),
            direction: Some(direction.into()),
            from_number: Some(from.into()),
            to_number: Some(to.into()),
            body: body.map(str::to_owned),
            segments: None,
            media: 0,
            status: "received".into(),
            error_code: None,
            began_at: at,
            updated_at: at,
            cost_micros: None,
        }
    }

    #[test]
    fn both_ways_are_one_conversation_and_each_pair_of_numbers_is_its_own() {
        let long = "é".repeat(150);
        let told = conversations(vec![
            row(0, "inbound", "+2", "+1", Some(&long)),
            row(1, "outbound", "+1", "+3", None),
            row(2, "outbound", "+1", "+2", Some("hello")),
            row(3, "inbound", "+2", "+9", Some("to another number of ours")),
        ]);
        let pairs: Vec<(&str, &str, usize)> = told
            .iter()
            .map(|one| {
                let numbers = (&*one.phone_number, &*one.participant_number);
                (numbers.0, numbers.1, one.messages.len())
            })
            .collect();
        assert_eq!(pairs, [("+1", "+2", 2), ("+1", "+3", 1), ("+9", "+2", 1)]);
        let previews: Vec<_> = told
            .iter()
            .map(|one| {
                one.last_message_preview
                    .as_ref()
                    .map(|text| text.chars().count())
            })
            .collect();
        assert_eq!(previews, [Some(100), None, Some(25)]);
    }
}
