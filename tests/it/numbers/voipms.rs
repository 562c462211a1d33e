//! Numbers at VoIP.ms: ordered once though no order there takes a key, and given back for good.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::{
    config::Config,
    sandbox::{Fault, Provider, Rule, When, stripe::Status},
};

use super::{Answer, Desk, PROVISION, RELEASE};
use crate::support::{
    api::{JWT_SECRET, signed},
    house::{House, PRICE},
    web::VOIPMS_TOKEN,
};

const SEARCH: &str = "/api/phone/phone-numbers/search";

/// Longer than a request may be on its way, which is ten minutes, and than what waits for that takes to look again.
const OVER: TimeDelta = TimeDelta::minutes(25);
/// After the next try, and before the request is given up.
const LATE: Fault = Fault::LateExecution {
    delay: Duration::from_secs(300),
};

impl Desk {
    /// Whose messages at VoIP.ms are told to us.
    async fn told() -> Desk {
        Desk::with(PRICE, |config| {
            config.voipms.callback_tokens = vec![VOIPMS_TOKEN.into()];
            config.telephony.quiet_time = Duration::from_secs(600);
        })
        .await
    }

    /// What lets a user in at this hour.
    fn token(&self, user: &str) -> String {
        let expires_at = self.house.sandbox.now() + TimeDelta::hours(1);
        let claims = json!({ "userId": user, "exp": expires_at.timestamp() });
        signed(&claims, JWT_SECRET)
    }

    /// So many numbers on sale at VoIP.ms.
    pub(super) async fn dids(&self, count: usize) -> Vec<String> {
        let wanted = json!({ "provider": "voipms", "areaCode": "628" });
        let found = self.post("ann", SEARCH, wanted).await;
        let found = found.body["data"].as_array().unwrap().iter();
        let numbers = found.map(|one| one["phoneNumber"].as_str().unwrap().to_owned());
        numbers.take(count).collect()
    }

    pub(super) async fn order_did(&self, user: &str, number: &str) -> Answer {
        let body = json!({ "provider": "voipms", "phoneNumber": number });
        self.post(user, PROVISION, body).await
    }

    async fn give_back(&self, user: &str, number: &str) -> Answer {
        let path = format!("/api/phone/release?phone_number={number}");
        self.ask(user, Method::DELETE, &path, None, "").await
    }
}

impl House {
    /// One request to that method goes wrong.
    fn strike_voipms(&self, method: &str, fault: Fault) {
        let first = When::First(1);
        let rule = Rule::on(Provider::Voipms, "POST", method, first, fault);
        self.sandbox.add_rules(vec![rule]);
    }

    /// What was paid for at VoIP.ms, and what is held there, as ten digits.
    fn at_voipms(&self) -> (Vec<String>, Vec<String>) {
        let bought = self.sandbox.dids_ever_bought().into_iter();
        let held = self.sandbox.dids().into_iter();
        (
            bought.map(|one| one.did).collect(),
            held.map(|one| one.did).collect(),
        )
    }
}

fn digits(number: &str) -> String {
    number.trim_start_matches("+1").to_owned()
}

#[tokio::test]
async fn a_lost_answer_orders_no_second_number_at_voipms() {
    let desk = Desk::told().await;
    let api = desk.house.api(Duration::ZERO);
    let faults = [
        ("/orderDID", Fault::ErrorAfter { status: 500 }),
        ("/orderDID", Fault::CutBeforeEffect),
        ("/orderDID", LATE),
        (
            "/orderDID",
            Fault::TooManyRequests {
                retry_after_seconds: None,
            },
        ),
        // Whether it was ordered, this word does not say.
        (
            "/orderDID",
            Fault::Refuse {
                status: 200,
                code: "order_failed".into(),
            },
        ),
        ("/setSMS", Fault::CutAfterEffect),
    ];
    let wanted = desk.dids(faults.len()).await;

    for (number, (method, fault)) in wanted.iter().zip(&faults) {
        desk.house.strike_voipms(method, fault.clone());
        let body = json!({ "provider": "voipms", "phoneNumber": number });
        let asked = api.post(PROVISION, &desk.token("ann"), body.clone()).await;
        assert_eq!(asked.status.as_u16(), 202, "{fault:?}: {}", asked.text);
        desk.house.settle().await;
        desk.house.pass(OVER).await;
        desk.house.sandbox.clear_rules();
        let again = api.post(PROVISION, &desk.token("ann"), body).await;
        assert_eq!(again.status.as_u16(), 200, "{fault:?}: {}", again.text);
    }

    let expected: Vec<String> = wanted.iter().map(|number| digits(number)).collect();
    assert_eq!(desk.house.at_voipms(), (expected.clone(), expected));
    let url = format!("https://hooks.test/webhooks/voipms/sms/{VOIPMS_TOKEN}?id={{ID}}&");
    for did in desk.house.sandbox.dids() {
        assert!(did.note.starts_with("ord:") && did.is_on, "{did:?}");
        assert!(did.callback.unwrap().starts_with(&url));
    }
    desk.house.sweep().await;
    assert_eq!(desk.house.findings().await, Vec::<String>::new());
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    desk.close().await;
}

