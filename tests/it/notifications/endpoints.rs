//! What becomes of endpoints: new secrets, an end, and what operators do to them.

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tollkeeper::{
    cli::secrets,
    notify::operate::{self, OperateError, Wish},
    sealed::Keyring,
    worker::Register,
};
use uuid::Uuid;

use super::{BY, Teller, threshold};
use crate::support::subscriber::answers;

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let teller = Teller::new().await;
    let ctx = &teller.service.ctx;
    let app = teller.app(&[]).await;
    let mut conn = teller.service.db.acquire().await.unwrap();
    let issued = operate::rotate(
        &mut conn,
        &ctx.keyring,
        app.endpoint_id,
        ctx.clock.now(),
        BY,
    )
    .await
    .unwrap();
    let new = issued.secret.expose_secret();
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    teller.service.drain().await;
    ctx.clock.advance(TimeDelta::hours(24));
    teller.announce(&[threshold(100)]).await;
    teller.service.drain().await;
    worker.stop().await;

    let signed: Vec<_> = app
        .subscriber
        .told()
        .iter()
        .map(|told| (told.is_signed_by(&app.secret), told.is_signed_by(new)))
        .collect();
    assert_eq!(signed, [(true, true), (false, true)]);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_reported() {
    let teller = Teller::new().await;
    let (gone, well) = (teller.app(&[]).await, teller.app(&[]).await);
    gone.subscriber.behave(answers(410));
    let worker = teller.service.work(Register::all());

    teller.announce(&[threshold(80)]).await;
    teller.service.drain().await;
    teller.announce(&[threshold(100)]).await;
    teller.service.drain().await;

    assert_eq!(gone.subscriber.told().len(), 1, "it is told nothing more");
    assert_eq!(well.subscriber.told().len(), 2);
    let findings = "select coalesce(string_agg(kind || ' ' || subject, ', '), '') from findings
                    where closed_at is null";
    assert_eq!(
        teller.service.value::<String>(findings).await,
        format!("notification_endpoint_gone {}", gone.endpoint_id)
    );

    gone.subscriber.behave(answers(200));
    let mut conn = teller.service.db.acquire().await.unwrap();
    operate::enable(&mut conn, gone.endpoint_id, BY)
        .await
        .unwrap();
    assert_eq!(teller.service.value::<String>(findings).await, "");
    operate::test(&mut conn, gone.endpoint_id, BY)
        .await
        .unwrap();
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!(gone.subscriber.told()[1].json()["type"], "test.ping");
    assert_eq!(
        well.subscriber.told().len(),
        2,
        "a test is for one endpoint alone"
    );
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_disabled_or_removed_ends_by_itself() {
    let teller = Teller::new().await;
    let (disabled, removed) = (teller.app(&[]).await, teller.app(&[]).await);
    let mut conn = teller.service.db.acquire().await.unwrap();
    let now = teller.service.ctx.clock.now();
    let id = teller.announce(&[threshold(80)]).await[0];
    for app in [&disabled, &removed] {
        let only = Some(app.endpoint_id);
        operate::replay(&mut conn, id, only, BY).await.unwrap();
    }
    operate::disable(&mut conn, disabled.endpoint_id, now, BY)
        .await
        .unwrap();
    operate::remove(&mut conn, removed.endpoint_id, BY)
        .await
        .unwrap();

    let worker = teller.service.work(Register::all());
    teller.service.drain().await;
    worker.stop().await;

    let ends: String = teller
        .service
        .value(
            "select string_agg(state || ': ' || note, ', ' order by note) from queue.finished_jobs
             where kind = 'deliver_notification'",
        )
        .await;
    assert_eq!(
        ends,
        "skipped: the endpoint is disabled, skipped: the endpoint was removed"
    );
    assert!(disabled.subscriber.told().is_empty() && removed.subscriber.told().is_empty());
}

#[tokio::test]
async fn what_cannot_be_an_endpoint_is_refused_and_leaves_no_trace() {
    let teller = Teller::new().await;
    let ctx = &teller.service.ctx;
    let mut conn = teller.service.db.acquire().await.unwrap();
    let (bad_type, types) = (["Usage".to_owned()], None);
    for (url, types) in [
        ("https://me:pw@hooks.test/", types),
        ("http://hooks.test/", types),
        ("https://127.0.0.1/", types),
        ("https://hooks.test/", Some(&bad_type[..])),
    ] {
        let wish = Wish {
            url,
            types,
            allow_private: false,
        };
        let refused = operate::add(&mut conn, &ctx.keyring, wish, ctx.clock.now(), BY).await;
        assert!(
            matches!(refused, Err(OperateError::Url(_) | OperateError::Type(_))),
            "{url}"
        );
    }
    let unknown = operate::remove(&mut conn, Uuid::now_v7(), BY).await;
    assert!(matches!(unknown, Err(OperateError::NoEndpoint(_))));
    let kept = "select (select count(*) from notification_endpoints)
                     + (select count(*) from queue.operator_actions)";
    assert_eq!(teller.service.value::<i64>(kept).await, 0);
}

#[tokio::test]
async fn every_deed_is_kept_with_who_and_why_and_without_secrets() {
    let teller = Teller::new().await;
    let ctx = &teller.service.ctx;
    let app = teller.app(&["usage.threshold"]).await;
    let (id, now) = (app.endpoint_id, ctx.clock.now());
    let mut conn = teller.service.db.acquire().await.unwrap();
    operate::rotate(&mut conn, &ctx.keyring, id, now, BY)
        .await
        .unwrap();
    operate::disable(&mut conn, id, now, BY).await.unwrap();
    let again = operate::disable(&mut conn, id, now, BY).await;
    let ping = operate::test(&mut conn, id, BY).await;
    operate::enable(&mut conn, id, BY).await.unwrap();
    let told = operate::test(&mut conn, id, BY).await.unwrap();
    operate::replay(&mut conn, told, Some(id), BY)
        .await
        .unwrap();
    operate::remove(&mut conn, id, BY).await.unwrap();

    assert!(matches!(again, Err(OperateError::Disabled(_))));
    assert!(matches!(ping, Err(OperateError::Disabled(_))));
    let deeds: String = teller
        .service
        .value(
            "select string_agg(action || ' ' || who, ', ' order by id) from queue.operator_actions",
        )
        .await;
    assert_eq!(
        deeds,
        "add_endpoint ann, rotate_endpoint ann, disable_endpoint ann, enable_endpoint ann, \
         test_endpoint ann, replay_notification ann, remove_endpoint ann"
    );
    let targets: String = teller
        .service
        .value("select string_agg(target::text, ' ') from queue.operator_actions")
        .await;
    assert!(
        !targets.contains("whsec_") && !targets.contains("v1."),
        "{targets}"
    );
}

#[tokio::test]
async fn the_secrets_of_endpoints_are_sealed_and_rotate_with_the_tokens() {
    let teller = Teller::new().await;
    let ctx = &teller.service.ctx;
    let app = teller.app(&[]).await;
    let mut conn = teller.service.db.acquire().await.unwrap();
    operate::rotate(
        &mut conn,
        &ctx.keyring,
        app.endpoint_id,
        ctx.clock.now(),
        BY,
    )
    .await
    .unwrap();
    let stored: String = teller
        .service
        .value("select row_to_json(e)::text from notification_endpoints e")
        .await;
    assert!(!stored.contains("whsec_"), "{stored}");

    let old = &ctx.config.encryption_keys[0];
    let new = || format!("b:{}", "5a".repeat(32)).into();
    let both = Keyring::new(&[new(), old.clone()]).unwrap();
    let rotated = secrets::rotate(&mut conn, &both, BY).await.unwrap();

    assert_eq!((rotated.resealed, rotated.unreadable.len()), (2, 0));
    let alone = Keyring::new(&[new()]).unwrap();
    let checked = secrets::check(&mut conn, &alone).await.unwrap();
    assert_eq!(checked.text(), "key b seals 2 tokens");
    secrets::require_fitting_keys(&mut conn, &ctx.keyring)
        .await
        .unwrap_err();
}
