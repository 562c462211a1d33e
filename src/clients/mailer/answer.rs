//! What a mail server's answers mean, and what is passed on of them: their numbers, never their text, which may
//! quote the address.

use std::{error::Error, io};

use lettre::transport::smtp;

/// What became of a mail that was not accepted, told apart by what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It was not accepted: the server was not reached, did not let us in, or wants it later.
    #[error("the mail server {why}")]
    TryLater { why: String },
    /// All of it was sent, and no answer came.
    #[error("the mail server left the outcome open: {why}")]
    Unknown { why: &'static str },
    /// A definite no to this address or this mail: it will be refused again.
    #[error("the mail is refused: {why}")]
    Refused { why: String },
}

pub(super) fn later(what: &str, error: &smtp::Error) -> MailError {
    MailError::TryLater {
        why: format!("{what}: {}", said(error)),
    }
}

/// A no for good, unless it is one to us: 530, 534, 535 and 538 ask who we are (RFC 4954).
pub(super) fn refused_or_later(what: &str, error: &smtp::Error) -> MailError {
    let code = error.status().map(u16::from);
    let is_about_us = matches!(code, Some(530 | 534 | 535 | 538));
    match error.is_permanent() && !is_about_us {
        true => MailError::Refused {
            why: format!("the server {what}: {}", said(error)),
        },
        false => later(what, error),
    }
}

/// All of the mail was sent: without an answer nobody knows what became of it.
pub(super) fn at_the_end(error: &smtp::Error) -> MailError {
    match error.status() {
        Some(_) => refused_or_later("refuses the mail", error),
        None => MailError::Unknown {
            why: "the connection broke off",
        },
    }
}

/// The numbers of an answer (`550 5.1.1`), or what happened without one. Nothing else of its text: that may
/// quote the address.
fn said(error: &smtp::Error) -> String {
    let Some(code) = error.status() else {
        return without_answer(error).to_owned();
    };
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let detail = text.split_whitespace().next().unwrap_or_default();
    let is_status = |word: &str| {
        let parts: Vec<&str> = word.split('.').collect();
        let is_number = |part: &&str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        parts.len() == 3 && parts.iter().all(is_number)
    };
    match is_status(detail) {
        true => format!("{code} {detail}"),
        false => code.to_string(),
    }
}

fn without_answer(error: &smtp::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if is_tls(error) {
        "its certificate or its TLS does not fit"
    } else if error.is_client() {
        "it does not offer that"
    } else if error.is_response() {
        "the connection ended"
    } else {
        "the connection failed"
    }
}

/// Also one that lettre takes for a broken connection.
fn is_tls(error: &smtp::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    error.is_tls()
}
