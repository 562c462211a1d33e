//! What VoIP.ms tells is a hint: what it lists is written down, and metered once.

use chrono::TimeDelta;
use form_urlencoded::parse;
use serde_json::{Value, json};
use tollkeeper::{
    clients::{pace::Pace, voipms::Voipms},
    config::Config,
    sandbox::{Fault, Provider, Rule, When},
    worker::Register,
};
use tollkeeper_jobs::ReconcilePhoneLogs;

use super::with_token;
use crate::support::{
    house::{House, voipms},
    phone::CALLER,
    service::Service,
    web::{Web, golden},
};

const DID: &str = "+14155550100";
const PATH: &str = "/webhooks/voipms/sms/9f1c_SECRET_PATH_TOKEN";

async fn house_of_ann() -> (House, Web) {
    house_with(|_| {}).await
}

/// Ann has a number there, and it tells us what is written to it.
async fn house_with(change: impl FnOnce(&mut Config)) -> (House, Web) {
    let house = House::with(|config| {
        with_token(config);
        change(config);
    })
    .await;
    let web = house.web();
    let url = format!(
        "http://{}{PATH}?id={{ID}}&ts={{TIMESTAMP}}&from={{FROM}}&to={{TO}}&message={{MESSAGE}}",
        web.address
    );
    house.sandbox.own_did(DID, Some(&url));
    let now = house.sandbox.now();
    let sql = "with ann as (insert into accounts (account_id) values ('ann') returning account_id)
               insert into phone_numbers (id, account_id, provider, status, phone_number, number_ref, is_included, purchased_at)
               select gen_random_uuid(), account_id, 'voipms', 'active', $1, 'a number there', false, $2 from ann";
    let bought = sqlx::query(sql).bind(DID).bind(now);
    bought.execute(&house.service.db).await.unwrap();
    (house, web)
}

