//! Sealed tokens in the database: rotation beside a running service, the check, the import.

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tollkeeper::{
    cli::secrets::{check, import, parse, require_fitting_keys, rotate},
    db::sealed_columns::{self, Column, SealedValue},
    queue::operate::By,
    sealed::{Keyring, Place},
};

use crate::support::cluster;

const OLD_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OLD_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OLD_STORED: &str = "0f0e0d0c0b0a09080706050403020100:7862a071da19f3286dcd4ca7ca9c6e3e9ff51c02f1f343d7f7a3dc6285921f53b80f026c8b3d8b0160e6baccd74dab70";

const BY: By<'_> = By {
    who: "ann",
    why: "a new key",
};

fn ring(ids: &[&str]) -> Keyring {
    let key = |id: &&str| {
        SecretString::from(format!(
            "{id}:{}",
            hex::encode(&id.repeat(32).as_bytes()[..32])
        ))
    };
    Keyring::new(&ids.iter().map(key).collect::<Vec<_>>()).unwrap()
}

fn subaccount(number: usize) -> String {
    format!("AC{number:032x}")
}

async fn store(db: &PgPool, keyring: &Keyring, number: usize, token: &str) {
    let account_id = format!("user-{number:04}");
    let mut conn = db.acquire().await.unwrap();
    sealed_columns::insert_account(&mut conn, &account_id)
        .await
        .unwrap();
    let sealed = keyring.seal(&token.into(), Place::subaccount_token(&account_id));
    let is_new = sealed_columns::insert_imported_subaccount(
        &mut conn,
        &account_id,
        &subaccount(number),
        "test",
        &sealed,
    )
    .await
    .unwrap();
    assert!(is_new);
}

/// Every token by account, opened with the ring; fails when one does not open.
async fn tokens(db: &PgPool, keyring: &Keyring) -> Vec<String> {
    let mut conn = db.acquire().await.unwrap();
    let rows = sealed_columns::batch(&mut conn, Column::SubaccountToken, "", 10_000)
        .await
        .unwrap();
    let open = |value: &SealedValue| {
        let token = keyring
            .open(&value.sealed, Place::subaccount_token(&value.row))
            .unwrap();
        token.expose_secret().to_owned()
    };
    rows.iter().map(open).collect()
}

#[tokio::test]
async fn every_sealed_column_of_the_schema_is_rotated() {
    let db = cluster::fresh_database().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select table_name || '.' || column_name from information_schema.columns
         where column_name like '%\\_sealed' and table_schema in ('public', 'queue') order by 1",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(columns, Column::ALL.map(Column::as_str));
}

#[tokio::test]
async fn tokens_are_sealed_anew_while_the_service_changes_them() {
    let db = cluster::fresh_database().await;
    let (old, both, new) = (ring(&["a"]), ring(&["b", "a"]), ring(&["b"]));
    for number in 0..450 {
        store(&db, &old, number, &format!("first-{number}")).await;
    }

    let rotation = async {
        let mut conn = db.acquire().await.unwrap();
        rotate(&mut conn, &both, BY).await.unwrap()
    };
    // What the running service does: it replaces tokens, sealed with the first key of the same ring.
    let service = async {
        let mut conn = db.acquire().await.unwrap();
        for value in sealed_columns::batch(&mut conn, Column::SubaccountToken, "", 10_000)
            .await
            .unwrap()
        {
            let sealed = both.seal(&"second".into(), Place::subaccount_token(&value.row));
            sqlx::query(
                "update twilio_subaccounts set auth_token_sealed = $2 where account_id = $1",
            )
            .bind(&value.row)
            .bind(&sealed)
            .execute(&mut *conn)
            .await
            .unwrap();
        }
    };
    let (report, ()) = tokio::join!(rotation, service);

    assert_eq!(
        report.resealed + report.current + report.changed_meanwhile,
        450
    );
    assert!(report.unreadable.is_empty());
    assert_eq!(
        tokens(&db, &new).await,
        vec!["second"; 450],
        "no change of the service is lost"
    );
}

#[tokio::test]
async fn a_second_rotation_finds_nothing_to_do_and_the_old_key_is_free() {
    let db = cluster::fresh_database().await;
    for number in 0..3 {
        store(&db, &ring(&["a"]), number, &format!("token-{number}")).await;
    }
    let both = ring(&["b", "a"]);
    let mut conn = db.acquire().await.unwrap();

    assert_eq!(
        check(&mut conn, &both).await.unwrap().text(),
        "key a seals 3 tokens"
    );
    assert_eq!(rotate(&mut conn, &both, BY).await.unwrap().resealed, 3);
    let again = rotate(&mut conn, &both, BY).await.unwrap();

    assert_eq!((again.resealed, again.current), (0, 3));
    assert_eq!(
        check(&mut conn, &ring(&["b"])).await.unwrap().text(),
        "key b seals 3 tokens"
    );
    assert_eq!(
        tokens(&db, &ring(&["b"])).await,
        ["token-0", "token-1", "token-2"]
    );
}

