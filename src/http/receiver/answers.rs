//! What Twilio hears from us: TwiML from the configuration, or `OK`.

use poem::{Response, http::StatusCode};
use tollkeeper_jobs::telephony::{
    callback::Answer,
    inbound::{self, HOLD, Next},
    twiml::{self, Verb},
};

use super::{text, twilio::line::Line};
use crate::{
    clients::twilio::{RECORDING, RECORDING_STATUS, TOLD_AGAIN, Urls},
    config::Config,
};

/// Where the end of a call that was put through is asked about; below `PUBLIC_BASE_URL`.
pub const DIAL_DONE: &str = "/api/twilio/dial-done";

const GOODBYE: &str = "Thank you for your message. Goodbye!";
const APOLOGY: &str = "We're sorry, but there was a system error. Please try again later.";

/// The answer to a callback that is stored.
pub fn to(answer: Answer, line: &Line, config: &Config) -> Response {
    let house = config.telephony.house();
    match answer {
        Answer::Received => text(StatusCode::OK, "OK"),
        Answer::Silence => xml(&[]),
        Answer::Goodbye => xml(&[Verb::Say(GOODBYE), Verb::Hangup]),
        Answer::Apology => fixed_apology(),
        Answer::Reply => reply(inbound::reply(&line.settings, &house)),
        Answer::OwnReply => reply(inbound::own_reply(&line.settings, &house)),
        Answer::Greeting => {
            let next = inbound::answer(&line.settings, &line.call(), &house);
            on_the_line(&next, line, config)
        }
        Answer::AfterDial => {
            let next = inbound::after_dial(&line.settings, &line.dialled);
            on_the_line(&next, line, config)
        }
    }
}

fn reply(text: Option<&str>) -> Response {
    match text {
        Some(text) => xml(&[Verb::Message(text)]),
        None => xml(&[]),
    }
}

fn on_the_line(next: &Next<'_>, line: &Line, config: &Config) -> Response {
    let base = &config.public_base_url;
    match next {
        Next::Reject => xml(&[Verb::Reject]),
        Next::Hangup => xml(&[Verb::Hangup]),
        Next::Say(text) => xml(&[Verb::Say(text), Verb::Hangup]),
        Next::Record { text, seconds_max } => xml(&[
            Verb::Say(text),
            Verb::Record {
                action: &format!("{base}{RECORDING}"),
                status_callback: &format!("{base}{RECORDING_STATUS}{TOLD_AGAIN}"),
                seconds_max: *seconds_max,
            },
            Verb::Hangup,
        ]),
        Next::Dial {
            number,
            rings_for,
            seconds_max,
        } => {
            // The other leg names no number of ours: its URL says whose it is.
            let account_id = line.account_id.as_deref().unwrap_or_default();
            let status = Urls::of_account(base, account_id).status;
            xml(&[
                Verb::Say(HOLD),
                Verb::Dial {
                    number: number.as_str(),
                    rings_for: *rings_for,
                    seconds_max: *seconds_max,
                    action: &format!("{base}{DIAL_DONE}"),
                    status_callback: &format!("{status}{TOLD_AGAIN}"),
                },
            ])
        }
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
