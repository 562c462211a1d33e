//! Twilio's subaccounts and numbers: what a purchase is, and what it is not.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::Value;
use tollkeeper::sandbox::{Fault, Provider, Rule, Settings, When, twilio::Stock};

use super::client::{TWILIO_SID, TWILIO_TOKEN, World};

async fn search(world: &World, account: &str, filter: &[(&str, &str)]) -> Vec<String> {
    let path = format!("/Accounts/{account}/AvailablePhoneNumbers/US/Local.json");
    let found = world.twilio(Method::GET, &path, filter).await;
    assert_eq!(found.status, 200);
    let numbers = found.body["available_phone_numbers"].as_array().unwrap();
    numbers
        .iter()
        .map(|row| row["phone_number"].as_str().unwrap().to_owned())
        .collect()
}

async fn buy(world: &World, account: &str, form: &[(&str, &str)]) -> super::client::Answer {
    let path = format!("/Accounts/{account}/IncomingPhoneNumbers.json");
    world.twilio(Method::POST, &path, form).await
}

fn scarce(numbers_per_area_code: u32) -> Settings {
    Settings {
        stock: Stock {
            numbers_per_area_code,
            ..Stock::with_seed(1)
        },
        ..Settings::default()
    }
}

#[tokio::test]
async fn an_exact_number_bought_twice_by_its_owner_is_one_purchase() {
    let world = World::start().await;
    let (account, _) = world.subaccount("acct:1").await;
    let number = &search(&world, &account, &[("AreaCode", "415")]).await[0];

    let first = buy(
        &world,
        &account,
        &[("PhoneNumber", number), ("FriendlyName", "ord:1")],
    )
    .await;
    let second = buy(
        &world,
        &account,
        &[("PhoneNumber", number), ("VoiceUrl", "https://x.test/v")],
    )
    .await;

    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.body["sid"], second.body["sid"]);
    assert_eq!(
        (&second.body["friendly_name"], &second.body["voice_url"]),
        (&"ord:1".into(), &"https://x.test/v".into())
    );
    assert_eq!(world.sandbox.purchases_of(&account).len(), 1);
}

#[tokio::test]
async fn a_number_of_another_account_is_not_available() {
    let world = World::start().await;
    let (mine, _) = world.subaccount("acct:1").await;
    let (yours, _) = world.subaccount("acct:2").await;
    let number = &search(&world, &mine, &[]).await[0];

    buy(&world, &mine, &[("PhoneNumber", number)]).await;
    let refused = buy(&world, &yours, &[("PhoneNumber", number)]).await;

    assert_eq!(
        (refused.status, &refused.body["code"]),
        (400, &21422.into())
    );
    let still_on_sale = search(&world, &yours, &[("PageSize", "1000")]).await;
    assert!(!still_on_sale.contains(number));
}

#[tokio::test]
async fn buying_by_area_code_twice_buys_two_numbers() {
    let world = World::start().await;
    let (account, _) = world.subaccount("acct:1").await;

    for _ in 0..2 {
        assert_eq!(
            buy(&world, &account, &[("AreaCode", "646")]).await.status,
            201
        );
    }

    let numbers: HashSet<String> = world
        .sandbox
        .numbers()
        .into_iter()
        .map(|row| row.phone_number)
        .collect();
    assert_eq!(numbers.len(), 2);
    assert!(numbers.iter().all(|number| number.starts_with("+1646")));
}

#[tokio::test]
async fn a_sold_out_area_code_has_an_empty_list_and_sells_nothing() {
    let world = World::start_with(scarce(1)).await;
    let (account, _) = world.subaccount("acct:1").await;

    assert!(
        search(&world, &account, &[("AreaCode", "212")])
            .await
            .is_empty()
    );
    assert_eq!(
        search(&world, &account, &[("AreaCode", "415")]).await.len(),
        1
    );
    assert_eq!(
        buy(&world, &account, &[("AreaCode", "415")]).await.status,
        201
    );
    assert!(
        search(&world, &account, &[("AreaCode", "415")])
            .await
            .is_empty()
    );
    let refused = buy(&world, &account, &[("AreaCode", "415")]).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (400, &21452.into())
    );
}

