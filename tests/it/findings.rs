//! What a person must look at is told, and closed by who has looked.

use std::collections::BTreeSet;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tollkeeper::{
    db::{billing::parks, findings},
    worker::gauges,
};

use crate::support::{
    command::{read, said},
    house::House,
    log::Log,
    service::Service,
};

#[tokio::test]
async fn a_finding_is_listed_shown_and_stays_accepted_for_as_long_as_it_is_as_it_was() {
    let house = House::new().await;
    let db = &house.service.db;
    let twilio = &house.service.ctx.twilio;
    let strange = twilio.create_account("somebody else's").await.unwrap();
    house.sweep().await;

    let listed = said(db, &["findings", "list", "--kind", "unknown_subaccount"]);
    assert_eq!(listed[0]["subject"], json!(strange.sid));
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(
        said(db, &["findings", "show", id])["detail"],
        listed[0]["detail"]
    );
    for other in [["--kind", "unknown_number"], ["--account", "ann"]] {
        let (_, text) = read(db, &[["findings", "list"], other].concat());
        assert_eq!(text, "there are no findings\n");
    }

    let (is_closed, text) = read(db, &["findings", "close", id, "--why", " "]);
    assert!(!is_closed && text.contains("say why"), "{text}");
    let (is_closed, text) = read(db, &["findings", "close", id, "--why", "a friend's"]);
    assert!(is_closed, "{text}");
    let (is_closed, text) = read(db, &["findings", "close", id, "--why", "again"]);
    assert!(
        !is_closed && text.contains("accepted by ann: a friend's"),
        "{text}"
    );
    house.sweep().await;

    assert!(house.findings().await.is_empty());
    let closed = said(db, &["findings", "list", "--closed"]);
    assert_eq!(closed[0]["closed_why"], "accepted by ann: a friend's");
    let actions: String = house
        .service
        .value(
            "select string_agg(concat_ws(' ', who, action, why, target->>'finding_id'), ', ')
             from queue.operator_actions",
        )
        .await;
    assert_eq!(actions, format!("ann close_finding a friend's {id}"));
    house.worker.stop().await;
}

#[tokio::test]
async fn what_an_account_is_parked_for_is_accepted_by_unparking_it_and_not_otherwise() {
    let service = Service::new().await;
    let now = service.ctx.clock.now();
    let mut conn = service.db.acquire().await.unwrap();
    service
        .execute("insert into accounts (account_id) values ('bob')")
        .await;
    let kind = "CHARGE_ABOVE_CAP";
    findings::open(&mut conn, kind, "a period", "bob", &json!({}))
        .await
        .unwrap();
    parks::park(&mut conn, "bob", "too much", "caps", now)
        .await
        .unwrap();

    let listed = said(&service.db, &["findings", "list", "--account", "bob"]);
    let id = listed[0]["id"].as_str().unwrap();
    let (is_closed, text) = read(&service.db, &["findings", "close", id, "--why", "fine"]);
    assert!(!is_closed, "{text}");
    assert!(text.contains("tollkeeper billing unpark bob"), "{text}");

    said(&service.db, &["billing", "unpark", "bob", "--why", "fine"]);
    let shown = said(&service.db, &["findings", "show", id]);
    assert_eq!(shown["closed_why"], "accepted by ann: fine");
}

#[tokio::test]
async fn what_was_accepted_and_was_well_meanwhile_is_another_finding_when_it_comes_back() {
    let service = Service::new().await;
    let mut conn = service.db.acquire().await.unwrap();
    let (kind, detail) = ("number_missing", json!({}));
    let mut seen = async |is_so: bool| {
        let subjects: &[&str] = if is_so { &["PN1"] } else { &[] };
        for subject in subjects {
            let kept = findings::keep(&mut conn, kind, subject, "bob", &detail);
            kept.await.unwrap();
        }
        let kinds = vec![kind; subjects.len()];
        findings::close_all_but(&mut conn, &[kind], &kinds, subjects, "it is there again")
            .await
            .unwrap();
        findings::open_subjects(&mut conn, kind, "bob")
            .await
            .unwrap()
            .len()
    };
    assert_eq!(seen(true).await, 1);
    let listed = said(&service.db, &["findings", "list"]);
    let id = listed[0]["id"].as_str().unwrap();
    said(
        &service.db,
        &["findings", "close", id, "--why", "it is ported"],
    );

    assert_eq!(seen(true).await, 0, "it is accepted as it is");
    assert_eq!(seen(false).await, 0);
    assert_eq!(seen(true).await, 1, "it happened anew");
    let shown = said(&service.db, &["findings", "show", id]);
    assert_eq!(
        shown["closed_why"],
        "it is there again; accepted by ann: it is ported"
    );
}

#[tokio::test]
async fn how_many_findings_are_open_and_accounts_parked_are_figures() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let service = Service::new().await;
    let now = service.ctx.clock.now();
    let mut conn = service.db.acquire().await.unwrap();
    service
        .execute("insert into accounts (account_id) values ('bob')")
        .await;
    for subject in ["sub_1", "sub_2"] {
        findings::open(&mut conn, "unknown_price", subject, "bob", &json!({}))
            .await
            .unwrap();
    }
    parks::park(&mut conn, "bob", "too much", "caps", now)
        .await
        .unwrap();
    let mut kinds = BTreeSet::new();
    let mut are_figures = async |open: u32, parked: u32| {
        gauges::measure(&mut conn, &mut kinds).await.unwrap();
        let figures = recorder.handle().render();
        for figure in [
            format!(r#"tollkeeper_findings{{kind="unknown_price"}} {open}"#),
            format!("tollkeeper_accounts_parked {parked}"),
        ] {
            assert!(figures.contains(&figure), "{figure}: {figures}");
        }
    };
    are_figures(2, 1).await;

    service
        .execute("update findings set closed_at = now()")
        .await;
    service.execute("delete from billing_parks").await;
    are_figures(0, 0).await;
}

#[tokio::test]
async fn the_log_tells_once_of_a_finding_and_of_a_park_and_names_no_number() {
    let service = Service::new().await;
    let now = service.ctx.clock.now();
    let mut conn = service.db.acquire().await.unwrap();
    service
        .execute("insert into accounts (account_id) values ('bob')")
        .await;
    let (log, _here) = Log::kept();

    for times in 1..3 {
        let detail = json!({ "times": times });
        findings::open(&mut conn, "unknown_did", "+14155550100", "", &detail)
            .await
            .unwrap();
        findings::keep(&mut conn, "usage_differs", "bob 2026-11-20", "bob", &detail)
            .await
            .unwrap();
        parks::park(&mut conn, "bob", "too much", "caps", now)
            .await
            .unwrap();
    }

    let log = log.text();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(told.len(), 3, "{log}");
    for (line, word) in told
        .iter()
        .zip(["unknown_did", "usage_differs", "an account is parked"])
    {
        assert!(line.contains(word), "{line}");
    }
    assert!(!log.contains("4155550100"), "{log}");
}