/// What is shown of Ann's messages, and how many segments were counted at VoIP.ms.
async fn shown(house: &House) -> (Vec<String>, i64) {
    let shown = sqlx::query_scalar(
        "select concat_ws(' ', message_ref, direction, from_number, status, body) from messages
         where account_id = 'ann' and provider = 'voipms' order by began_at, message_ref",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap();
    let counted = "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_events
                   where account_id = 'ann' and source = 'voipms' and feature = 'sms'";
    (shown, house.service.value(counted).await)
}

/// What became of the callbacks.
async fn states(house: &House) -> Vec<String> {
    sqlx::query_scalar("select state from webhooks order by received_at, id")
        .fetch_all(&house.service.db)
        .await
        .unwrap()
}

async fn reconcile(house: &House) {
    let tick_at = house.sandbox.now();
    house.service.enqueue(&ReconcilePhoneLogs { tick_at }).await;
    house.settle().await;
}

#[tokio::test]
async fn a_message_that_is_told_of_many_times_is_counted_once_as_it_is_listed() {
    let (house, web) = house_of_ann().await;
    house.sandbox.advance(TimeDelta::minutes(1));
    let text = house
        .sandbox
        .take_text(DID, CALLER, "ж".repeat(71).as_str());
    let text = text.unwrap();
    for _ in 0..3 {
        assert!(house.sandbox.tell_of_text(&text).await);
    }
    // Told in other words, it is another callback of the same message.
    let other =
        json!({ "from": CALLER, "to": DID, "id": text.id, "media": "x", "message": "forged" });
    assert_eq!(
        web.post(PATH).json(&other).send().await.unwrap().status(),
        200
    );
    house.settle().await;
    reconcile(&house).await;

    let expected = format!("voipms_10001 inbound {CALLER} received {}", text.text);
    assert_eq!(shown(&house).await, (vec![expected], 2));
    assert_eq!(states(&house).await, ["handled", "handled"]);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_forged_callback_bills_nothing_and_shows_nothing() {
    let (house, web) = house_of_ann().await;
    let told = [
        ("from", CALLER),
        ("to", DID),
        ("id", "10001"),
        ("message", "STOP"),
    ];
    let answer = web.get(PATH).query(&told).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    house.settle().await;
    assert_eq!(states(&house).await, ["stored"]);
    house.pass(TimeDelta::minutes(31)).await;
    house.pass(TimeDelta::minutes(31)).await;

    assert_eq!(states(&house).await, ["ignored"]);
    assert_eq!(shown(&house).await, (vec![], 0));
    let wishes: i64 = house.service.value("select count(*) from opt_outs").await;
    assert_eq!(wishes, 0);
    // A number that nobody has there is told to a person.
    let told = [("from", CALLER), ("to", "4155550101"), ("id", "10002")];
    web.get(PATH).query(&told).send().await.unwrap();
    house.settle().await;
    assert_eq!(house.findings().await, ["callback_of_nobody"]);
    assert_eq!(states(&house).await, ["ignored", "held"]);
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_message_whose_callback_never_came_is_counted_by_the_hourly_look() {
    let (house, _web) = house_of_ann().await;
    // Another one had the number then.
    let mine = house.sandbox.now();
    house.sandbox.advance(TimeDelta::days(1));
    let bought = "update phone_numbers set purchased_at = purchased_at + interval '1 day' + interval '1 minute'";
    house.sandbox.take_text(DID, CALLER, "to another").unwrap();
    house.service.execute(bought).await;
    house.sandbox.advance(TimeDelta::days(100));
    house.sandbox.take_text(DID, CALLER, "hello").unwrap();
    let maintained = Fault::Refuse {
        status: 200,
        code: "method_maintenance".into(),
    };
    let rule = Rule::on(
        Provider::Voipms,
        "POST",
        "/getMMS",
        When::First(1),
        maintained,
    );
    house.sandbox.add_rules(vec![rule]);
    // No list is longer than 90 days: what was not read for long is read in parts.
    for _ in 0..3 {
        reconcile(&house).await;
    }

    let expected = format!("voipms_10002 inbound {CALLER} received hello");
    assert_eq!(shown(&house).await, (vec![expected], 1));
    let days: f64 = sqlx::query_scalar(
        "select extract(epoch from occurred_at - $1)::float8 / 86400 from usage_events where source = 'voipms'",
    )
    .bind(mine)
    .fetch_one(&house.service.db)
    .await
    .unwrap();
    assert!(
        (100.9..101.1).contains(&days),
        "it counts when it was: {days}"
    );
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_writes_stop_is_heeded_until_they_write_start() {
    let (house, _web) = house_of_ann().await;
    let is_out = "select is_out from opt_outs where our_number = '+14155550100'";
    for (text, expected) in [("STOP", true), ("Start", false)] {
        house.sandbox.advance(TimeDelta::minutes(5));
        let text = house.sandbox.take_text(DID, CALLER, text).unwrap();
        assert!(house.sandbox.tell_of_text(&text).await);
        house.settle().await;
        assert_eq!(house.service.value::<bool>(is_out).await, expected);
    }
    // Both are listed for ever.
    reconcile(&house).await;
    assert!(!house.service.value::<bool>(is_out).await);
}

#[tokio::test]
async fn without_an_account_there_its_callbacks_are_kept_until_there_is_one() {
    let (house, _web) = house_with(|config| config.voipms.api = None).await;
    let text = house.sandbox.take_text(DID, CALLER, "hello").unwrap();
    assert!(house.sandbox.tell_of_text(&text).await);
    house.settle().await;
    reconcile(&house).await;

    assert_eq!(states(&house).await, ["held"]);
    assert_eq!(house.dead().await, Vec::<String>::new());

    // It is set, and the service restarted. What nobody we know was told of stays kept.
    let strange = "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state, handled_at)
                   values (gen_random_uuid(), 'voipms', 'strange', 'incoming_message', 'test', '{}', '', 'held', now())";
    house.service.execute(strange).await;
    house.worker.stop().await;
    let mut service = Service {
        ctx: house.service.ctx.clone(),
        db: house.service.db.clone(),
    };
    service.ctx.voipms = Some(Voipms::new(&voipms(&house.sandbox), Pace::Free));
    let worker = service.work(Register::all());
    let house = House {
        service,
        worker,
        sandbox: house.sandbox,
    };
    reconcile(&house).await;

    assert_eq!(states(&house).await, ["handled", "held"]);
    let expected = format!("voipms_10001 inbound {CALLER} received hello");
    assert_eq!(shown(&house).await, (vec![expected], 1));
    assert_eq!(house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn every_recorded_callback_of_voipms_ends_as_what_it_told() {
    let (house, web) = house_of_ann().await;
    house.sandbox.advance(TimeDelta::minutes(1));
    let file = std::fs::read(golden("webhooks/voipms/sms_callbacks.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&file).unwrap();
    let requests = recorded["requests"].as_object().unwrap().values();
    let mut told: Vec<(String, String, &str)> = Vec::new();
    for url in requests.map(|url| url.as_str().unwrap()) {
        let (_, query) = url.split_once('?').unwrap();
        let of = |name: &str| {
            let mut pairs = parse(query.as_bytes());
            pairs
                .find(|(other, _)| other == name)
                .unwrap()
                .1
                .into_owned()
        };
        let target = url.strip_prefix("https://hooks.example.com").unwrap();
        if target.contains("SECRET_PATH_TOKEN") {
            told.push((of("id"), of("message"), target));
        }
    }
    told.sort();
    let mut messages: Vec<&(String, String, &str)> = told.iter().collect();
    messages.dedup_by_key(|(id, ..)| id.clone());
    for (_, message, _) in &messages {
        house.sandbox.take_text(DID, CALLER, message).unwrap();
    }
    for (_, _, target) in &told {
        assert_eq!(web.get(target).send().await.unwrap().status(), 200);
    }
    house.settle().await;

    assert_eq!(shown(&house).await.0.len(), messages.len());
    assert_eq!(states(&house).await, vec!["handled"; messages.len()]);
}
