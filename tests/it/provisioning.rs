//! From a Stripe event to a phone number that works, once, whatever goes wrong on the way.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::time::Duration;
use tollkeeper::{
    clock::Clock,
    queue,
    sandbox::{
        Fault, Mischief, MischiefRule, Rule, Sandbox, Settings, When,
        stripe::{ApiVersion, SignUp, SignedUp, Status},
    },
    worker::Register,
};
use tollkeeper_jobs::{HandleStripeEvent, Job, PollStripeEvents, SweepProviderResources};
use uuid::Uuid;

use crate::support::{
    service::{Service, Worker},
    until,
};

const PRICE: &str = "price_repx1";
const TO_NUMBERS: &str = "IncomingPhoneNumbers";

/// The service with real workers, and a sandbox that shares its clock.
struct House {
    service: Service,
    sandbox: Sandbox,
    worker: Worker,
}

impl House {
    async fn new() -> House {
        let clock = Clock::default();
        let sandbox = Sandbox::start(Settings {
            clock: clock.clone(),
            subaccounts_max: 10_000,
            ..Settings::default()
        })
        .await
        .unwrap();
        sandbox.add_price(PRICE, 9700);
        sandbox.add_price("price_nobody_knows", 1);
        let mut service = Service::with(|config| {
            config.stripe.api_base = sandbox.stripe_base();
            config.stripe.secret_key = "sk_test_sandbox".into();
            config.twilio.api_base = sandbox.twilio_base();
            config.twilio.auth_tokens = vec!["00000000000000000000000000000002".into()];
            let setting = "STRIPE_REPX1_MONTHLY_PRICE_ID".to_owned();
            config.price_ids.insert(setting, PRICE.into());
        })
        .await;
        service.ctx.clock = clock;
        let worker = service.work(Register::all());
        House {
            service,
            sandbox,
            worker,
        }
    }

    fn sign_up(&self, user: &str) -> SignedUp {
        self.sandbox
            .sign_up(&SignUp {
                user_id: user.into(),
                email: format!("{user}@example.com"),
                price_id: PRICE.into(),
                ..SignUp::default()
            })
            .unwrap()
    }

