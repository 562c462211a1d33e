//! Stripe's list of events.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::Value;
use tollkeeper::sandbox::stripe::Status;

use super::client::World;

#[tokio::test]
async fn the_events_are_listed_newest_first_page_by_page_in_both_directions() {
    let world = World::start().await;
    for _ in 0..3 {
        world.sign_up(None);
    }
    let mut newest_first: Vec<String> = world
        .sandbox
        .events()
        .into_iter()
        .map(|event| event.id)
        .collect();
    newest_first.reverse();
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let mut down: Vec<String> = Vec::new();
    loop {
        let after = down.last().cloned().unwrap_or_default();
        let cursor: &[(&str, &str)] = &[("limit", "4"), ("starting_after", &after)];
        let filter = if down.is_empty() {
            &cursor[..1]
        } else {
            cursor
        };
        let page = world.stripe(Method::GET, "/v1/events", filter).await.body;
        down.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(down, newest_first);
    let oldest = newest_first.last().unwrap();
    let filter = [("limit", "4"), ("ending_before", oldest.as_str())];
    let up = world.stripe(Method::GET, "/v1/events", &filter).await.body;
    assert_eq!(
        ids(&up),
        newest_first[newest_first.len() - 5..newest_first.len() - 1]
    );
    assert_eq!(up["has_more"], true);
}

#[tokio::test]
async fn events_are_filtered_by_type_and_time_and_forgotten_after_a_month() {
    let world = World::start().await;
    world.sign_up(None);
    world.sandbox.advance(TimeDelta::days(20));
    let since = world.sandbox.now().timestamp().to_string();
    let id = world.sign_up(None);
    world.sandbox.set_status(&id, Status::PastDue);
    let list = async |filter: &[(&str, &str)]| {
        let page = world.stripe(Method::GET, "/v1/events", filter).await.body;
        page["data"].as_array().unwrap().len()
    };

    let types = [
        ("types[]", "customer.subscription.created"),
        ("types[]", "invoice.paid"),
        ("limit", "100"),
    ];
    assert_eq!(list(&types).await, 4);
    assert_eq!(list(&[("created[gte]", &since), ("limit", "100")]).await, 8);
    world.sandbox.advance(TimeDelta::days(15));
    assert_eq!(
        list(&types).await,
        3,
        "the first two are gone, a renewal has come"
    );
}

#[tokio::test]
async fn what_falls_due_in_one_move_of_the_clock_happens_in_the_order_of_time() {
    let world = World::start().await;
    for trial_days in [Some(20), None, Some(5)] {
        world.sign_up(trial_days);
    }

    world.sandbox.advance(TimeDelta::days(100));

    let created: Vec<i64> = world
        .sandbox
        .events()
        .iter()
        .map(|event| event.created)
        .collect();
    assert!(created.len() > 30);
    assert!(created.is_sorted());
}
