//! What Twilio hears from us: TwiML from the configuration, or `OK`.

use poem::{Response, http::StatusCode};
use tollkeeper_jobs::telephony::{
    callback::Answer,
    twiml::{self, Verb},
};

use super::text;
use crate::{
    clients::twilio::{RECORDING, RECORDING_STATUS, TOLD_AGAIN},
    config::Config,
};

const GOODBYE: &str = "Thank you for your message. Goodbye!";
const APOLOGY: &str = "We're sorry, but there was a system error. Please try again later.";

/// The answer to a callback that is stored.
pub fn to(answer: Answer, config: &Config) -> Response {
    let base = &config.public_base_url;
    match answer {
        Answer::Received => text(StatusCode::OK, "OK"),
        Answer::Silence => xml(&[]),
        Answer::Hangup => xml(&[Verb::Hangup]),
        Answer::Goodbye => xml(&[Verb::Say(GOODBYE), Verb::Hangup]),
        Answer::Apology => fixed_apology(),
        Answer::Reply if config.telephony.sms_reply.is_empty() => xml(&[]),
        Answer::Reply => xml(&[Verb::Message(&config.telephony.sms_reply)]),
        Answer::Greeting => xml(&[
            Verb::Say(&config.telephony.greeting),
            Verb::Record {
                action: &format!("{base}{RECORDING}"),
                status_callback: &format!("{base}{RECORDING_STATUS}{TOLD_AGAIN}"),
            },
            Verb::Hangup,
        ]),
    }
}

/// What somebody on the line hears when nothing can be looked up or stored.
pub fn fixed_apology() -> Response {
    xml(&[Verb::Say(APOLOGY), Verb::Hangup])
}

/// A verified callback whose URL names a user that does not own the account.
pub fn not_ours(answer: Answer) -> Response {
    let mut response = if answer == Answer::Greeting {
        xml(&[Verb::Reject])
    } else {
        text(StatusCode::NOT_FOUND, "Not Found")
    };
    response.set_status(StatusCode::NOT_FOUND);
    response
}

fn xml(verbs: &[Verb<'_>]) -> Response {
    Response::builder()
        .content_type("text/xml")
        .body(twiml::response(verbs))
}
