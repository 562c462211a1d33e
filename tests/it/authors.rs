//! Who made and ended keys and changed secrets is known, or nothing was done.

use std::fs;

use tollkeeper::{
    cli::secrets::rotate,
    queue::operate::By,
    sealed::{Keyring, Place},
};

use crate::support::{
    command::{read, said},
    service::Service,
};

const ACTIONS: &str =
    "select coalesce(string_agg(concat_ws(' ', who, action, why), ', ' order by id), '')
     from queue.operator_actions";

#[tokio::test]
async fn a_key_is_made_and_ended_with_its_author_or_not_at_all() {
    let service = Service::new().await;
    let db = &service.db;
    let make = ["keys", "create", "crm", "--scopes", "*", "--why", "go live"];

    service
        .execute("alter table queue.operator_actions add constraint gone check (false)")
        .await;
    assert!(!read(db, &make).0);
    assert!(said(db, &["keys", "list"]).as_array().unwrap().is_empty());
    service
        .execute("alter table queue.operator_actions drop constraint gone")
        .await;

    let made = said(db, &make);
    let id = made["id"].as_str().unwrap();
    service
        .execute(
            "alter table queue.operator_actions add constraint gone check (action <> 'revoke_key')",
        )
        .await;
    assert!(!read(db, &["keys", "revoke", id]).0);
    assert!(said(db, &["keys", "list"])[0]["revoked_at"].is_null());
    service
        .execute("alter table queue.operator_actions drop constraint gone")
        .await;
    said(db, &["keys", "revoke", id, "--why", "it leaked"]);

    let actions: String = service.value(ACTIONS).await;
    assert_eq!(actions, "ann create_key go live, ann revoke_key it leaked");
    let target: String = service
        .value("select string_agg(target::text, ' ') from queue.operator_actions")
        .await;
    assert!(!target.contains(made["key"].as_str().unwrap()), "{target}");
}

#[tokio::test]
async fn tokens_are_imported_and_sealed_anew_with_their_author_or_not_at_all() {
    let service = Service::new().await;
    let db = &service.db;
    let token = "f".repeat(32);
    let file = std::env::temp_dir().join(format!("tokens-{}.csv", std::process::id()));
    let rows = format!(
        "user_id,subaccount_sid,auth_token\nbob,AC{:032x},{token}\n",
        7
    );
    fs::write(&file, rows).unwrap();
    let import = [
        "secrets",
        "import",
        file.to_str().unwrap(),
        "--why",
        "the move",
    ];

    said(db, &[&import[..], &["--dry-run"]].concat());
    assert_eq!(service.value::<String>(ACTIONS).await, "");
    service
        .execute("alter table queue.operator_actions add constraint gone check (false)")
        .await;
    assert!(!read(db, &import).0);
    let stored = "select count(*) from twilio_subaccounts";
    assert_eq!(service.value::<i64>(stored).await, 0);
    service
        .execute("alter table queue.operator_actions drop constraint gone")
        .await;
    said(db, &import);
    fs::remove_file(&file).unwrap();

    // Sealed with a key that is on its way out.
    let ours = service.ctx.config.encryption_keys[0].clone();
    let old = format!("a:{}", "5a".repeat(32));
    let ring = Keyring::new(&[old.clone().into()]).unwrap();
    let sealed = ring.seal(&token.into(), Place::subaccount_token("bob"));
    sqlx::query("update twilio_subaccounts set auth_token_sealed = $1")
        .bind(&sealed)
        .execute(db)
        .await
        .unwrap();
    let both = Keyring::new(&[ours, old.into()]).unwrap();
    let by = By {
        who: "ann",
        why: "a new key",
    };
    let mut conn = db.acquire().await.unwrap();
    service
        .execute("alter table queue.operator_actions add constraint gone check (action <> 'rotate_secrets')")
        .await;
    rotate(&mut conn, &both, by).await.unwrap_err();
    let now: String = service
        .value("select auth_token_sealed from twilio_subaccounts")
        .await;
    assert_eq!(now, sealed);
    service
        .execute("alter table queue.operator_actions drop constraint gone")
        .await;
    for _ in 0..2 {
        rotate(&mut conn, &both, by).await.unwrap();
    }

    let actions: String = service.value(ACTIONS).await;
    assert_eq!(
        actions,
        "ann import_secret the move, ann rotate_secrets a new key"
    );
}
