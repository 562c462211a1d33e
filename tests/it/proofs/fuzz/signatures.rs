//! The signature checks: each verdict beside what the provider's rules say, written down once more.

use std::{collections::BTreeSet, thread};

use proptest::{prelude::*, sample::Index};
use sha2::{Digest, Sha256};
use tollkeeper::signature::{
    stripe,
    twilio::{self, Content, Signed},
};

use super::{
    bodies, cases,
    change::{Change, changed, changes},
    tried,
};
use crate::support::{
    proof::{all_held, seed},
    web::golden_files,
};

const SECRET: &str = "whsec_test_tollkeeper";
const NOW: i64 = 1_767_225_600;
const TOKEN: &str = "a-made-up-token";
pub const HOST: &str = "https://hooks.test";

const HEADER_WORDS: &[&str] = &[
    "t=",
    "v1=",
    "v0=",
    ",",
    "=",
    " ",
    "-",
    "+",
    "0",
    "\0",
    ",v1=0",
    ",t=1",
    "t=1767225600",
    "t=01767225600",
    "9223372036854775808",
    "-9223372036854775808",
    "٣",
    "V1=",
    "v1 =",
    ";",
];
const FORM_WORDS: &[&str] = &[
    "&",
    "=",
    "%",
    "%26",
    "%3D",
    "+",
    "%20",
    "%00",
    "%",
    "%2",
    "%C3%28",
    "%FF",
    "&&",
    "a=",
    "=a",
    "AccountSid=",
    "CallSid=CA",
    ";",
    "?",
    "#",
    "%EF%BF%BD",
    "\u{fffd}",
];
const URL_WORDS: &[&str] = &[
    "?",
    "&",
    "#",
    "/",
    "//",
    "../",
    "%2F",
    ":443",
    ":80",
    "@",
    "bodySHA256=",
    "=",
    "+",
    "%20",
];

#[test]
fn no_changed_delivery_is_believed_and_nothing_panics() {
    let seed = seed("fuzzing");
    let tried: usize = thread::scope(|threads| {
        [
            threads.spawn(|| stripe_deliveries(cases() * 35 / 100, seed)),
            threads.spawn(|| forms(cases() * 20 / 100, seed) + raw_bodies(cases() * 5 / 100, seed)),
            threads.spawn(|| bodies::tried_all(cases() * 35 / 100, seed)),
        ]
        .into_iter()
        .map(|target| target.join().unwrap())
        .sum()
    });
    all_held("fuzzing", tried, "cases", cases() * 95 / 100);
}

/// What a change is made to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Header,
    Body,
    Url,
}

fn part(of: &'static [Part]) -> impl Strategy<Value = Part> {
    prop::sample::select(of)
}

fn stripe_deliveries(cases: usize, seed: u64) -> usize {
    let bodies = golden_files("webhooks/stripe/new", ".json")
        .into_iter()
        .map(|(_, body)| body)
        .chain([b"{}".to_vec(), Vec::new()]);
    let deliveries: Vec<(Vec<u8>, String)> = bodies
        .map(|body| (body.clone(), stripe::sign(SECRET, &body, NOW)))
        .collect();
    let case = (
        any::<Index>(),
        part(&[Part::Header, Part::Header, Part::Body]),
        changes(HEADER_WORDS),
    );
    tried(cases, seed, &case, |(which, part, changes)| {
        let (body, header) = which.get(&deliveries);
        let believed = |header: &str, body: &[u8]| {
            stripe::verify(header, body, &["whsec_another", SECRET], NOW + 10, 300).is_ok()
        };
        if part == Part::Body {
            let other = changed(body, &changes);
            prop_assert_eq!(believed(header, &other), other == *body);
        } else if let Ok(other) = String::from_utf8(changed(header.as_bytes(), &changes)) {
            prop_assert_eq!(
                believed(&other, body),
                says_the_same(&other, header),
                "{}",
                other
            );
        }
        Ok(())
    })
}

/// Exactly one `t`, the one that was signed, and the signature among the `v1`.
pub fn says_the_same(header: &str, signed: &str) -> bool {
    let (at, signature) = signed.split_once(',').unwrap();
    let parts: Vec<&str> = header.split(',').collect();
    let times: Vec<&&str> = parts.iter().filter(|part| part.starts_with("t=")).collect();
    times == [&at] && parts.contains(&signature)
}

