//! What happened at Twilio without us: numbers bought there, subaccounts taken away.

use serde_json::json;
use tollkeeper::clients::twilio::Urls;
use tollkeeper_jobs::ProvisionSubaccount;

use super::{Desk, RELEASE};

#[tokio::test]
async fn a_number_bought_elsewhere_for_an_account_becomes_its_own_once() {
    let desk = Desk::of_ann().await;
    let number = desk.on_sale("628", 1).await.remove(0);
    let twilio = &desk.house.service.ctx.twilio;
    let urls = Urls::of_account("https://elsewhere.test", "ann");
    let own = desk.subaccount();
    let bought = twilio.buy_number(&own, &number, "by hand", &urls);
    let sid = bought.await.unwrap().sid;

    desk.house.sweep().await;
    desk.house.sweep().await;

    let listed = desk.numbers("ann").await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["is_primary"], true);
    assert_eq!(listed[1]["phone_number"], *number);
    assert_eq!(listed[1]["friendly_name"], "by hand");
    assert_eq!(desk.house.findings().await, Vec::<String>::new());
    // What is told of it comes to us now.
    let there = twilio.number(&own, &sid).await.unwrap().unwrap();
    assert!(there.voice_url.unwrap().starts_with("https://hooks.test/"));
    // It is hers, and so hers to give back.
    let released = desk.post("ann", RELEASE, json!({ "phoneSid": sid })).await;
    assert_eq!(released.status, 200, "{}", released.body);
    desk.house.sweep().await;
    assert_eq!(desk.numbers("ann").await.len(), 1);
    assert_eq!(desk.held(), (1, 2));
    desk.close().await;
}

#[tokio::test]
async fn a_subaccount_that_others_suspended_is_told_and_used_again_when_it_works() {
    let desk = Desk::of_ann().await;
    let wanted = desk.on_sale("628", 1).await.remove(0);
    let twilio = &desk.house.service.ctx.twilio;
    let own = desk.subaccount();
    let set = async |status: &str| {
        twilio.set_account_status(&own, status).await.unwrap();
        desk.house.sweep().await;
    };

    set("suspended").await;
    desk.house.sweep().await;

    assert_eq!(desk.house.findings().await, ["subaccount_differs"]);
    assert_eq!(desk.buy("ann", &wanted).await.status, 403);
    // It is not lifted behind their back, whoever asks for the next step.
    let account_id = "ann".to_owned();
    let provision = ProvisionSubaccount { account_id };
    desk.house.service.enqueue(&provision).await;
    desk.house.settle().await;
    let there = twilio.account(&own).await.unwrap().unwrap();
    assert_eq!(there.status, "suspended");

    set("active").await;
    assert_eq!(desk.house.findings().await, Vec::<String>::new());
    assert_eq!(desk.buy("ann", &wanted).await.status, 200);

    set("closed").await;
    assert!(
        desk.house
            .findings()
            .await
            .contains(&"subaccount_differs".to_owned())
    );
    let status = "select status from twilio_subaccounts";
    assert_eq!(desk.house.service.value::<String>(status).await, "closed");
    // Its numbers are gone, and given back they cost nothing more.
    for number in desk.numbers("ann").await {
        let number = json!({ "phoneSid": number["phone_sid"] });
        let released = desk.post("ann", RELEASE, number).await;
        assert!([200, 202].contains(&released.status), "{}", released.body);
    }
    desk.house.settle().await;
    let held = "select count(*) from phone_numbers where released_at is null";
    assert_eq!(desk.house.service.value::<i64>(held).await, 0);
    assert_eq!(desk.house.dead().await, Vec::<String>::new());
    desk.house.worker.stop().await;
}
