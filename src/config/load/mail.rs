//! Settings of e-mail: a server and a sender, or neither.

use std::time::Duration;

use crate::{
    clients::mailer::{Server, is_mailbox},
    config::{MailConfig, reader::Reader},
};

/// Twice this is shorter than a run may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(50);

/// No fault repeats what is set: the URL is a secret, and an address is somebody's.
pub(super) fn mail(reader: &mut Reader<'_>) -> Option<MailConfig> {
    let server = reader.optional("SMTP_URL");
    let from = reader.optional("EMAIL_FROM");
    let reply_to = reader.optional("EMAIL_REPLY_TO");
    let timeout = reader.duration("SMTP_TIMEOUT", "30s");
    if timeout > TIMEOUT_MAX || timeout.is_zero() {
        let what = format!("is not between 1ms and {}s", TIMEOUT_MAX.as_secs());
        reader.fault("SMTP_TIMEOUT", what);
    }
    if let Some(Err(why)) = server.map(Server::parse) {
        reader.fault("SMTP_URL", why.to_owned());
    }
    for (name, mailbox) in [("EMAIL_FROM", from), ("EMAIL_REPLY_TO", reply_to)] {
        if mailbox.is_some_and(|mailbox| !is_mailbox(mailbox)) {
            let what = "is not an e-mail address, as in billing@example.com or Billing <billing@example.com>";
            reader.fault(name, what.to_owned());
        }
    }
    let both = "set both to send e-mail to customers, or neither";
    match (server, from) {
        (Some(server), Some(from)) => Some(MailConfig {
            server: server.into(),
            from: from.to_owned(),
            reply_to: reply_to.map(str::to_owned),
            timeout,
        }),
        (Some(_), None) => {
            reader.fault("EMAIL_FROM", format!("is not set, and SMTP_URL is: {both}"));
            None
        }
        (None, Some(_)) => {
            reader.fault("SMTP_URL", format!("is not set, and EMAIL_FROM is: {both}"));
            None
        }
        (None, None) => {
            if reply_to.is_some() {
                let what = "is set without SMTP_URL and EMAIL_FROM: no e-mail is sent";
                reader.fault("EMAIL_REPLY_TO", what.to_owned());
            }
            None
        }
    }
}