fn forms(cases: usize, seed: u64) -> usize {
    let url = format!("{HOST}/api/twilio/voice?retry=1");
    let forms: Vec<Form> = golden_files("webhooks/twilio", ".form")
        .into_iter()
        .map(|(_, bytes)| Form::signed(bytes, &url))
        .collect();
    let case = (
        any::<Index>(),
        part(&[Part::Body, Part::Body, Part::Body, Part::Header, Part::Url]),
        changes(FORM_WORDS),
        changes(URL_WORDS),
    );
    tried(cases, seed, &case, |(which, part, changes, of_url)| {
        let Form {
            bytes,
            params,
            header,
            text,
        } = which.get(&forms);
        match part {
            Part::Body => {
                let other = pairs(&changed(bytes, &changes));
                let same = text_of(&url, &other) == *text;
                prop_assert_eq!(believed(header, &url, Content::Form(&other)), same);
            }
            Part::Header => {
                let other =
                    String::from_utf8_lossy(&changed(header.as_bytes(), &changes)).into_owned();
                let same = other == *header;
                prop_assert_eq!(believed(&other, &url, Content::Form(params)), same);
            }
            Part::Url => {
                let Some(other) = changed_url(&url, &of_url) else {
                    return Ok(());
                };
                let same = text_of(&other, params) == *text;
                prop_assert_eq!(
                    believed(header, &other, Content::Form(params)),
                    same,
                    "{}",
                    other
                );
            }
        }
        Ok(())
    })
}

/// A recorded form as it came, what it says, and what Twilio signed of it.
struct Form {
    bytes: Vec<u8>,
    params: Vec<(String, String)>,
    header: String,
    text: String,
}

impl Form {
    fn signed(bytes: Vec<u8>, url: &str) -> Form {
        let params = pairs(&bytes);
        Form {
            header: twilio::sign(TOKEN, url, &params),
            text: text_of(url, &params),
            params,
            bytes,
        }
    }
}

fn raw_bodies(cases: usize, seed: u64) -> usize {
    let body = br#"[{"type":"com.twilio.error-logs.error.logged","data":{"account_sid":"AC1"}}]"#;
    let digest = hex::encode(Sha256::digest(body));
    let url = format!("{HOST}/api/twilio/events?bodySHA256={digest}");
    let header = twilio::sign(TOKEN, &url, &[]);
    let case = (
        part(&[Part::Header, Part::Body, Part::Url]),
        changes(URL_WORDS),
    );
    tried(cases, seed, &case, |(part, changes)| {
        match part {
            Part::Body => {
                let other = changed(body, &changes);
                prop_assert_eq!(believed(&header, &url, Content::Raw(&other)), other == body);
            }
            Part::Header => {
                let other =
                    String::from_utf8_lossy(&changed(header.as_bytes(), &changes)).into_owned();
                prop_assert_eq!(believed(&other, &url, Content::Raw(body)), other == header);
            }
            Part::Url => {
                let Some(other) = changed_url(&url, &changes) else {
                    return Ok(());
                };
                let same = without_port(&other) == url;
                prop_assert_eq!(
                    believed(&header, &other, Content::Raw(body)),
                    same,
                    "{}",
                    other
                );
            }
        }
        Ok(())
    })
}

fn believed(header: &str, url: &str, content: Content<'_>) -> bool {
    let signed = Signed {
        header,
        settings: None,
        url,
        content,
    };
    twilio::verify(&signed, &["another", TOKEN]).is_ok()
}

/// What is below the host: that is what a sender can choose. With the host's own port at times.
fn changed_url(url: &str, changes: &[Change]) -> Option<String> {
    let target = changed(url.strip_prefix(HOST)?.as_bytes(), changes);
    Some(HOST.to_owned() + &String::from_utf8(target).ok()?)
}

pub fn pairs(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).into_owned().collect()
}

/// What Twilio signs: the URL, then each pair once, in the order of the names, nothing in between.
pub fn text_of(url: &str, params: &[(String, String)]) -> String {
    let pairs: BTreeSet<&(String, String)> = params.iter().collect();
    let joined = pairs.into_iter().map(|(name, value)| name.clone() + value);
    without_port(url) + &joined.collect::<String>()
}

/// Twilio keeps the port out of what it signs, or puts the usual one in.
fn without_port(url: &str) -> String {
    let rest = url.strip_prefix(HOST).unwrap();
    let ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..ends].starts_with(':') {
        true => HOST.to_owned() + &rest[ends..],
        false => url.to_owned(),
    }
}
