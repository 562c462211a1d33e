//! What becomes of the bill when a subscription changes: its price, its anchor, its end, its pauses.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::{clock::Clock, sandbox::Settings};

use super::client::{PRICE, World, id, ids, text};

const PLUS: &str = "price_plus";
const MONTHLY: i64 = 2900;
const MONTHLY_PLUS: i64 = 9900;

/// Zoë's subscription, some days into its first month, and a dearer price.
struct Story {
    world: World,
    id: String,
    customer: String,
    item: String,
    start: i64,
    end: i64,
}

impl Story {
    async fn begin(days: i64) -> Story {
        let world = World::start().await;
        world.sandbox.add_price(PLUS, MONTHLY_PLUS);
        let id = world.subscription().await;
        let subscription = world.look(&format!("/v1/subscriptions/{id}"), &[]).await;
        let item = &subscription["items"]["data"][0];
        let story = Story {
            customer: text(&subscription["customer"]),
            item: text(&item["id"]),
            start: item["current_period_start"].as_i64().unwrap(),
            end: item["current_period_end"].as_i64().unwrap(),
            id,
            world,
        };
        story.world.sandbox.advance(TimeDelta::days(days));
        story
    }

    async fn get(&self) -> Value {
        let path = format!("/v1/subscriptions/{}", self.id);
        self.world.look(&path, &[]).await
    }

    async fn change(&self, form: &[(&str, &str)]) -> Value {
        let path = format!("/v1/subscriptions/{}", self.id);
        self.world.make(&path, form).await
    }

    /// To the dearer price, in that way.
    async fn upgrade(&self, behavior: &str) -> Value {
        let form = [
            ("items[0][id]", self.item.as_str()),
            ("items[0][price]", PLUS),
            ("proration_behavior", behavior),
        ];
        self.change(&form).await
    }

    fn now(&self) -> i64 {
        self.world.sandbox.now().timestamp()
    }

    /// What an amount of the first month is from then on.
    fn share(&self, amount: i64, from: i64) -> i64 {
        let (rest, whole) = (self.end - from, self.end - self.start);
        (2 * amount * rest + whole) / (2 * whole)
    }

    /// The amounts of the proration items, oldest first, and the second they are reckoned from.
    async fn prorations(&self) -> (Vec<i64>, i64) {
        let query = [("customer", self.customer.as_str())];
        let items = self.world.look("/v1/invoiceitems", &query).await;
        let items = items["data"].as_array().unwrap();
        let amounts = items.iter().rev();
        let amounts = amounts
            .map(|item| item["amount"].as_i64().unwrap())
            .collect();
        (amounts, items[0]["period"]["start"].as_i64().unwrap())
    }

    fn pass_to_renewal(&self) {
        let rest = self.end - self.now();
        self.world.sandbox.advance(TimeDelta::seconds(rest));
    }

    async fn latest_invoice(&self) -> Value {
        let latest = self.get().await["latest_invoice"].clone();
        self.world.invoice(latest.as_str().unwrap()).await
    }
}

#[tokio::test]
async fn a_dearer_price_in_mid_month_is_reckoned_to_the_second_and_billed_with_the_renewal() {
    let story = Story::begin(10).await;

    story.upgrade("create_prorations").await;

    let (amounts, from) = story.prorations().await;
    let [unused, remaining] = [story.share(MONTHLY, from), story.share(MONTHLY_PLUS, from)];
    assert_eq!(amounts, [-unused, remaining]);
    story.pass_to_renewal();
    let draft = story.latest_invoice().await;
    assert_eq!(draft["billing_reason"], "subscription_cycle");
    assert_eq!(draft["total"], MONTHLY_PLUS + remaining - unused);
    let line = &draft["lines"]["data"][1];
    assert_eq!(line["parent"]["invoice_item_details"]["proration"], true);
    assert_eq!(line["period"], json!({"start": from, "end": story.end}));
}

