//! Callbacks of Twilio and VoIP.ms that nobody signed, or that were signed for something else.

use serde_json::json;
use tollkeeper::signature::twilio;

use super::{Case, VOIPMS_TOKEN, case, request, webhooks::deep};

pub const MASTER: &str = "AC00000000000000000000000000000001";
pub const MASTER_TOKEN: &str = "a-made-up-token";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const FORBIDDEN: (u16, &str) = (403, "Forbidden");

/// Forms of Twilio under a signature that is good for something else, or for nobody.
pub fn forged_twilio() -> Vec<Case> {
    let call = |account: &str| {
        format!(
            "AccountSid={account}&CallSid=CA00000000000000000000000000000003&CallStatus=completed"
        )
    };
    let signed = |what: &str, url: &str, token: &str, target: &str, body: &str| {
        let params: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        let header = twilio::sign(token, &format!("https://hooks.test{url}"), &params);
        let request = request(
            "POST",
            target,
            &[FORM, ("x-twilio-signature", &header)],
            body.as_bytes(),
        );
        case(
            format!("{target}, {what}"),
            request,
            FORBIDDEN.0,
            FORBIDDEN.1,
        )
    };
    let status = "/api/twilio/status";
    let own = call(MASTER);
    let stranger = call("AC00000000000000000000000000000099");
    let mut cases = vec![
        signed(
            "for another path",
            "/api/twilio/voice",
            MASTER_TOKEN,
            status,
            &own,
        ),
        signed(
            "for another user's path",
            "/voice/ann",
            MASTER_TOKEN,
            "/voice/bob",
            &own,
        ),
        signed(
            "without its query",
            status,
            MASTER_TOKEN,
            "/api/twilio/status?a=1",
            &own,
        ),
        signed(
            "for another host",
            "",
            MASTER_TOKEN,
            "http://evil.test/api/twilio/status",
            &own,
        ),
        signed(
            "of an unknown account",
            status,
            MASTER_TOKEN,
            status,
            &stranger,
        ),
        signed(
            "of the unknown account's own",
            status,
            "its-own-token",
            status,
            &stranger,
        ),
        signed("of no token", status, "", status, &own),
        signed(
            "of two accounts",
            status,
            MASTER_TOKEN,
            status,
            &format!("{stranger}&AccountSid={MASTER}"),
        ),
        signed(
            "of an account with a NUL",
            status,
            MASTER_TOKEN,
            status,
            &call(&format!("{MASTER}%00")),
        ),
        signed(
            "of an account in other words",
            status,
            MASTER_TOKEN,
            status,
            &call("%27+or+1%3D1+--"),
        ),
        signed(
            "of an account of invalid UTF-8",
            status,
            MASTER_TOKEN,
            status,
            &call("AC%ff%fe"),
        ),
        signed("of nobody", status, MASTER_TOKEN, status, "CallSid=CA1"),
    ];
    let json = |what: &str, body: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ];
        case(
            what,
            request("POST", "/api/twilio/events", &headers, body.as_bytes()),
            FORBIDDEN.0,
            FORBIDDEN.1,
        )
    };
    cases.push(json("events of 10,000 levels", &deep(10_000)));
    cases.push(json(
        "events of our account",
        &json!([{ "data": { "account_sid": MASTER } }]).to_string(),
    ));
    let header = twilio::sign(MASTER_TOKEN, "https://hooks.test/api/twilio/status", &[]);
    let twice = [
        FORM,
        ("x-twilio-signature", "none"),
        ("x-twilio-signature", header.as_str()),
    ];
    cases.push(case(
        "two signatures",
        request("POST", status, &twice, own.as_bytes()),
        FORBIDDEN.0,
        FORBIDDEN.1,
    ));
    cases
}

/// Messages without the token of the callback URL, and absurd ones with it.
pub fn voipms() -> Vec<Case> {
    let path = "/api/phone/webhooks/voipms/sms";
    let message = "from=4155550199&to=4155550100&message=hi&id=7";
    let refused = |what: &str, target: String| {
        case(
            what,
            request("GET", &target, &[], b""),
            FORBIDDEN.0,
            FORBIDDEN.1,
        )
    };
    let unread = |what: &str, body: &str| {
        let request = request(
            "POST",
            &format!("{path}/{VOIPMS_TOKEN}"),
            &[],
            body.as_bytes(),
        );
        case(
            format!("a message that is {what}"),
            request,
            400,
            "from and to are missing",
        )
    };
    vec![
        refused("no token", format!("{path}?{message}")),
        refused("an empty token", format!("{path}?token=&{message}")),
        refused(
            "the start of a token",
            format!("{path}/{}?{message}", &VOIPMS_TOKEN[..20]),
        ),
        refused(
            "a token and more",
            format!("{path}/{VOIPMS_TOKEN}x?{message}"),
        ),
        refused(
            "a token and a NUL",
            format!("{path}/{VOIPMS_TOKEN}%00?{message}"),
        ),
        refused(
            "a token of invalid UTF-8",
            format!("{path}/%ff%fe?{message}"),
        ),
        refused(
            "a wrong token before the right one",
            format!("{path}?token=x&token={VOIPMS_TOKEN}&{message}"),
        ),
        refused(
            "a wrong token in the path",
            format!("{path}/x?token={VOIPMS_TOKEN}&{message}"),
        ),
        unread("empty", ""),
        unread("of 10,000 levels", &deep(10_000)),
        unread("a list", "[1, 2]"),
        unread("without a recipient", r#"{"from": "4155550199"}"#),
        unread("from nobody", r#"{"from": "", "to": "4155550100"}"#),
        unread(
            "half of a JSON text",
            r#"{"from": "4155550199", "to": "4155"#,
        ),
    ]
}