#[tokio::test]
async fn one_number_at_voipms_is_one_order_and_nobody_elses() {
    let desk = Desk::told().await;
    desk.subscribe("ben", PRICE).await;
    let wanted = desk.dids(4).await;

    let orders = join_all((0..4).map(|_| desk.order_did("ann", &wanted[0]))).await;
    let bens = desk.order_did("ben", &wanted[0]).await;
    // Another customer of VoIP.ms has the second; the third was bought by hand.
    desk.house.sandbox.sell_did(&wanted[1]);
    desk.house.sandbox.own_did(&wanted[2], None);
    let sold = desk.order_did("ann", &wanted[1]).await;
    let by_hand = desk.order_did("ann", &wanted[2]).await;

    for order in &orders {
        assert_eq!(order.status, 200, "{}", order.body);
        assert_eq!(order.body["data"], orders[0].body["data"]);
    }
    let ours = &orders[0].body["data"];
    assert_eq!(ours["provider"], "voipms");
    assert_eq!(ours["provider_sid"], *digits(&wanted[0]));
    assert_eq!(
        ours["capabilities"],
        json!({ "voice": false, "SMS": true, "MMS": false })
    );
    for taken in [&bens, &sold, &by_hand] {
        assert_eq!(taken.status, 409, "{}", taken.body);
        assert_eq!(taken.body["error"]["code"], "NUMBER_NOT_AVAILABLE");
    }
    assert_eq!(desk.give_back("ben", &wanted[0]).await.status, 404);
    assert_eq!(desk.house.at_voipms().0, [digits(&wanted[0])]);
    // Two who want the same at the same time: neither order could be told from the other there.
    let by = Duration::from_millis(300);
    desk.house.strike_voipms("/orderDID", Fault::Latency { by });
    let (anns, bens) = tokio::join!(
        desk.order_did("ann", &wanted[3]),
        desk.order_did("ben", &wanted[3])
    );
    let mut both = [anns.status, bens.status];
    both.sort_unstable();
    assert_eq!(both, [200, 409], "{} {}", anns.body, bens.body);
    assert_eq!(desk.house.at_voipms().0.len(), 2);
    // A key stands for an order at one provider.
    let order = async |provider: &str| {
        let body = json!({ "areaCode": "628", "provider": provider });
        let post = Method::POST;
        desk.ask("ann", post, PROVISION, Some(body), "once").await
    };
    let any = order("voipms").await;
    assert_eq!(any.status, 200, "{}", any.body);
    assert_eq!(any.body["data"]["provider"], "voipms");
    assert_eq!(order("twilio").await.status, 422);
    assert_eq!(desk.house.at_voipms().0.len(), 3);
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    desk.close().await;
}

#[tokio::test]
async fn a_number_given_back_to_voipms_is_gone_and_can_be_ordered_anew() {
    let desk = Desk::told().await;
    let number = desk.dids(1).await.remove(0);
    assert_eq!(desk.order_did("ann", &number).await.status, 200);
    let api = desk.house.api(Duration::ZERO);

    for fault in [Fault::CutAfterEffect, LATE] {
        desk.house.strike_voipms("/cancelDID", fault.clone());
        let body = json!({ "phoneSid": digits(&number) });
        let released = api.post(RELEASE, &desk.token("ann"), body.clone()).await;
        assert_eq!(released.status.as_u16(), 202, "{}", released.text);
        desk.house.settle().await;
        if fault == LATE {
            // It may still be given back: whoever ordered it now would lose it.
            let too_soon = desk.order_did("ann", &number).await;
            assert_eq!(too_soon.status, 409, "{}", too_soon.body);
            let code = &too_soon.body["error"]["code"];
            assert_eq!(code, "NUMBER_ON_ITS_WAY_BACK");
        }
        desk.house.pass(OVER).await;
        desk.house.sandbox.clear_rules();
        let again = desk.post("ann", RELEASE, body).await;
        assert_eq!(again.status, 200, "{}", again.body);
        assert_eq!(desk.house.at_voipms().1, Vec::<String>::new());
        assert_eq!(desk.numbers("ann").await.len(), 1);

        // Its id there is the same as before: that of a number is its digits.
        let anew = desk.order_did("ann", &number).await;
        assert_eq!(anew.status, 200, "{}", anew.body);
        desk.house.pass(OVER).await;
        assert_eq!(desk.house.at_voipms().1, [digits(&number)]);
    }
    desk.house.sweep().await;
    assert_eq!(desk.house.findings().await, Vec::<String>::new());
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    assert_eq!(desk.house.sandbox.dids_ever_bought().len(), 3);
    desk.close().await;
}