    /// What the receiver does with an event that was verified, the signature apart.
    async fn take_in(&self, event_id: &str) {
        let event = self
            .sandbox
            .signed_event(event_id, ApiVersion::New, "whsec")
            .unwrap();
        let mut tx = self.service.db.begin().await.unwrap();
        let stored: Option<Uuid> = sqlx::query_scalar(
            "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state)
             values ($1, 'stripe', $2, 'an event', 'test', '{}', $3, 'stored')
             on conflict (provider, event_key) do nothing returning id",
        )
        .bind(Uuid::now_v7())
        .bind(event_id)
        .bind(event.body.as_bytes())
        .fetch_optional(&mut *tx)
        .await
        .unwrap();
        if let Some(webhook_id) = stored {
            let job = HandleStripeEvent { webhook_id };
            queue::enqueue(&mut tx, &job).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.service.ctx.wake.ring();
    }

    /// Every event there is, in the order it came about.
    async fn take_in_all(&self) {
        for event in self.sandbox.events() {
            self.take_in(&event.id).await;
        }
        self.settle().await;
    }

    /// Wait until nothing is left to do by the house's own clock.
    async fn settle(&self) {
        until("nothing is due", async || {
            let soon = self.sandbox.now() + TimeDelta::minutes(1);
            let due: i64 = sqlx::query_scalar(
                "select count(*) from queue.jobs
                 where state in ('ready', 'running') or (state = 'waiting' and run_at < $1)",
            )
            .bind(soon)
            .fetch_one(&self.service.db)
            .await
            .unwrap();
            due == 0
        })
        .await;
    }

    async fn pass(&self, time: TimeDelta) {
        self.sandbox.advance(time);
        self.settle().await;
    }

    async fn sweep(&self) {
        let tick_at: DateTime<Utc> = self.sandbox.now();
        self.service
            .enqueue(&SweepProviderResources { tick_at })
            .await;
        self.settle().await;
    }

    async fn standing(&self, user: &str) -> String {
        sqlx::query_scalar("select status from telephony where account_id = $1")
            .bind(user)
            .fetch_optional(&self.service.db)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    async fn findings(&self) -> Vec<String> {
        sqlx::query_scalar("select kind from findings where closed_at is null order by kind")
            .fetch_all(&self.service.db)
            .await
            .unwrap()
    }

    /// Jobs that gave up, and why.
    async fn dead(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select kind || ': ' || coalesce(note, '') from queue.jobs where state = 'dead'",
        )
        .fetch_all(&self.service.db)
        .await
        .unwrap()
    }

    /// Subaccounts there are, subaccounts ever made, numbers held, numbers ever bought.
    fn held(&self) -> (usize, usize, usize, usize) {
        let subaccounts = self.sandbox.subaccounts();
        let open = subaccounts
            .iter()
            .filter(|account| format!("{:?}", account.status).to_lowercase() != "closed");
        (
            open.count(),
            subaccounts.len(),
            self.sandbox.numbers().len(),
            self.sandbox.numbers_ever_bought().len(),
        )
    }

    fn strike(&self, method: &str, path: &str, when: When, fault: Fault) {
        let twilio = tollkeeper::sandbox::Provider::Twilio;
        let rule = Rule::on(twilio, method, path, when, fault);
        self.sandbox.add_rules(vec![rule]);
    }
}

#[tokio::test]
async fn a_paid_sign_up_gets_one_number_that_points_at_us() {
    let house = House::new().await;
    house.sign_up("ann");

    house.take_in_all().await;
    house.take_in_all().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    let number = &house.sandbox.numbers()[0];
    assert!(number.friendly_name.starts_with("ord:"));
    assert_eq!(house.sandbox.subaccounts()[0].friendly_name, "acct:ann");
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}

#[tokio::test]
async fn a_lost_answer_buys_no_second_number_and_no_second_subaccount() {
    for fault in [
        Fault::CutAfterEffect,
        Fault::ErrorAfter { status: 500 },
        Fault::CutBeforeEffect,
        Fault::LateExecution {
            delay: Duration::from_millis(120),
        },
    ] {
        let house = House::new().await;
        house.strike("POST", "Accounts.json", When::First(1), fault.clone());
        house.strike("POST", TO_NUMBERS, When::First(2), fault.clone());
        house.sign_up("ann");

        house.take_in_all().await;

        assert_eq!(house.standing("ann").await, "active", "{fault:?}");
        assert_eq!(house.held(), (1, 1, 1, 1), "{fault:?}");
        house.sweep().await;
        assert_eq!(house.findings().await, Vec::<String>::new(), "{fault:?}");
        house.worker.stop().await;
    }
}

#[tokio::test]
async fn a_number_that_was_taken_meanwhile_gives_way_to_the_next() {
    let house = House::new().await;
    let taken = Fault::Refuse {
        status: 400,
        code: "21422".into(),
    };
    house.strike("POST", TO_NUMBERS, When::First(2), taken);
    house.sign_up("ann");

    house.take_in_all().await;

    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    let refused: i64 = house
        .service
        .value("select cardinality(refused)::bigint from phone_numbers")
        .await;
    assert_eq!(refused, 2);
    house.worker.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_an_operator_can_try_again() {
    let house = House::new().await;
    let trial = Fault::Refuse {
        status: 400,
        code: "21404".into(),
    };
    house.strike("POST", TO_NUMBERS, When::First(1), trial);
    house.sign_up("ann");
    house.take_in_all().await;
    assert_eq!(house.standing("ann").await, "failed");
    assert_eq!(house.findings().await, ["provisioning_refused"]);

    let job = tollkeeper_jobs::ProvisionNumber {
        account_id: "ann".into(),
    };
    house.service.enqueue(&job).await;
    house.settle().await;

    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}

#[tokio::test]
async fn who_cancels_is_suspended_and_who_returns_in_time_keeps_the_number() {
    let house = House::new().await;
    let first = house.sign_up("ann");
    house.take_in_all().await;
    let number = house.sandbox.numbers()[0].phone_number.clone();

    house
        .sandbox
        .set_status(&first.subscription_id, Status::Canceled);
    house.take_in_all().await;
    assert_eq!(house.standing("ann").await, "suspended");
    let subaccount = format!("{:?}", house.sandbox.subaccounts()[0].status);
    assert_eq!(subaccount.to_lowercase(), "suspended");

    house.pass(TimeDelta::days(6)).await;
    house.sign_up("ann");
    house.take_in_all().await;
    house.pass(TimeDelta::days(30)).await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 1));
    assert_eq!(house.sandbox.numbers()[0].phone_number, number);
    let subaccount = format!("{:?}", house.sandbox.subaccounts()[0].status);
    assert_eq!(subaccount.to_lowercase(), "active");
    house.worker.stop().await;
}