#[tokio::test]
async fn a_change_that_is_invoiced_at_once_is_paid_at_once() {
    let story = Story::begin(10).await;
    let before = story.world.sandbox.events().len();

    story.upgrade("always_invoice").await;

    let (_, from) = story.prorations().await;
    let invoice = story.latest_invoice().await;
    let total = story.share(MONTHLY_PLUS, from) - story.share(MONTHLY, from);
    assert_eq!(
        (&invoice["total"], &invoice["status"]),
        (&json!(total), &json!("paid"))
    );
    assert_eq!(invoice["billing_reason"], "subscription_update");
    assert_eq!(
        story.world.types_since(before),
        [
            "invoiceitem.created",
            "invoiceitem.created",
            "invoice.created",
            "invoice.finalized",
            "customer.subscription.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
    story.pass_to_renewal();
    assert_eq!(story.latest_invoice().await["total"], MONTHLY_PLUS);
}

#[tokio::test]
async fn a_change_without_prorations_costs_nothing_before_the_renewal() {
    let story = Story::begin(10).await;

    story.upgrade("none").await;
    story.pass_to_renewal();

    assert_eq!(story.latest_invoice().await["total"], MONTHLY_PLUS);
    let all = [("customer", story.customer.as_str())];
    assert!(ids(&story.world.look("/v1/invoiceitems", &all).await).is_empty());
}

#[tokio::test]
async fn an_item_that_is_removed_is_given_back_and_the_last_one_stays() {
    let story = Story::begin(10).await;
    let path = format!("/v1/subscriptions/{}", story.id);
    story
        .change(&[("items[0][price]", PLUS), ("proration_behavior", "none")])
        .await;

    let form = [
        ("items[0][id]", story.item.as_str()),
        ("items[0][deleted]", "true"),
    ];
    let left = story.change(&form).await;

    assert_eq!(left["items"]["data"].as_array().map(Vec::len), Some(1));
    let (amounts, from) = story.prorations().await;
    assert_eq!(amounts, [-story.share(MONTHLY, from)]);
    let last = text(&left["items"]["data"][0]["id"]);
    let form = [
        ("items[0][id]", last.as_str()),
        ("items[0][deleted]", "true"),
    ];
    assert_eq!(story.world.refusal(&path, &form).await.0, 400);
}

#[tokio::test]
async fn an_anchor_set_to_now_begins_a_period_and_bills_it_at_once() {
    for anchor in ["billing_cycle_anchor", "billing_cycle_anchor[type]"] {
        let story = Story::begin(10).await;

        let changed = story.change(&[(anchor, "now")]).await;

        let (amounts, from) = story.prorations().await;
        assert_eq!(changed["billing_cycle_anchor"], from);
        assert_eq!(changed["items"]["data"][0]["current_period_start"], from);
        let unused = story.share(MONTHLY, from);
        assert_eq!(amounts, [-unused]);
        let invoice = story.latest_invoice().await;
        assert_eq!(invoice["billing_reason"], "subscription_update");
        assert_eq!(invoice["amount_paid"], MONTHLY - unused);
        assert_eq!(invoice["period_start"], story.start);
        assert_eq!(invoice["period_end"], from);
    }
}

#[tokio::test]
async fn an_end_at_once_drops_gives_back_or_bills_what_changes_left_pending() {
    for (form, pending, invoiced) in [
        (vec![], 0, false),
        (vec![("prorate", "true")], 3, false),
        (vec![("invoice_now", "true")], 0, true),
    ] {
        let story = Story::begin(10).await;
        story.upgrade("create_prorations").await;
        let path = format!("/v1/subscriptions/{}", story.id);

        let ended = story.world.stripe(Method::DELETE, &path, &form).await.body;

        assert_eq!(ended["status"], "canceled");
        let query = [("customer", story.customer.as_str()), ("pending", "true")];
        let left = story.world.look("/v1/invoiceitems", &query).await;
        assert_eq!(ids(&left).len(), pending, "{form:?}");
        let reason = &story.latest_invoice().await["billing_reason"];
        assert_eq!(reason == "subscription_update", invoiced, "{form:?}");
    }
}

#[tokio::test]
async fn a_trials_end_makes_a_draft_like_a_renewals() {
    let world = World::start().await;
    let id = world.sign_up(Some(10));
    let path = format!("/v1/subscriptions/{id}");
    let trial_end = world.look(&path, &[]).await["trial_end"].as_i64().unwrap();
    let now = world.sandbox.now().timestamp();

    world.sandbox.advance(TimeDelta::seconds(trial_end - now));

    let subscription = world.look(&path, &[]).await;
    let draft = world
        .invoice(subscription["latest_invoice"].as_str().unwrap())
        .await;
    assert_eq!(
        (&draft["status"], &draft["total"]),
        (&json!("draft"), &json!(MONTHLY))
    );
    assert_eq!(draft["billing_reason"], "subscription_cycle");
    assert_eq!(draft["period_end"], trial_end);
}

#[tokio::test]
async fn a_paused_collection_leaves_invoices_as_it_says() {
    for (behavior, status) in [
        ("keep_as_draft", "draft"),
        ("void", "void"),
        ("mark_uncollectible", "uncollectible"),
    ] {
        let story = Story::begin(1).await;
        story
            .change(&[("pause_collection[behavior]", behavior)])
            .await;

        story.pass_to_renewal();
        story.world.sandbox.advance(TimeDelta::hours(2));

        assert_eq!(story.latest_invoice().await["status"], status);
        assert_eq!(story.get().await["status"], "active");
        assert!(!story.world.event_types().contains(&"invoice.upcoming"));
        story.change(&[("pause_collection", "")]).await;
        story.world.sandbox.advance(TimeDelta::days(32));
        assert_eq!(story.latest_invoice().await["status"], "paid");
    }
}

#[tokio::test]
async fn a_paused_subscription_has_no_invoices_until_it_is_resumed_and_billed() {
    let story = Story::begin(10).await;
    let path = format!("/v1/subscriptions/{}", story.id);

    let paused = story.world.make(&format!("{path}/pause"), &[]).await;
    assert_eq!(paused["status"], "paused");
    let before = story.world.sandbox.events().len();
    story.world.sandbox.advance(TimeDelta::days(100));
    assert!(story.world.types_since(before).is_empty());
    story.world.make(&format!("{path}/resume"), &[]).await;

    let invoice = story.latest_invoice().await;
    assert_eq!(
        (&invoice["status"], &invoice["total"]),
        (&json!("paid"), &json!(MONTHLY))
    );
    let resumed = story.get().await;
    assert_eq!(resumed["status"], "active");
    assert_eq!(
        resumed["items"]["data"][0]["current_period_start"],
        invoice["created"]
    );
}

#[tokio::test]
async fn a_renewal_is_announced_so_many_days_before_unless_it_will_not_come() {
    let settings = Settings {
        renewal_notice_days: 7,
        ..Settings::default()
    };
    let world = World::start_with(settings).await;
    let told = world.subscription().await;
    let ending = world.subscription().await;
    let path = format!("/v1/subscriptions/{ending}");
    world.make(&path, &[("cancel_at_period_end", "true")]).await;
    let subscription = world.look(&format!("/v1/subscriptions/{told}"), &[]).await;
    let end = subscription["items"]["data"][0]["current_period_end"]
        .as_i64()
        .unwrap();

    world.sandbox.advance(TimeDelta::days(40));

    let events = world
        .look("/v1/events", &[("type", "invoice.upcoming")])
        .await;
    let events = events["data"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["created"], end - 7 * 24 * 60 * 60);
}

#[tokio::test]
async fn months_are_counted_from_the_anchor_so_that_the_31st_comes_back() {
    let start: DateTime<Utc> = "2027-01-31T12:00:00Z".parse().unwrap();
    let clock = Clock::default();
    clock.advance(start - clock.now());
    let world = World::start_with(Settings {
        clock,
        ..Settings::default()
    })
    .await;
    let subscription = world.subscription().await;

    world.sandbox.advance(TimeDelta::days(125));

    let query = [("subscription", subscription.as_str())];
    let invoices = world.look("/v1/invoices", &query).await;
    let days: Vec<String> = invoices["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|invoice| {
            let created = DateTime::from_timestamp(invoice["created"].as_i64().unwrap(), 0);
            created.unwrap().format("%m-%d").to_string()
        })
        .collect();
    assert_eq!(days, ["05-31", "04-30", "03-31", "02-28", "01-31"]);
    assert_ne!(id(&invoices["data"][0]), PRICE);
}
