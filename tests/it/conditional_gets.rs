//! What a client may keep of an answer, and how it learns that it still stands.

use reqwest::Method;
use serde_json::json;
use tollkeeper::http::auth::Scope;

use crate::support::{
    api::{Answer, Api, Setup, token},
    until,
};

const CONFIG: &str = "/api/subscription/twilio-config";
const NUMBERS: &str = "/api/twilio/numbers";
const EVERY_GET: [&str; 7] = [
    CONFIG,
    NUMBERS,
    "/api/twilio/subaccount/provision",
    "/api/subscription/ann",
    "/api/billing/usage",
    "/api/billing/history",
    "/api/billing/upcoming",
];

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

async fn again(api: &Api, path: &str, tag: &str) -> Answer {
    let headers = [("if-none-match", tag)];
    api.call(Method::GET, path, &token("ann"), None, &headers)
        .await
}

#[tokio::test]
async fn an_unchanged_answer_is_not_sent_again() {
    let api = Api::start().await;
    api.subscriber("ann", "repx2", "active").await;
    api.provisioned("ann", "+14155550100").await;
    for path in EVERY_GET {
        let first = api.get(path, &token("ann")).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text);
        assert_eq!(first.headers["cache-control"], "private, no-cache");
        assert_eq!(first.headers["vary"], "Authorization, X-User-Id");
        let tag = tag(&first);
        assert!(tag.starts_with("W/\""), "{path}: {tag}");

        for known in [&tag, &format!("\"other\", {tag}"), "*"] {
            let unchanged = again(&api, path, known).await;
            assert_eq!(unchanged.status, 304, "{path} {known}");
            assert_eq!(unchanged.text, "");
            assert_eq!(unchanged.headers["etag"], tag.as_str());
            assert_eq!(unchanged.headers["cache-control"], "private, no-cache");
            assert_eq!(unchanged.headers["vary"], "Authorization, X-User-Id");
            assert!(!unchanged.headers.contains_key("content-type"));
        }
        let unknown = again(&api, path, "W/\"other\"").await;
        assert_eq!(unknown.status, 200);
        assert!(unknown.text.len() > 10, "{}", unknown.text);
    }
}

#[tokio::test]
async fn a_changed_answer_is_sent() {
    let api = Api::start().await;
    api.account("ann").await;
    for path in [CONFIG, NUMBERS, "/api/subscription/ann"] {
        let before = tag(&api.get(path, &token("ann")).await);
        match path {
            CONFIG => api.provisioned("ann", "+14155550100").await,
            NUMBERS => rename(&api).await,
            _ => subscribe(&api).await,
        }

        let changed = again(&api, path, &before).await;

        assert_eq!(changed.status, 200, "{path}");
        assert!(changed.body.is_object(), "{path}: {}", changed.text);
        assert_ne!(tag(&changed), before, "{path}");
    }
}

async fn rename(api: &Api) {
    sqlx::query("update phone_numbers set friendly_name = 'front desk' where account_id = 'ann'")
        .execute(&api.db)
        .await
        .unwrap();
}

async fn subscribe(api: &Api) {
    sqlx::query(
        "insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier,
                                    period_starts_at, period_ends_at, created_at, synced_at)
         values ('sub_1', 'ann', 'cus_1', 'active', 'repx2', '2026-11-01Z', '2026-12-01Z',
                 '2026-11-01Z', '2026-11-01Z')",
    )
    .execute(&api.db)
    .await
    .unwrap();
}

#[tokio::test]
async fn the_time_of_an_answer_is_no_change() {
    let api = Api::start().await;
    let first = api.get(CONFIG, &token("ann")).await;
    let time = first.body["timestamp"].clone();
    until("an answer has another time", async || {
        api.get(CONFIG, &token("ann")).await.body["timestamp"] != time
    })
    .await;

    let later = api.get(CONFIG, &token("ann")).await;

    assert_ne!(later.body["timestamp"], time);
    assert_eq!(tag(&later), tag(&first));
    assert_eq!(again(&api, CONFIG, &tag(&first)).await.status, 304);
}

#[tokio::test]
async fn a_tag_opens_nothing_and_fits_nobody_elses_answer() {
    let api = Api::start().await;
    for (account_id, number) in [("ann", "+14155550100"), ("ben", "+14155550101")] {
        api.account(account_id).await;
        api.provisioned(account_id, number).await;
    }
    let anns = tag(&api.get(NUMBERS, &token("ann")).await);
    let headers = [("if-none-match", anns.as_str())];

    let nobody = api.call(Method::GET, NUMBERS, "", None, &headers).await;
    let stranger = format!("{NUMBERS}?userId=ann");
    let stranger = api
        .call(Method::GET, &stranger, &token("ben"), None, &headers)
        .await;
    let ben = api
        .call(Method::GET, NUMBERS, &token("ben"), None, &headers)
        .await;

    assert_eq!(
        (nobody.status.as_u16(), stranger.status.as_u16()),
        (401, 403)
    );
    assert_eq!(ben.status, 200);
    assert!(ben.text.contains("+14155550101"), "{}", ben.text);
}

#[tokio::test]
async fn refusals_and_orders_are_never_kept() {
    let api = Api::start_with(Setup {
        provision_wait: std::time::Duration::ZERO,
        ..Setup::default()
    })
    .await;
    api.subscriber("ann", "repx2", "active").await;
    let key = api.key(&[Scope::All]).await;
    let wish = json!({ "userId": "ann", "email": "a@example.com", "subscriptionTier": "repx2" });
    let everything = [("if-none-match", "*")];
    let order = || {
        let path = "/api/subscription/provision-twilio";
        let wish = Some(wish.clone());
        api.call(Method::POST, path, &key, wish, &everything)
    };
    let ordered = order().await;
    api.provisioned("ann", "+14155550100").await;
    let there_already = order().await;
    assert_eq!(
        (ordered.status.as_u16(), there_already.status.as_u16()),
        (202, 200)
    );

    for answer in [
        ordered,
        there_already,
        api.call(Method::GET, NUMBERS, &key, None, &everything)
            .await,
        api.call(Method::GET, NUMBERS, "", None, &everything).await,
        api.call(Method::GET, "/api/nowhere", &key, None, &everything)
            .await,
        api.call(Method::DELETE, NUMBERS, &key, None, &everything)
            .await,
    ] {
        assert_eq!(
            answer.headers["cache-control"], "no-store",
            "{}",
            answer.text
        );
        assert!(!answer.headers.contains_key("etag"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_answer_for_a_page_of_another_origin_varies_by_both() {
    let api = Api::start_with(Setup {
        cors_origins: vec!["https://crm.example".to_owned()],
        ..Setup::default()
    })
    .await;

    let headers = [("origin", "https://crm.example")];
    let answer = api
        .call(Method::GET, NUMBERS, &token("ann"), None, &headers)
        .await;

    let all = answer.headers.get_all("vary").iter();
    let all: Vec<_> = all.map(|value| value.to_str().unwrap()).collect();
    assert_eq!(all, ["Origin", "Authorization, X-User-Id"]);
}