#[tokio::test]
async fn a_number_is_released_after_the_grace_time_and_a_return_orders_another() {
    let house = House::new().await;
    let first = house.sign_up("ann");
    house.take_in_all().await;
    house
        .sandbox
        .set_status(&first.subscription_id, Status::Canceled);
    house.take_in_all().await;

    house.pass(TimeDelta::days(8)).await;
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "released");
    assert_eq!(house.held(), (1, 1, 0, 1));

    house.sign_up("ann");
    house.take_in_all().await;
    assert_eq!(house.dead().await, Vec::<String>::new());
    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.held(), (1, 1, 1, 2));
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}

#[tokio::test]
async fn missing_payment_suspends_after_the_grace_time_and_not_before() {
    let house = House::new().await;
    let ann = house.sign_up("ann");
    let bob = house.sign_up("bob");
    house.take_in_all().await;
    for who in [&ann, &bob] {
        house
            .sandbox
            .set_status(&who.subscription_id, Status::PastDue);
    }
    house.take_in_all().await;
    house.pass(TimeDelta::days(2)).await;
    assert_eq!(house.standing("ann").await, "active");

    house
        .sandbox
        .set_status(&bob.subscription_id, Status::Active);
    house.take_in_all().await;
    house.pass(TimeDelta::hours(25)).await;

    assert_eq!(house.standing("ann").await, "suspended");
    assert_eq!(house.standing("bob").await, "active");
    house.worker.stop().await;
}

#[tokio::test]
async fn events_in_any_order_and_any_number_end_alike() {
    let house = House::new().await;
    let mut dice = StdRng::seed_from_u64(7);
    let users: Vec<String> = (0..24).map(|user| format!("user_{user}")).collect();
    let signed_up: Vec<SignedUp> = users.iter().map(|user| house.sign_up(user)).collect();
    for (position, who) in signed_up.iter().enumerate() {
        let id = &who.subscription_id;
        house.sandbox.set_status(id, Status::PastDue);
        house.sandbox.set_status(id, Status::Active);
        if position % 2 == 0 {
            house.sandbox.set_status(id, Status::Canceled);
        }
    }
    let mut events: Vec<String> = house
        .sandbox
        .events()
        .into_iter()
        .map(|event| event.id)
        .collect();
    let copies: Vec<String> = events
        .iter()
        .filter(|_| dice.random_bool(0.5))
        .cloned()
        .collect();
    events.extend(copies);
    events.shuffle(&mut dice);

    for event in &events {
        house.take_in(event).await;
    }
    house.settle().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    for (position, user) in users.iter().enumerate() {
        let expected = if position % 2 == 0 { "" } else { "active" };
        assert_eq!(house.standing(user).await, expected, "{user}");
    }
    assert_eq!(house.held(), (12, 12, 12, 12));
    house.worker.stop().await;
}