#[tokio::test]
async fn numbers_are_found_by_digits_by_number_and_by_friendly_name() {
    let world = World::start().await;
    let (account, _) = world.subaccount("acct:1").await;
    let path = format!("/Accounts/{account}/IncomingPhoneNumbers.json");

    let found = search(
        &world,
        &account,
        &[("AreaCode", "415"), ("Contains", "415*7")],
    )
    .await;
    assert!(!found.is_empty() && found.iter().all(|number| number.as_bytes()[6] == b'7'));
    buy(
        &world,
        &account,
        &[("PhoneNumber", &found[0]), ("FriendlyName", "ord:1")],
    )
    .await;
    buy(
        &world,
        &account,
        &[("PhoneNumber", &found[1]), ("FriendlyName", "ord:2")],
    )
    .await;

    for filter in [
        ("PhoneNumber", found[0].as_str()),
        ("FriendlyName", "ord:1"),
    ] {
        let list = world.twilio(Method::GET, &path, &[filter]).await;
        let rows = list.body["incoming_phone_numbers"].as_array().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["phone_number"], found[0].as_str());
        assert_eq!(rows[0]["capabilities"]["sms"], true);
    }
}

#[tokio::test]
async fn a_released_number_is_gone_and_releasing_it_again_is_404() {
    let world = World::start().await;
    let (account, _) = world.subaccount("acct:1").await;
    let bought = buy(&world, &account, &[("AreaCode", "415")]).await;
    let sid = bought.body["sid"].as_str().unwrap();
    let path = format!("/Accounts/{account}/IncomingPhoneNumbers/{sid}.json");

    let urls = [
        ("SmsUrl", "https://x.test/sms"),
        ("StatusCallback", "https://x.test/status"),
    ];
    let updated = world.twilio(Method::POST, &path, &urls).await;
    assert_eq!(
        (updated.status, &updated.body["sms_url"]),
        (200, &"https://x.test/sms".into())
    );
    assert_eq!(world.twilio(Method::DELETE, &path, &[]).await.status, 204);
    let again = world.twilio(Method::DELETE, &path, &[]).await;

    assert_eq!((again.status, &again.body["code"]), (404, &20404.into()));
    assert!(world.sandbox.numbers().is_empty());
    assert_eq!(world.sandbox.numbers_ever_bought().len(), 1);
}

#[tokio::test]
async fn a_suspended_account_buys_nothing_until_it_is_active_again() {
    let world = World::start().await;
    let (account, token) = world.subaccount("acct:1").await;
    let path = format!("/Accounts/{account}.json");

    world
        .twilio(Method::POST, &path, &[("Status", "suspended")])
        .await;
    let refused = buy(&world, &account, &[("AreaCode", "415")]).await;
    let own = world
        .try_twilio_as(&account, &token, Method::GET, &path, &[])
        .await
        .unwrap();
    let parents = world.twilio(Method::GET, &path, &[]).await;
    world
        .twilio(Method::POST, &path, &[("Status", "active")])
        .await;
    let bought = buy(&world, &account, &[("AreaCode", "415")]).await;

    assert_eq!(
        (refused.status, &refused.body["code"]),
        (403, &10001.into())
    );
    assert_eq!((own.status, &own.body["code"]), (403, &10001.into()));
    assert_eq!(parents.body["status"], "suspended");
    assert_eq!(bought.status, 201);
}

#[tokio::test]
async fn closing_an_account_is_for_ever_and_releases_its_numbers() {
    let world = World::start().await;
    let (account, _) = world.subaccount("acct:1").await;
    let path = format!("/Accounts/{account}.json");
    buy(&world, &account, &[("AreaCode", "415")]).await;

    let closed = world
        .twilio(Method::POST, &path, &[("Status", "closed")])
        .await;
    let reopened = world
        .twilio(Method::POST, &path, &[("Status", "active")])
        .await;

    assert_eq!(
        (closed.status, &closed.body["status"]),
        (200, &"closed".into())
    );
    assert_eq!(reopened.status, 403);
    assert!(world.sandbox.numbers().is_empty());
}