#[tokio::test]
async fn who_leaves_keeps_a_number_at_voipms_for_the_grace_and_gives_it_back_after_it() {
    let desk = Desk::told().await;
    let number = desk.dids(1).await.remove(0);
    assert_eq!(desk.order_did("ann", &number).await.status, 200);
    let cancel = async || {
        let current = "select subscription_ref from subscriptions where account_id = 'ann' and status = 'active'";
        let current: String = desk.house.service.value(current).await;
        desk.house.sandbox.set_status(&current, Status::Canceled);
        desk.house.take_in_all().await;
    };

    cancel().await;
    assert_eq!(desk.order_did("ann", &number).await.status, 200);
    assert_eq!(desk.give_back("ann", &number).await.status, 403);
    desk.house.pass(TimeDelta::days(6)).await;
    desk.subscribe("ann", PRICE).await;
    desk.house.pass(TimeDelta::days(2)).await;
    assert_eq!(desk.house.at_voipms().1, [digits(&number)]);

    cancel().await;
    desk.house.pass(TimeDelta::days(8)).await;
    assert_eq!(desk.house.at_voipms().1, Vec::<String>::new());
    assert_eq!(desk.house.standing("ann").await, "released");
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    desk.close().await;
}

#[tokio::test]
async fn what_is_at_voipms_without_our_mark_is_told_to_a_person_and_left_alone() {
    let desk = Desk::told().await;
    let wanted = desk.dids(2).await;
    desk.house.sandbox.own_did(&wanted[0], None);
    assert_eq!(desk.order_did("ann", &wanted[1]).await.status, 200);
    let voipms = desk.house.service.ctx.voipms.clone().unwrap();

    desk.house.sweep().await;
    assert_eq!(desk.house.findings().await, ["unknown_did"]);
    assert_eq!(desk.numbers("ann").await.len(), 2);
    // Somebody tidies up there, and too much.
    for number in &wanted {
        voipms.cancel_did(number).await.unwrap();
    }
    desk.house.sweep().await;
    assert_eq!(desk.house.findings().await, ["did_missing"]);
    // An outage there is no reason to take anything back, nor to look at nothing else.
    let outage = Fault::ErrorBefore { status: 503 };
    let rule = Rule::on(
        Provider::Voipms,
        "POST",
        "/getDIDsInfo",
        When::First(1),
        outage,
    );
    desk.house.sandbox.add_rules(vec![rule]);
    desk.house.sweep().await;
    assert_eq!(desk.house.findings().await, ["did_missing"]);
    assert_eq!(desk.house.sandbox.dids_ever_bought().len(), 1);
    desk.close().await;
}

#[tokio::test]
async fn what_voipms_has_on_sale_is_shown_as_twilios_is() {
    let desk = Desk::told().await;
    let search = async |wanted: Value| desk.post("ann", SEARCH, wanted).await;

    let found = search(json!({ "provider": "voipms", "areaCode": "628" })).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let found = found.body["data"].as_array().unwrap().clone();
    assert_eq!(found.len(), 20);
    assert!(
        found[0]["phoneNumber"]
            .as_str()
            .unwrap()
            .starts_with("+1628")
    );
    assert_eq!(found[0]["capabilities"]["SMS"], true);
    assert_eq!(found[0]["locality"], "SAN FRANCISCO");
    let pattern = json!({ "provider": "VoIPms", "areaCode": "628", "pattern": "628*5" });
    let fitting = search(pattern).await.body["data"].clone();
    for one in fitting.as_array().unwrap() {
        let number = one["phoneNumber"].as_str().unwrap();
        assert_eq!(&number[6..7], "5", "{number}");
    }
    for wanted in [
        json!({ "provider": "voipms", "areaCode": "212" }),
        json!({ "provider": "voipms", "areaCode": "416" }),
        json!({ "provider": "voipms", "areaCode": "628", "numberType": "tollfree" }),
    ] {
        let none = search(wanted).await;
        assert_eq!((none.status, &none.body["data"]), (200, &json!([])));
    }
    for (wanted, code) in [
        (json!({ "provider": "att" }), "INVALID_PROVIDER"),
        (json!({ "provider": "voipms" }), "AREA_CODE_REQUIRED"),
    ] {
        let refused = search(wanted).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert_eq!(refused.body["error"]["code"], code);
    }
    let outage = Fault::ErrorBefore { status: 503 };
    desk.house.strike_voipms("/searchDIDsUSA", outage);
    let out = search(json!({ "provider": "voipms", "areaCode": "628" })).await;
    assert_eq!(out.status, 503, "{}", out.body);
    desk.close().await;
}

#[tokio::test]
async fn where_voipms_is_not_configured_the_setting_is_named() {
    let without = |change: fn(&mut Config)| Desk::with(PRICE, change);
    let no_account = without(|config| config.voipms.api = None).await;
    let no_pop = without(|config| config.voipms.api.as_mut().unwrap().pop = None).await;
    let anywhere = json!({ "provider": "voipms", "areaCode": "628" });
    for (desk, path, setting) in [
        (&no_account, SEARCH, "VOIPMS_USERNAME"),
        (&no_account, PROVISION, "VOIPMS_USERNAME"),
        (&no_pop, PROVISION, "VOIPMS_POP"),
    ] {
        let body = Some(anywhere.clone());
        let refused = desk.ask("ann", Method::POST, path, body, "once").await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert_eq!(refused.body["error"]["code"], "VOIPMS_NOT_CONFIGURED");
        let said = refused.body["message"].as_str().unwrap();
        assert!(said.contains(setting), "{said}");
    }
    no_account.close().await;
    no_pop.close().await;
}
