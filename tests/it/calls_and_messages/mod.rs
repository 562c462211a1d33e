//! What Twilio tells of calls and messages is written down, metered once and answered with sense.
//!
//! The faults of the systems that came before, each with the test that shows it gone:
//!
//! | fault | shown by |
//! |---|---|
//! | B20 callback URLs that nobody served | `urls::every_url_that_the_provider_is_given_…`, `callbacks::every_url_we_hand_out_…` |
//! | B21 recordings refused, or taken up too early | `recorded::*`, `recordings::callbacks::*` |
//! | B22, B41 signatures not checked, or wrongly | `callbacks::*`, `signatures::*`, `proofs::hostile` |
//! | B23 a late status overwrites the last one | `metering::a_calls_minutes_…`, `reconcile::whatever_is_told_of_calls_…` |
//! | B24 forms not read, minutes taken for seconds | `recorded::every_recorded_callback_leads_to_what_the_table_says` |
//! | B25 every call to /api/phone fails | `outgoing::shapes::*`, `lists::*`, `numbers::search::*` |
//! | B26 filters put together as text | `lists::what_was_called_and_written_…`, `inert` |
//! | B27 sent, then not stored, then sent again | `outgoing::faults::a_lost_answer_dials_and_sends_once` |
//! | B28 one click is three calls | `outgoing::once::one_click_is_one_dial_…` |
//! | B29 a recording fetched twice and lost | `recordings::transcription::*`, `recordings::shown` |
//! | B30 any address is fetched | `recordings::hostile` |
//! | B31 what people say stands in the log | `proofs::canaries` |
//! | B45 a number is gone at once, or for ever ours | `numbers::release::*` |
//! | B46 what people write becomes markup | `inert` |
//! | B57 the user in a path is believed | `callbacks::a_subaccount_signs_with_its_own_token_for_its_own_user`, `proofs::isolation` |
//! | B58 one number in two spellings is two | `telephony::e164` of the core |
//! | B61 anybody's number may be called from | `outgoing::rules::nobody_calls_from_anothers_number_…`, `outgoing::faults::who_is_suspended_…` |

mod answers;
mod compare;
mod inert;
mod lists;
mod metering;
mod put_through;
mod reconcile;
mod recorded;
mod settings;
mod urls;
mod usage;

use serde_json::Value;
use tollkeeper::{config::Config, sandbox::Settings};

use crate::support::{
    house::House,
    phone::{CALLER, Phone, sid},
    service::Service,
    web::{Web, golden_files},
};

async fn house_of_ann() -> (House, Web, Phone) {
    house_of(|_| {}).await
}

/// The same, in another setting.
async fn house_of(change: impl FnOnce(&mut Config)) -> (House, Web, Phone) {
    let house = House::with(change).await;
    house.sign_up("ann");
    house.take_in_all().await;
    let web = house.web();
    let phone = Phone::of(&house.sandbox, "ann");
    (house, web, phone)
}

/// What was used of a feature, in its unit.
async fn used(service: &Service, feature: &str) -> i64 {
    let sum = "select coalesce(sum(quantity) / 1000000, 0)::bigint from usage_events
               where account_id = 'ann' and source = 'twilio' and feature = $1";
    let found = sqlx::query_scalar(sum).bind(feature);
    found.fetch_one(&service.db).await.unwrap()
}