#[tokio::test]
async fn a_subaccount_sees_itself_only_and_cannot_set_its_status() {
    let world = World::start().await;
    let (account, token) = world.subaccount("acct:1").await;
    let (other, _) = world.subaccount("acct:2").await;
    let own = format!("/Accounts/{account}.json");
    let call = async |sid: &str, token: &str, method: Method, path: &str, form: &[(&str, &str)]| {
        world
            .try_twilio_as(sid, token, method, path, form)
            .await
            .unwrap()
    };

    let others = format!("/Accounts/{other}.json");
    assert_eq!(
        call(&account, &token, Method::GET, &own, &[]).await.status,
        200
    );
    assert_eq!(
        call(&account, &token, Method::GET, &others, &[])
            .await
            .status,
        401
    );
    assert_eq!(
        call(
            &account,
            &token,
            Method::POST,
            &own,
            &[("Status", "closed")]
        )
        .await
        .status,
        401
    );
    assert_eq!(
        call(&account, "wrong", Method::GET, &own, &[]).await.status,
        401
    );
    assert_eq!(
        call(TWILIO_SID, TWILIO_TOKEN, Method::GET, &others, &[])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_list_is_read_whole_by_following_its_pages() {
    let world = World::start().await;
    for n in 0..5 {
        world.subaccount(&format!("acct:{n}")).await;
    }

    let mut names = Vec::new();
    let mut next = Some("/2010-04-01/Accounts.json?PageSize=2".to_owned());
    while let Some(uri) = next {
        let path = uri.strip_prefix("/2010-04-01").unwrap();
        let page = world.twilio(Method::GET, path, &[]).await;
        let rows = page.body["accounts"].as_array().unwrap();
        names.extend(
            rows.iter()
                .map(|row| row["friendly_name"].as_str().unwrap().to_owned()),
        );
        next = page.body["next_page_uri"].as_str().map(str::to_owned);
    }

    assert_eq!(
        names,
        ["acct:4", "acct:3", "acct:2", "acct:1", "acct:0", "Sandbox"]
    );
    let named = world
        .twilio(Method::GET, "/Accounts.json", &[("FriendlyName", "acct:3")])
        .await;
    assert_eq!(named.body["accounts"].as_array().map(Vec::len), Some(1));
    assert_eq!(named.body["next_page_uri"], Value::Null);
}

#[tokio::test]
async fn there_is_a_limit_to_subaccounts() {
    let world = World::start_with(Settings {
        subaccounts_max: 1,
        ..Settings::default()
    })
    .await;
    world.subaccount("acct:1").await;

    let refused = world.twilio(Method::POST, "/Accounts.json", &[]).await;

    assert_eq!(
        (refused.status, &refused.body["code"]),
        (400, &21480.into())
    );
}

#[tokio::test]
async fn after_a_lost_answer_asking_by_area_code_buys_twice_and_by_the_exact_number_once() {
    for (by_exact_number, purchases) in [(false, 2), (true, 1)] {
        let world = World::start().await;
        let (account, _) = world.subaccount("acct:1").await;
        let number = search(&world, &account, &[]).await.remove(0);
        let form = match by_exact_number {
            true => [("PhoneNumber", number.as_str())],
            false => [("AreaCode", "415")],
        };
        let when = When::Nth(1);
        let fault = Fault::CutAfterEffect;
        let rule = Rule::on(
            Provider::Twilio,
            "POST",
            "IncomingPhoneNumbers",
            when,
            fault,
        );
        world.sandbox.add_rules(vec![rule]);
        let path = format!("/Accounts/{account}/IncomingPhoneNumbers.json");

        assert!(world.try_twilio(Method::POST, &path, &form).await.is_err());
        assert_eq!(buy(&world, &account, &form).await.status, 201);

        assert_eq!(world.sandbox.purchases_of(&account).len(), purchases);
    }
}
