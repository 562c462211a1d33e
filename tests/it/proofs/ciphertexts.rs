//! A sealed value opens in its own place and nowhere else: not in another row, column or table, not
//! for another account, not under another key's name. And what the service does when it finds one
//! where it does not belong.

use reqwest::Response;
use secrecy::{ExposeSecret, SecretString};
use tollkeeper::{
    cli::secrets,
    db::sealed_columns::Column,
    sandbox::stripe::Status,
    sealed::{Keyring, Place},
};

use super::isolation::tenants::{self, TENANTS, Tenant};
use crate::support::{house::House, proof::all_held, web::Web};

/// Every combination of a few tables, columns, accounts and rows, the sealed columns of the schema
/// among them, and some that differ only in where one part ends and the next begins.
fn places() -> Vec<Place<'static>> {
    let mut columns: Vec<(&str, &str)> = Column::ALL
        .iter()
        .map(|column| column.as_str().split_once('.').unwrap())
        .collect();
    let (table, column) = columns[0];
    columns.extend([(table, "another_sealed"), ("another", column)]);
    let mut places = Vec::new();
    for (table, column) in columns {
        for account_id in [TENANTS[0].id, TENANTS[1].id, ""] {
            for row in [TENANTS[0].id, TENANTS[1].id, "7"] {
                places.push(Place {
                    table,
                    column,
                    account_id,
                    row,
                });
            }
        }
    }
    for [table, column, account_id, row] in [
        ["ab", "c", "d", "e"],
        ["a", "bc", "d", "e"],
        ["a", "b", "cd", "e"],
        ["abcde", "", "", ""],
        ["", "", "", "abcde"],
    ] {
        places.push(Place {
            table,
            column,
            account_id,
            row,
        });
    }
    places
}

#[test]
fn a_sealed_value_opens_in_its_own_place_and_in_no_other() {
    // The same key under two names: a name that is changed is a changed place.
    let entry = |id: &str| SecretString::from(format!("{id}:{}", "5a".repeat(32)));
    let rings = [["a", "b"], ["b", "a"]].map(|ids| Keyring::new(&ids.map(entry)).unwrap());
    let places = places();
    let (mut pairs, mut held) = (0, 0);
    for here in &places {
        let sealed = rings[0].seal(&"secret".into(), *here);
        let relabelled = sealed.replacen("v1.a.", "v1.b.", 1);
        for there in &places {
            let is_same = std::ptr::eq(here, there);
            for ring in &rings {
                let opened = ring.open(&sealed, *there);
                let is_right =
                    opened.is_ok_and(|secret| secret.expose_secret() == "secret") == is_same;
                pairs += 1;
                held += usize::from(is_right && ring.open(&relabelled, *there).is_err());
            }
        }
    }
    all_held("sealed_places", held, "pairs of places", pairs);
}

const SWAP: &str = "update twilio_subaccounts mine set auth_token_sealed = theirs.auth_token_sealed
     from twilio_subaccounts theirs where theirs.account_id <> mine.account_id";

async fn call(web: &Web, path: &str, tenant: &Tenant, token: &str) -> Response {
    let status = if path.contains("voice") {
        "ringing"
    } else {
        "busy"
    };
    let params = [
        ("AccountSid", tenant.subaccount),
        ("CallSid", "CA00000000000000000000000000000001"),
        ("CallStatus", status),
        ("Direction", "inbound"),
    ];
    web.twilio(path, &params, token).await
}

#[tokio::test]
async fn swapped_tokens_let_nobody_in_and_lose_nothing() {
    let web = tenants::house().await;
    let stored = async || {
        web.service
            .value::<i64>("select count(*) from webhooks")
            .await
    };
    let unreadable = async || {
        let mut conn = web.service.db.acquire().await.unwrap();
        let keyring = &web.service.ctx.keyring;
        let report = secrets::check(&mut conn, keyring).await.unwrap();
        report.unreadable.len()
    };

    assert_eq!(web.service.execute(SWAP).await, 2);
    assert_eq!(unreadable().await, 2, "`secrets check` names both");
    for (mine, other) in [(0, 1), (1, 0)].map(|(a, b)| (&TENANTS[a], &TENANTS[b])) {
        for token in [mine.token, other.token] {
            let report = call(&web, "/api/twilio/status", mine, token).await;
            assert_eq!(report.status(), 503, "it is sent again");
            assert!(report.headers().contains_key("retry-after"));
            let question = call(&web, "/api/twilio/voice", mine, token).await;
            let said = question.text().await.unwrap();
            assert!(
                said.contains("system error") && !said.contains("Record"),
                "{said}"
            );
        }
    }
    assert_eq!(
        stored().await,
        0,
        "nothing is taken in with a token that may be another's"
    );

    web.service.execute(SWAP).await;
    assert_eq!(unreadable().await, 0);
    for (mine, other) in [(0, 1), (1, 0)].map(|(a, b)| (&TENANTS[a], &TENANTS[b])) {
        for path in ["/api/twilio/status", "/api/twilio/voice"] {
            assert_eq!(call(&web, path, mine, other.token).await.status(), 403);
            assert_eq!(call(&web, path, mine, mine.token).await.status(), 200);
        }
    }
    assert_eq!(stored().await, 4, "what was sent again is there");
}

#[tokio::test]
async fn the_sweep_finds_swapped_tokens_and_the_work_goes_on_without_them() {
    let house = House::new().await;
    let (ann, _bob) = (house.sign_up("ann"), house.sign_up("bob"));
    house.take_in_all().await;
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());

    assert_eq!(house.service.execute(SWAP).await, 2);
    house.sweep().await;
    assert_eq!(house.findings().await, ["token_unreadable"; 2]);
    let subjects: String = house
        .service
        .value("select string_agg(account_id, ' ' order by account_id) from findings")
        .await;
    assert_eq!(subjects, "ann bob");

    // What is done at the provider is done to the right subaccount, with no token of any.
    house
        .sandbox
        .set_status(&ann.subscription_id, Status::Canceled);
    house.take_in_all().await;
    let refused = house
        .sandbox
        .calls()
        .iter()
        .any(|call| call.status == Some(401));
    assert!(!refused, "{:?}", house.sandbox.calls());
    let suspended = house
        .sandbox
        .subaccounts()
        .into_iter()
        .filter(|account| format!("{:?}", account.status) == "Suspended");
    let suspended: Vec<_> = suspended.map(|account| account.sid).collect();
    let of_ann: String = house
        .service
        .value("select subaccount_ref from twilio_subaccounts where account_id = 'ann'")
        .await;
    assert_eq!(suspended, [of_ann]);

    house.service.execute(SWAP).await;
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    assert_eq!(house.dead().await, Vec::<String>::new());
    house.worker.stop().await;
}