#[tokio::test]
async fn a_callback_about_a_number_of_nobody_is_kept_and_told() {
    let (house, web, phone) = house_of_ann().await;
    let master = "AC00000000000000000000000000000001";
    let token = "00000000000000000000000000000002";
    let tell = async |nth: usize, path: &str, to: &str| {
        let call = sid("CA", nth);
        let params = [
            ("AccountSid", master),
            ("CallSid", &call),
            ("CallStatus", "completed"),
            ("CallDuration", "30"),
            ("From", CALLER),
            ("To", to),
        ];
        let answer = web.twilio(path, &params, token).await;
        assert_eq!(answer.status(), 200);
        house.settle().await;
    };
    tell(0, "/api/twilio/status", "+15005550009").await;
    assert_eq!(house.findings().await, ["callback_of_nobody"]);
    let held: i64 = house
        .service
        .value("select count(*) from webhooks where state = 'held'")
        .await;
    assert_eq!(held, 1);

    // The signed URL names a user; or the number does, but not another one.
    tell(1, "/api/twilio/status/ann", "+15005550008").await;
    tell(2, "/api/twilio/status", &phone.number).await;
    tell(3, "/api/twilio/status/ben", &phone.number).await;

    let calls: Vec<String> =
        sqlx::query_scalar("select call_ref from calls where account_id = 'ann' order by 1")
            .fetch_all(&house.service.db)
            .await
            .unwrap();
    assert_eq!(calls, [sid("CA", 1), sid("CA", 2)]);
    assert_eq!(used(&house.service, "voice_minutes").await, 2);
}

/// The main account of the recordings, and its token.
const RECORDED: (&str, &str) = (
    "AC00000000000000000000000000000002",
    "fedcba9876543210fedcba9876543210",
);

fn as_recorded(config: &mut Config) {
    config.public_base_url = "https://hooks.example.com".into();
    config.twilio.account_sid = RECORDED.0.into();
    config.twilio.auth_tokens = vec![RECORDED.1.into()];
}

/// Somebody has the number of the recordings.
async fn house_as_recorded() -> (House, Web) {
    let settings = Settings {
        twilio_account_sid: RECORDED.0.into(),
        twilio_auth_token: RECORDED.1.into(),
        ..Settings::default()
    };
    let house = House::beside(settings, as_recorded).await;
    house
        .service
        .execute("insert into accounts (account_id) values ('ann')")
        .await;
    house
        .service
        .execute(
            "insert into phone_numbers (id, account_id, status, phone_number, number_ref)
             values (gen_random_uuid(), 'ann', 'active', '+14155550100', 'PN1')",
        )
        .await;
    let web = house.web();
    (house, web)
}

#[tokio::test]
async fn every_recorded_callback_ends_as_what_it_told() {
    let (house, web) = house_as_recorded().await;
    let mut told = 0;
    for (name, file) in golden_files("webhooks/twilio", ".json") {
        let recorded: Value = serde_json::from_slice(&file).unwrap();
        let Some(url) = recorded["url"].as_str() else {
            continue;
        };
        let target = url.strip_prefix("https://hooks.example.com").unwrap();
        let body = recorded["body"].as_str().unwrap().to_owned();
        let headers = recorded["headers"].as_object().unwrap().iter();
        let request = headers.fold(web.post(target).body(body), |request, (name, value)| {
            request.header(name, value.as_str().unwrap())
        });
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
        told += 1;
    }
    house.settle().await;

    assert!(told > 35, "only {told} recorded callbacks");
    assert_eq!(house.dead().await, Vec::<String>::new());
    let unhandled: i64 = house
        .service
        .value("select count(*) from webhooks where state = 'stored'")
        .await;
    assert_eq!(unhandled, 0);
    let recordings: i64 = house
        .service
        .value("select count(*) from recordings where status = 'completed' and seconds = 37")
        .await;
    assert_eq!(recordings, 1);
    // All of them tell of one call and one message, whichever is told first.
    let calls: i64 = house
        .service
        .value("select count(*) from calls where account_id = 'ann' and ended_at is not null")
        .await;
    let messages: i64 = house
        .service
        .value("select count(*) from messages where account_id = 'ann'")
        .await;
    assert!(
        calls >= 1 && messages >= 1,
        "{calls} calls, {messages} messages"
    );
    let counted_once: bool = house
        .service
        .value(
            "select count(*) = count(distinct (feature, source_id)) from usage_events where source = 'twilio'",
        )
        .await;
    assert!(counted_once);
}