#[tokio::test]
async fn with_every_fault_on_each_account_has_one_subaccount_and_one_number() {
    let house = House::new().await;
    let rules = Rule::every_fault(0.1, Duration::from_millis(60));
    house.sandbox.add_rules(rules);
    const ACCOUNTS: usize = 40;
    for user in 0..ACCOUNTS {
        house.sign_up(&format!("user_{user}"));
    }

    house.take_in_all().await;

    assert_eq!(house.dead().await, Vec::<String>::new());
    let active: i64 = house
        .service
        .value("select count(*) from telephony where status = 'active'")
        .await;
    assert_eq!(active, ACCOUNTS as i64);
    assert_eq!(house.held(), (ACCOUNTS, ACCOUNTS, ACCOUNTS, ACCOUNTS));
    house.sandbox.clear_rules();
    house.sweep().await;
    assert_eq!(house.findings().await, Vec::<String>::new());
    house.worker.stop().await;
}

#[tokio::test]
async fn events_that_were_never_delivered_are_fetched() {
    let house = House::new().await;
    house
        .sandbox
        .add_webhook("http://127.0.0.1:9/nobody", "whsec");
    house.sandbox.add_mischief(vec![MischiefRule {
        event_type_contains: String::new(),
        when: When::Always,
        mischief: Mischief::Lose,
    }]);
    house.sign_up("ann");

    let tick_at = house.sandbox.now();
    house.service.enqueue(&PollStripeEvents { tick_at }).await;
    house.settle().await;

    assert_eq!(house.standing("ann").await, "active");
    house.worker.stop().await;
}

#[tokio::test]
async fn an_unknown_price_orders_nothing_and_is_reported() {
    let house = House::new().await;
    let who = SignUp {
        user_id: "ann".into(),
        price_id: "price_nobody_knows".into(),
        ..SignUp::default()
    };
    house.sandbox.sign_up(&who).unwrap();

    house.take_in_all().await;

    assert_eq!(house.findings().await, ["unknown_price"]);
    assert_eq!(house.standing("ann").await, "");
    assert_eq!(house.held(), (0, 0, 0, 0));
    house.worker.stop().await;
}

#[tokio::test]
async fn what_twilio_holds_and_we_do_not_is_reported_and_kept() {
    let house = House::new().await;
    house.sign_up("ann");
    house.take_in_all().await;
    let twilio = &house.service.ctx.twilio;
    let strange = twilio.create_account("somebody else's").await.unwrap();
    let double = twilio.create_account("acct:ann").await.unwrap();
    let own = house.sandbox.subaccounts()[0].sid.clone();
    let on_sale = twilio.numbers_on_sale(&own, "US", None).await.unwrap();
    let urls = tollkeeper::clients::twilio::Urls::of_account("https://hooks.test", "ann");
    twilio
        .buy_number(&own, &on_sale[0], "by hand", &urls)
        .await
        .unwrap();

    house.sweep().await;

    assert_eq!(
        house.findings().await,
        ["unknown_number", "unknown_subaccount"]
    );
    let status = async |sid: &str| twilio.account(sid).await.unwrap().unwrap().status;
    assert_eq!(status(&strange.sid).await, "active");
    assert_eq!(status(&double.sid).await, "closed");
    assert_eq!(status(&own).await, "active");
    assert_eq!(house.sandbox.numbers().len(), 2);
    house.worker.stop().await;
}

#[tokio::test]
async fn every_job_of_this_service_is_registered() {
    let kinds: Vec<&str> = Register::all().kinds().collect();
    for kind in [
        HandleStripeEvent::KIND,
        tollkeeper_jobs::SyncSubscription::KIND,
        tollkeeper_jobs::ProvisionSubaccount::KIND,
        tollkeeper_jobs::ProvisionNumber::KIND,
        tollkeeper_jobs::SuspendTelephony::KIND,
        tollkeeper_jobs::ReleaseNumber::KIND,
        tollkeeper_jobs::ReactivateTelephony::KIND,
        SweepProviderResources::KIND,
        PollStripeEvents::KIND,
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
}
