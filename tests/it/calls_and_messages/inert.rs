//! What somebody writes, or calls themselves, stays a text: in TwiML, in JSON and in the views.

use std::collections::BTreeSet;

use serde_json::Value;

use super::settings::Desk;
use crate::support::{
    api::token,
    phone::{CALLER, sid},
};

const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "</Say><Dial>+19005550199</Dial><Say>",
    "</Message></Response><Response><Redirect>http://evil.test</Redirect>",
    "<![CDATA[<Hangup/>]]>",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>",
    "&lt;script&gt;&#60;script&#62;",
    "\"}],\"success\":false,\"x\":[{\"",
    "\\u003cscript\\u003e\\\"",
    "'; drop table messages; --",
    "=HYPERLINK(\"http://evil.test\")",
    "\u{2028}\u{2029}\u{202e}evil\u{200b}",
    "\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
];

#[tokio::test]
async fn script_in_messages_and_names_comes_out_as_the_text_it_is() {
    let desk = Desk::of_ann().await;
    let as_ever = desk.ring(999).await;
    for (nth, text) in HOSTILE.into_iter().enumerate() {
        let reply = desk
            .phone
            .message(&desk.web, &sid("SM", nth), CALLER, text)
            .await;
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Message>Thank you.</Message></Response>";
        // The first ones are answered; who writes so often may be a machine.
        let silence = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";
        assert!([expected, silence].contains(&&*reply), "{reply}");
        let call = sid("CA", nth);
        let params = [
            ("CallSid", call.as_str()),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("From", text),
            ("CallerName", text),
            ("CallerCity", text),
            ("To", &desk.phone.number),
        ];
        let heard = desk
            .phone
            .tell(&desk.web, "/api/twilio/voice", &params)
            .await;
        assert_eq!(heard.headers()["content-type"], "text/xml");
        assert_eq!(heard.text().await.unwrap(), as_ever, "{text}");
    }
    desk.house.settle().await;

    let written: BTreeSet<&str> = HOSTILE.into();
    for (path, list, field) in [
        ("/api/twilio/sms", "/messages", "body"),
        ("/api/twilio/calls", "/calls", "from_number"),
        ("/api/phone/sms/conversations", "/data/0/messages", "body"),
    ] {
        let answer = desk.api.get(path, &token("ann")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("application/json"), "{path}: {kind}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
        let rows = answer.body.pointer(list).and_then(Value::as_array).unwrap();
        let shown = rows.iter().filter_map(|row| row[field].as_str());
        let shown: BTreeSet<&str> = shown.filter(|text| *text != CALLER).collect();
        assert_eq!(shown, written, "{path}");
    }
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
}
