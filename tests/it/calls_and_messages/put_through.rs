//! The other leg of a call that is put through is paid for, and ends where the day's money ends.

use chrono::TimeDelta;
use serde_json::json;

use super::settings::{COLLEAGUE, Desk, SETTINGS};
use crate::support::{
    api::token,
    phone::{CALLER, sid},
};

impl Desk {
    /// What is told of the other leg of that call.
    async fn leg(&self, nth: usize, status: &str, seconds: Option<&str>) {
        let (parent, child) = (sid("CA", nth), sid("CA", 100 + nth));
        let mut params = vec![
            ("CallSid", child.as_str()),
            ("ParentCallSid", &parent),
            ("CallStatus", status),
            ("Direction", "outbound-dial"),
            ("CallbackSource", "call-progress-events"),
            ("From", CALLER),
            ("To", COLLEAGUE),
        ];
        params.extend(seconds.map(|seconds| ("CallDuration", seconds)));
        let told = self
            .phone
            .tell(&self.web, "/api/twilio/status/ann", &params)
            .await;
        assert_eq!(told.status(), 200);
        self.house.settle().await;
    }
}

#[tokio::test]
async fn a_call_is_put_through_while_there_is_money_and_for_as_long_as_there_is() {
    // Five minutes.
    let desk =
        Desk::with(|config| config.telephony.outbound.spend_per_day_micros = Some(72_000)).await;
    let settings = json!({
        "forwarding": {"enabled": true, "number": COLLEAGUE},
        "voicemail": {"enabled": true, "text": "Speak."},
    });
    assert_eq!(desk.put(SETTINGS, settings).await.status, 200);
    let is_voicemail =
        |heard: &str| heard.contains(">Speak.</Say><Record ") && !heard.contains("<Dial");

    let heard = desk.ring(0).await;
    assert!(heard.contains(" timeLimit=\"300\">"), "{heard}");
    desk.leg(0, "completed", Some("61")).await;
    let heard = desk.ring(1).await;
    assert!(heard.contains(" timeLimit=\"180\">"), "{heard}");
    desk.leg(1, "busy", None).await;
    assert!(desk.ring(2).await.contains(" timeLimit=\"180\">"));
    // It goes on, and costs by the minute.
    desk.leg(2, "in-progress", None).await;
    assert!(desk.ring(3).await.contains(" timeLimit=\"120\">"));
    desk.house.sandbox.advance(TimeDelta::seconds(121));
    let heard = desk.ring(4).await;
    assert!(is_voicemail(&heard), "{heard}");
    // Nor is there any left for a reply, nor for a call that an app asks for.
    let message = sid("SM", 1);
    let said = desk.phone.message(&desk.web, &message, CALLER, "hello");
    assert!(!said.await.contains("<Message>"));
    let ask = json!({ "to": CALLER, "message": "Hello" });
    let asked = desk
        .api
        .post("/api/twilio/make-call", &token("ann"), ask)
        .await;
    assert_eq!(
        (asked.status.as_u16(), &asked.body["code"]),
        (429, &json!("SPEND_CAP_REACHED"))
    );

    // What the provider says it costs counts more than its list.
    desk.leg(2, "completed", Some("150")).await;
    assert!(is_voicemail(&desk.ring(5).await));
    desk.house
        .service
        .execute("update calls set cost_micros = 1000 where parent_ref is not null and status = 'completed'")
        .await;
    assert!(desk.ring(6).await.contains(" timeLimit=\"300\">"));
    desk.house
        .service
        .execute(
            "update calls set cost_micros = 72000 where parent_ref is not null and seconds = 61",
        )
        .await;
    assert!(is_voicemail(&desk.ring(7).await));
    desk.house.sandbox.advance(TimeDelta::days(1));
    assert!(desk.ring(8).await.contains(" timeLimit=\"300\">"));
}

#[tokio::test]
async fn without_a_cap_a_call_lasts_as_long_as_the_provider_lets_it() {
    let desk = Desk::with(|config| config.telephony.outbound.spend_per_day_micros = None).await;
    let settings = json!({ "forwarding": {"enabled": true, "number": COLLEAGUE} });
    desk.put(SETTINGS, settings).await;
    let heard = desk.ring(0).await;
    assert!(
        heard.contains("<Dial ") && !heard.contains("timeLimit"),
        "{heard}"
    );
}
