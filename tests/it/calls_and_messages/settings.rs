//! What a user wants to become of calls and messages becomes of them.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::config::Config;

use super::{house_of, used};
use crate::support::{
    api::{Answer, Api, token},
    house::House,
    phone::{CALLER, Phone, sid},
    web::Web,
};

pub const SETTINGS: &str = "/api/phone/settings";
pub const COLLEAGUE: &str = "+14155550177";
/// What a caller hears where nobody wants anything else, to the last byte.
const AS_EVER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say voice=\"alice\" language=\"en-US\">Hello!\
     </Say><Record action=\"https://hooks.test/api/twilio/recording\" method=\"POST\" maxLength=\"3600\" timeout=\"10\" \
     transcribe=\"false\" recordingStatusCallback=\"https://hooks.test/api/twilio/recording-status#rc=5&amp;rp=all\" \
     recordingStatusCallbackMethod=\"POST\"/><Hangup/></Response>";

/// Ann with her phone, and the API she sets it by.
pub struct Desk {
    pub house: House,
    pub web: Web,
    pub phone: Phone,
    pub api: Api,
}

impl Desk {
    pub async fn of_ann() -> Desk {
        Desk::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Desk {
        let (house, web, phone) = house_of(change).await;
        let api = house.api(Duration::from_secs(8));
        Desk {
            house,
            web,
            phone,
            api,
        }
    }

    pub async fn put(&self, target: &str, settings: Value) -> Answer {
        let ann = token("ann");
        let call = self
            .api
            .call(Method::PUT, target, &ann, Some(settings), &[]);
        call.await
    }

    /// What a caller of Ann's hears.
    pub async fn ring(&self, nth: usize) -> String {
        ring(&self.web, &self.phone, nth, &self.phone.number, CALLER).await
    }
}

async fn ring(web: &Web, phone: &Phone, nth: usize, to: &str, from: &str) -> String {
    let call = sid("CA", nth);
    let params = [
        ("CallSid", call.as_str()),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", from),
        ("To", to),
    ];
    let answer = phone.tell(web, "/api/twilio/voice", &params).await;
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn without_settings_and_with_unreadable_ones_a_call_is_answered_as_ever() {
    let desk = Desk::of_ann().await;
    assert_eq!(desk.ring(0).await, AS_EVER);
    for garbage in [
        "[]",
        "7",
        r#"{"recording": "perhaps"}"#,
        r#"{"forwarding": {"enabled": true, "number": "911"}}"#,
    ] {
        sqlx::query(
            "insert into phone_system_config (account_id, phone_number, config, updated_at)
             values ('ann', '', $1::text::jsonb, now()) on conflict (account_id, phone_number) do update set config = excluded.config",
        )
        .bind(garbage)
        .execute(&desk.house.service.db)
        .await
        .unwrap();

        assert_eq!(desk.ring(1).await, AS_EVER, "{garbage}");
        let said = desk
            .phone
            .message(&desk.web, &sid("SM", 1), CALLER, "hi")
            .await;
        assert!(said.contains("<Message>Thank you.</Message>"), "{said}");
    }
    let shown = desk.api.get(SETTINGS, &token("ann")).await.body;
    assert_eq!(shown["data"]["own"], json!({}));
}

#[tokio::test]
async fn a_numbers_settings_win_over_its_users_and_their_words_stay_words() {
    let desk = Desk::of_ann().await;
    let ann = token("ann");
    let script = r#"</Say><Dial>+19005550199</Dial> & "more""#;
    let of_user = json!({
        "greeting": script,
        "autoResponse": {"enabled": true, "text": "<Redirect>http://evil.test</Redirect>"},
    });
    let stored = desk.put(SETTINGS, of_user.clone()).await;
    assert_eq!(stored.status, 200, "{}", stored.text);
    let escaped =
        "&lt;/Say&gt;&lt;Dial&gt;+19005550199&lt;/Dial&gt; &amp; &quot;more&quot;</Say><Record";
    let heard = desk.ring(0).await;
    assert!(heard.contains(escaped), "{heard}");
    let said = desk
        .phone
        .message(&desk.web, &sid("SM", 0), CALLER, "hi")
        .await;
    assert!(
        said.contains("<Message>&lt;Redirect&gt;http://evil.test&lt;/Redirect&gt;</Message>"),
        "{said}"
    );

    // As old clients write a number: with a plus that nobody encoded.
    let of_number = format!("{SETTINGS}?phoneNumber={}", desk.phone.number);
    let voicemail = json!({"voicemail": {"enabled": true, "text": "Speak."}, "autoResponse": {"enabled": false}});
    for _ in 0..2 {
        let stored = desk.put(&of_number, voicemail.clone()).await;
        assert_eq!(stored.body["data"]["own"], voicemail, "{}", stored.text);
        assert_eq!(stored.body["data"]["effective"]["greeting"], script);
    }
    let heard = desk.ring(1).await;
    assert!(
        heard.contains(">Speak.</Say><Record ") && heard.contains("maxLength=\"120\""),
        "{heard}"
    );
    let said = desk
        .phone
        .message(&desk.web, &sid("SM", 1), CALLER, "hi")
        .await;
    assert!(!said.contains("<Message>"), "{said}");

    desk.put(&of_number, json!({"greeting": "Its own."})).await;
    assert!(desk.ring(5).await.contains(">Its own.</Say>"));

    let shown = desk.api.get(&of_number, &ann).await;
    let tag = shown.headers["etag"].to_str().unwrap().to_owned();
    let known = [("if-none-match", tag.as_str())];
    let again = desk
        .api
        .call(Method::GET, &of_number, &ann, None, &known)
        .await;
    assert_eq!(again.status, 304);
    let gone = desk
        .api
        .call(Method::DELETE, &of_number, &ann, None, &[])
        .await;
    assert_eq!(gone.body["data"]["own"], json!({}), "{}", gone.text);
    assert!(desk.ring(2).await.contains(escaped));
    desk.put(SETTINGS, json!({"rejectCalls": true})).await;
    assert!(
        desk.ring(3)
            .await
            .ends_with("<Response><Reject/></Response>")
    );
    desk.put(SETTINGS, json!({"recording": false, "greeting": "Ahoy."}))
        .await;
    assert!(
        desk.ring(4)
            .await
            .ends_with(">Ahoy.</Say><Hangup/></Response>")
    );
}

#[tokio::test]
async fn a_forwarded_call_is_metered_on_both_legs_and_comes_to_voicemail_when_nobody_takes_it() {
    let desk = Desk::of_ann().await;
    let forwarding = json!({"enabled": true, "number": "(415) 555-0177", "timeout": 20});
    let stored = desk
        .put(
            SETTINGS,
            json!({"forwarding": forwarding, "voicemail": {"enabled": true}}),
        )
        .await;
    assert_eq!(
        stored.body["data"]["own"]["forwarding"]["number"], COLLEAGUE,
        "{}",
        stored.text
    );

    let heard = desk.ring(0).await;
    assert!(
        heard.contains(&format!(">{COLLEAGUE}</Number></Dial></Response>")),
        "{heard}"
    );
    let urls: Vec<&str> = heard
        .split('"')
        .filter_map(|part| part.strip_prefix("https://hooks.test"))
        .map(|url| url.split('#').next().unwrap())
        .collect();
    let [action, of_leg] = urls[..] else {
        panic!("{heard}");
    };

    let (parent, child) = (sid("CA", 0), sid("CA", 100));
    let leg = [
        ("CallSid", child.as_str()),
        ("ParentCallSid", &parent),
        ("CallStatus", "completed"),
        ("CallDuration", "61"),
        ("Direction", "outbound-dial"),
        ("CallbackSource", "call-progress-events"),
        ("From", CALLER),
        ("To", COLLEAGUE),
    ];
    for _ in 0..2 {
        assert_eq!(desk.phone.tell(&desk.web, of_leg, &leg).await.status(), 200);
        desk.phone
            .call(&desk.web, &parent, "completed", Some("125"))
            .await;
    }
    desk.house.settle().await;
    assert_eq!(used(&desk.house.service, "voice_minutes").await, 2 + 3);
    let of_parent: String = desk
        .house
        .service
        .value("select call_ref from calls where parent_ref is not null and parent_ref like 'CA%0' and direction = 'outbound'")
        .await;
    assert_eq!(of_parent, child);

    let mut heard = Vec::new();
    for (nth, outcome) in ["completed", "no-answer", "busy"].iter().enumerate() {
        let call = sid("CA", 10 + nth);
        let ended = [
            ("CallSid", call.as_str()),
            ("CallStatus", "in-progress"),
            ("DialCallSid", &child),
            ("DialCallStatus", outcome),
            ("From", CALLER),
            ("To", &desk.phone.number),
        ];
        let answer = desk.phone.tell(&desk.web, action, &ended).await;
        heard.push(answer.text().await.unwrap().contains("<Record "));
    }
    assert_eq!(heard, [false, true, true]);
}

#[tokio::test]
async fn a_call_is_never_forwarded_to_whom_it_would_come_back_from() {
    let desk = Desk::of_ann().await;
    desk.house.sign_up("ben");
    desk.house.take_in_all().await;
    let ben = Phone::of(&desk.house.sandbox, "ben");
    for (number, code) in [
        (desk.phone.number.as_str(), "FORWARDING_LOOP"),
        ("+4930123456", "COUNTRY_NOT_ALLOWED"),
        ("911", "INVALID_FORWARDING_NUMBER"),
    ] {
        let refused = desk
            .put(
                SETTINGS,
                json!({"forwarding": {"enabled": true, "number": number}}),
            )
            .await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.body["error"]["code"], code);
        assert!(!refused.text.contains(number), "{}", refused.text);
    }
    let elsewhere = desk
        .put(&format!("{SETTINGS}?phoneNumber={}", ben.number), json!({}))
        .await;
    assert_eq!(
        (elsewhere.status.as_u16(), &elsewhere.body["error"]["code"]),
        (404, &json!("NUMBER_NOT_FOUND"))
    );

    // Both of them answer here: they could send a call to and fro for ever.
    let to_ben = json!({"forwarding": {"enabled": true, "number": ben.number}});
    assert_eq!(desk.put(SETTINGS, to_ben).await.status, 200);
    let heard = desk.ring(0).await;
    assert!(
        heard.contains("could not be completed") && !heard.contains("<Dial"),
        "{heard}"
    );
    let to_colleague = json!({"forwarding": {"enabled": true, "number": COLLEAGUE}});
    desk.put(SETTINGS, to_colleague).await;
    let heard = ring(&desk.web, &desk.phone, 1, &desk.phone.number, COLLEAGUE).await;
    assert!(!heard.contains("<Dial"), "{heard}");
    assert!(desk.ring(2).await.contains("<Dial"));
}

#[tokio::test]
async fn the_settings_of_one_user_never_answer_anothers_call() {
    let desk = Desk::of_ann().await;
    desk.house.sign_up("ben");
    desk.house.take_in_all().await;
    let ben = Phone::of(&desk.house.sandbox, "ben");
    desk.put(SETTINGS, json!({"greeting": "This is Ann."}))
        .await;
    let of_number = format!("{SETTINGS}?phoneNumber={}", desk.phone.number);
    desk.put(&of_number, json!({"greeting": "Ann's number."}))
        .await;

    assert_eq!(ring(&desk.web, &ben, 0, &ben.number, CALLER).await, AS_EVER);
    // Ben's subaccount says that Ann's number was called.
    assert_eq!(
        ring(&desk.web, &ben, 1, &desk.phone.number, CALLER).await,
        AS_EVER
    );
    // A number under the master account is whose it is, and the user named by the path must agree.
    let asked = async |nth: usize, path: &str, to: &str| {
        let call = sid("CA", nth);
        let params = [
            ("AccountSid", "AC00000000000000000000000000000001"),
            ("CallSid", &call),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("From", CALLER),
            ("To", to),
        ];
        let answer = desk
            .web
            .twilio(path, &params, "00000000000000000000000000000002")
            .await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let anns = &desk.phone.number;
    let (status, heard) = asked(2, "/voice/inbound", anns).await;
    assert!(status == 200 && heard.contains("Ann's number."), "{heard}");
    let (status, heard) = asked(3, "/voice/ben", anns).await;
    assert!(status == 404 && heard.contains("<Reject/>"), "{heard}");
    // Of a number that nobody has, the path alone says whose call it is, and whose minutes.
    let (status, heard) = asked(4, "/voice/ann", "+15005550008").await;
    assert!(status == 200 && heard.contains("This is Ann."), "{heard}");
    let kept = desk.api.get(SETTINGS, &token("ben")).await.body;
    assert_eq!(kept["data"]["own"], json!({}));
}

#[tokio::test]
async fn of_settings_put_at_once_one_stands_whole() {
    let desk = Desk::of_ann().await;
    let documents: Vec<Value> = (0..8)
        .map(|nth| json!({"greeting": format!("greeting {nth}"), "voicemail": {"enabled": false, "text": format!("text {nth}")}}))
        .collect();
    let answers = join_all(
        documents
            .iter()
            .map(|document| desk.put(SETTINGS, document.clone())),
    )
    .await;
    for (answer, document) in answers.iter().zip(&documents) {
        assert_eq!(&answer.body["data"]["own"], document, "{}", answer.text);
    }
    let stands = desk.api.get(SETTINGS, &token("ann")).await.body["data"]["own"].clone();
    assert!(documents.contains(&stands), "{stands}");
}
