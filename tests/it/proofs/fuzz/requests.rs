//! The receiver's endpoints as a whole: paths, headers and bodies that were changed on the way.

use std::{net::SocketAddr, sync::Arc};

use poem::{
    Body, Endpoint, Request, Response, Route,
    endpoint::make_sync,
    http::{self, HeaderValue, Method, Uri, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use proptest::{prelude::*, sample::Index};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tollkeeper::{
    http::receiver::{self, Receiver},
    signature::{stripe, twilio},
};

use super::{
    cases,
    change::{Change, changed, changes},
    signatures::{HOST, pairs, says_the_same, text_of},
    tried,
};
use crate::support::{
    proof::{all_held, seed},
    service::Service,
    web::{STRIPE_SECRET, golden_files},
};

/// Of the recorded callbacks.
const MASTER: &str = "AC00000000000000000000000000000002";
const TWILIO_TOKEN: &str = "a-made-up-token";
const VOIPMS_TOKEN: &str = "a-long-token-in-the-path";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

const WORDS: &[&str] = &[
    "&",
    "=",
    "?",
    "%",
    "%26",
    "/",
    "//",
    "\0",
    ",",
    "{",
    "}",
    "[",
    "null",
    "AccountSid=",
    "t=",
    "v1=",
    "bodySHA256=",
    "\u{fffd}",
    "+",
    FORM,
    JSON,
    VOIPMS_TOKEN,
];

/// A request as a provider sends it.
#[derive(Debug, Clone)]
struct Sent {
    by: By,
    method: Method,
    target: Vec<u8>,
    signature: Vec<u8>,
    content_type: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Stripe,
    Twilio,
    /// Not signed: whoever knows the token in the URL is believed.
    Voipms,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Method,
    Target,
    Signature,
    ContentType,
    Body,
}

const PARTS: [Part; 6] = [
    Part::Method,
    Part::Target,
    Part::Signature,
    Part::ContentType,
    Part::Body,
    Part::Body,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_changed_request_is_believed_and_none_breaks_the_receiver() {
    let seed = seed("fuzzing_requests");
    let service = Service::with(|config| {
        config.public_base_url = HOST.into();
        config.twilio.account_sid = MASTER.into();
        config.voipms.callback_tokens = vec![VOIPMS_TOKEN.into()];
        // A busy machine is no slow database.
        config.http.store_deadline = std::time::Duration::from_secs(30);
    })
    .await;
    let (receiver, _storing) = Receiver::start(&service.ctx);
    let no_api = Arc::new(make_sync(|_| Response::default()));
    let app = receiver::routes(Route::new(), &receiver, &no_api);
    let sent = all_sent(service.ctx.clock.now().timestamp());
    for one in &sent {
        assert_eq!(status(&app, one).await, 200, "as it was sent: {one:?}");
    }

    let runtime = Handle::current();
    let case = (
        any::<Index>(),
        prop::sample::select(&PARTS[..]),
        changes(WORDS),
    );
    let tried = tokio::task::block_in_place(|| {
        tried(cases() * 5 / 100, seed, &case, |(which, part, changes)| {
            let original = which.get(&sent);
            let other = original.with(part, &changes);
            let status = runtime.block_on(status(&app, &other));
            prop_assert!(status < 500, "{} for {:?}", status, other);
            let is_believed = status < 300;
            prop_assert!(
                !is_believed || original.is_the_same(&other),
                "believed: {:?}",
                other
            );
            Ok(())
        })
    });

    let events: i64 = service
        .value("select count(*) from webhooks where provider = 'stripe'")
        .await;
    let of_stripe = sent.iter().filter(|one| one.by == By::Stripe).count();
    assert_eq!(
        events as usize, of_stripe,
        "something that nobody sent was stored"
    );
    all_held("fuzzing_requests", tried, "cases", cases() * 5 / 100);
}

async fn status(app: &impl Endpoint, sent: &Sent) -> u16 {
    match sent.request() {
        Some(request) => app.get_response(request).await.status().as_u16(),
        // The HTTP server below would have refused it.
        None => 400,
    }
}

impl Sent {
    fn request(&self) -> Option<Request> {
        let header = match self.by {
            By::Stripe => "stripe-signature",
            By::Twilio | By::Voipms => "x-twilio-signature",
        };
        let (parts, ()) = http::Request::builder()
            .method(self.method.clone())
            .uri(Uri::try_from(self.target.as_slice()).ok()?)
            .header(header, HeaderValue::from_bytes(&self.signature).ok()?)
            .header(
                "content-type",
                HeaderValue::from_bytes(&self.content_type).ok()?,
            )
            .body(())
            .ok()?
            .into_parts();
        let from: SocketAddr = ([127, 0, 0, 1], 50_000).into();
        let parts = (
            parts,
            LocalAddr(from.into()),
            RemoteAddr(from.into()),
            Scheme::HTTPS,
        );
        Some(Request::from_parts(
            parts.into(),
            Body::from(self.body.clone()),
        ))
    }

    fn with(&self, part: Part, changes: &[Change]) -> Sent {
        let mut other = self.clone();
        match part {
            Part::Method if self.method == Method::GET => other.method = Method::POST,
            Part::Method => other.method = Method::GET,
            Part::Target => other.target = changed(&self.target, changes),
            Part::Signature => other.signature = changed(&self.signature, changes),
            Part::ContentType => other.content_type = changed(&self.content_type, changes),
            Part::Body => other.body = changed(&self.body, changes),
        }
        other
    }

    /// Whether another request says what this one said, to whoever signed it.
    fn is_the_same(&self, other: &Sent) -> bool {
        match self.by {
            By::Stripe => {
                let text = |sent: &Sent| String::from_utf8(sent.signature.clone()).unwrap();
                other.body == self.body && says_the_same(&text(other), &text(self))
            }
            By::Twilio => {
                let is_form = self.content_type.starts_with(FORM.as_bytes());
                other.signature == self.signature
                    && other.signed_text() == self.signed_text()
                    && (is_form || other.body == self.body)
            }
            By::Voipms => pairs(&[b"token=", &other.target[..]].concat())
                .iter()
                .any(|(_, value)| value.contains(VOIPMS_TOKEN)),
        }
    }

    /// What Twilio signs of it.
    fn signed_text(&self) -> String {
        let target = String::from_utf8_lossy(&self.target);
        let target = target.split('#').next().unwrap_or_default();
        let url = HOST.to_owned() + target;
        let is_form = self.method == Method::POST && self.content_type.starts_with(FORM.as_bytes());
        let params = if is_form {
            pairs(&self.body)
        } else {
            Vec::new()
        };
        text_of(&url, &params)
    }
}

/// Every recorded Stripe event and Twilio form, and one of each other way a provider may call.
fn all_sent(now: i64) -> Vec<Sent> {
    let events = golden_files("webhooks/stripe/new", ".json").into_iter();
    let events = events.map(|(_, body)| Sent {
        by: By::Stripe,
        method: Method::POST,
        target: b"/stripe/webhook".to_vec(),
        signature: stripe::sign(STRIPE_SECRET, &body, now).into_bytes(),
        content_type: JSON.into(),
        body,
    });
    let forms = golden_files("webhooks/twilio", ".form").into_iter();
    let forms = forms.map(|(_, body)| of_twilio("/webhooks/twilio/voice", FORM, body));
    let query = "/twilio/voice?AccountSid=AC00000000000000000000000000000002&CallSid=CA1";
    let event = format!(r#"[{{"data":{{"account_sid":"{MASTER}"}}}}]"#);
    let digest = hex::encode(Sha256::digest(&event));
    let stream = format!("/twilio/events?bodySHA256={digest}");
    let message = "from=4155550199&to=4155550100&message=hi&id=7";
    let path = format!("/webhooks/voipms/sms/{VOIPMS_TOKEN}");
    events
        .chain(forms)
        .chain([
            Sent {
                method: Method::GET,
                ..of_twilio(query, "", Vec::new())
            },
            of_twilio(&stream, JSON, event.into_bytes()),
            of_voipms(Method::GET, &format!("{path}?{message}"), "", b""),
            of_voipms(
                Method::POST,
                &path,
                JSON,
                br#"{"from":"1","to":"2","id":[7]}"#,
            ),
            of_voipms(Method::POST, &path, FORM, message.as_bytes()),
        ])
        .collect()
}

fn of_twilio(target: &str, content_type: &str, body: Vec<u8>) -> Sent {
    let mut sent = Sent {
        by: By::Twilio,
        method: Method::POST,
        target: target.into(),
        signature: Vec::new(),
        content_type: content_type.into(),
        body,
    };
    sent.signature = twilio::sign(TWILIO_TOKEN, &sent.signed_text(), &[]).into_bytes();
    sent
}

fn of_voipms(method: Method, target: &str, content_type: &str, body: &[u8]) -> Sent {
    Sent {
        by: By::Voipms,
        method,
        target: target.into(),
        signature: Vec::new(),
        content_type: content_type.into(),
        body: body.to_vec(),
    }
}