#[tokio::test]
async fn a_token_copied_to_another_account_does_not_open_and_is_left_alone() {
    let db = cluster::fresh_database().await;
    let both = ring(&["b", "a"]);
    for number in 0..3 {
        store(&db, &ring(&["a"]), number, "token").await;
    }
    sqlx::query(
        "update twilio_subaccounts set auth_token_sealed =
            (select auth_token_sealed from twilio_subaccounts where account_id = 'user-0000')
         where account_id = 'user-0001'",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut conn = db.acquire().await.unwrap();

    let checked = check(&mut conn, &both).await.unwrap();
    let rotated = rotate(&mut conn, &both, BY).await.unwrap();

    assert_eq!(checked.unreadable, ["account user-0001"]);
    assert_eq!(
        (rotated.resealed, rotated.unreadable),
        (2, vec!["account user-0001".to_owned()])
    );
    assert_eq!(
        check(&mut conn, &both).await.unwrap().tokens_by_key["a"],
        1,
        "it was not written"
    );
}

#[tokio::test]
async fn a_token_that_changed_since_it_was_read_is_not_overwritten() {
    let db = cluster::fresh_database().await;
    store(&db, &ring(&["a"]), 0, "token").await;
    let mut conn = db.acquire().await.unwrap();

    let column = Column::SubaccountToken;
    let is_ours =
        sealed_columns::replace(&mut conn, column, "user-0000", "what was read", "anew").await;

    assert!(!is_ours.unwrap());
    assert_eq!(tokens(&db, &ring(&["a"])).await, ["token"]);
}

#[tokio::test]
async fn rows_of_the_older_services_come_in_sealed_and_each_refusal_says_why() {
    let db = cluster::fresh_database().await;
    let keyring = ring(&["a"]);
    let plain = "f".repeat(32);
    store(&db, &keyring, 9, "their-own").await;
    let file = [
        "user_id,twilio_account_sid,twilio_auth_token".to_owned(),
        format!("ann,{},{OLD_STORED}", subaccount(1)),
        format!("bob,{},{plain}", subaccount(2)),
        format!("cat,{},{}", subaccount(3), "not-a-token"),
        format!("dan,AC12,{plain}"),
        format!("eve,{},{plain}", subaccount(9)),
        format!("user-0009,{},{plain}", subaccount(4)),
    ];
    let rows = parse(&SecretString::from(file.join("\n"))).unwrap();
    let old_key = SecretString::from(OLD_KEY);
    let mut conn = db.acquire().await.unwrap();

    let tried = import(&mut conn, &keyring, Some(&old_key), &rows, None)
        .await
        .unwrap();
    assert_eq!(
        tokens(&db, &keyring).await.len(),
        1,
        "a dry run writes nothing"
    );
    let done = import(&mut conn, &keyring, Some(&old_key), &rows, Some(BY))
        .await
        .unwrap();
    let again = import(&mut conn, &keyring, Some(&old_key), &rows, Some(BY))
        .await
        .unwrap();
    let keyless = import(&mut conn, &keyring, None, &rows[..1], Some(BY))
        .await
        .unwrap();

    assert_eq!((tried.imported, tried.refused.len()), (2, 4));
    assert_eq!((done.imported, done.were_plain_text, done.kept), (2, 1, 0));
    assert_eq!((again.imported, again.kept), (0, 2));
    let whys: Vec<_> = done
        .refused
        .iter()
        .map(|row| (row.line, row.why.as_str()))
        .collect();
    assert_eq!(
        whys,
        [
            (
                4,
                "the token is not 32 hexadecimal digits: wrong key, or no token"
            ),
            (
                5,
                "the subaccount's SID is not AC and 32 hexadecimal digits"
            ),
            (6, "the subaccount belongs to another account here"),
            (7, "the account has another subaccount here"),
        ]
    );
    assert_eq!(
        keyless.refused[0].why,
        "the token is encrypted: set LEGACY_ENCRYPTION_KEY"
    );
    assert_eq!(
        tokens(&db, &keyring).await,
        [OLD_TOKEN, &plain, "their-own"]
    );
    assert!(!done.text().contains(&plain) && !done.text().contains(OLD_TOKEN));
}

#[tokio::test]
async fn a_service_does_not_start_with_a_key_that_opens_nothing() {
    let db = cluster::fresh_database().await;
    let mut conn = db.acquire().await.unwrap();
    require_fitting_keys(&mut conn, &ring(&["b"]))
        .await
        .unwrap();
    store(&db, &ring(&["a"]), 0, "token").await;

    let refusal = require_fitting_keys(&mut conn, &ring(&["b"]))
        .await
        .unwrap_err();

    assert!(
        format!("{refusal:#}").contains(r#"names the key "a""#),
        "{refusal:#}"
    );
    require_fitting_keys(&mut conn, &ring(&["b", "a"]))
        .await
        .unwrap();
    store(&db, &ring(&["b"]), 1, "token").await;
    // One bad row is for `secrets check`; it does not keep everybody else's service down.
    require_fitting_keys(&mut conn, &ring(&["b"]))
        .await
        .unwrap();
}
