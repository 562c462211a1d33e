//! One mail, its addresses and its bytes.

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use super::MailError;

/// An address that is longer cannot be in a command (RFC 5321, 4.5.3.1.3).
const ADDRESS_MAX: usize = 254;

/// One mail. It is not to be printed.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// What it is about: a repeat has the same.
    pub id: Uuid,
    /// When that happened.
    pub written_at: DateTime<Utc>,
    /// An address, without a name.
    pub to: &'a str,
    pub subject: &'a str,
    pub body: &'a str,
}

impl Letter<'_> {
    /// What is sent, without the end of its last line: the same bytes for the same letter.
    pub(super) fn message(
        &self,
        from: &Mailbox,
        reply_to: Option<&Mailbox>,
        to: &Address,
    ) -> Result<Vec<u8>, MailError> {
        let domain = from.email.domain();
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}@{domain}>", self.id)))
            .date(self.written_at.into())
            .from(from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(self.subject)
            // No machine answers this (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN);
        if let Some(reply_to) = reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let built = builder.body(self.body.to_owned());
        let built = built.map_err(|_| MailError::Refused {
            why: "no mail can be made of it".to_owned(),
        })?;
        let mut message = built.formatted();
        // The protocol ends the last line itself.
        if message.ends_with(b"\r\n") {
            message.truncate(message.len() - 2);
        }
        Ok(message)
    }
}

/// Whether mails may be from here: an address, or a name and an address (`Billing <billing@example.com>`).
pub fn is_mailbox(text: &str) -> bool {
    mailbox(text).is_some()
}

pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.parse().ok()?;
    let is_plain = !text.chars().any(char::is_control);
    address(mailbox.email.as_ref()).filter(|_| is_plain)?;
    Some(mailbox)
}

/// An address that can stand in a command and in a header as it is.
pub(super) fn address(text: &str) -> Option<Address> {
    let is_plain = text.len() <= ADDRESS_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
