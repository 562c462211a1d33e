//! From a Stripe event to a phone number that works, once, whatever goes wrong on the way.

mod endings;
mod faults;
mod old_news;

use chrono::TimeDelta;
use tollkeeper::{
    clients::twilio::Urls,
    sandbox::{
        Fault, Mischief, MischiefRule, When,
        stripe::{SignUp, Status},
    },
    worker::Register,
};
use tollkeeper_jobs::{HandleStripeEvent, Job, PollStripeEvents, SweepProviderResources};

use crate::support::{
    house::{House, TO_NUMBERS},
    phone::on_sale,
    until,
};

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
    let gave_way: bool = house
        .service
        .value(
            "select cardinality(refused) > 0 and phone_number <> all (refused) from phone_numbers",
        )
        .await;
    assert!(gave_way);
    house.worker.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_an_operator_can_try_again() {
    let house = House::new().await;
    let trial = Fault::Refuse {
        status: 400,
        code: "21404".into(),
    };
    // Always: every event that is still coming in has it tried again.
    house.strike("POST", TO_NUMBERS, When::Always, trial);
    house.sign_up("ann");
    house.take_in_all().await;
    assert_eq!(house.standing("ann").await, "failed");
    assert_eq!(house.findings().await, ["provisioning_refused"]);
    assert_eq!(told_of_numbers(&house).await, ["number.failed 21404"]);
    house.sandbox.clear_rules();

    let job = tollkeeper_jobs::ProvisionNumber::included("ann");
    house.service.enqueue(&job).await;
    house.settle().await;

    assert_eq!(house.standing("ann").await, "active");
    assert_eq!(house.findings().await, Vec::<String>::new());
    let number: String = house
        .service
        .value("select phone_number from phone_numbers where status = 'active'")
        .await;
    assert_eq!(
        told_of_numbers(&house).await,
        [
            "number.failed 21404",
            &format!("number.provisioned {number}")
        ]
    );
    house.worker.stop().await;
}

/// What apps are told of numbers, and which, or why not.
async fn told_of_numbers(house: &House) -> Vec<String> {
    sqlx::query_scalar(
        "select concat(type, ' ', data ->> 'code', data ->> 'phoneNumber') from notifications
         where type like 'number.%' order by created_at, notification_id",
    )
    .fetch_all(&house.service.db)
    .await
    .unwrap()
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
    let theirs = &strange.sid;
    let on_sale = on_sale(twilio, theirs, None).await;
    let urls = Urls::of_account("https://hooks.test", "ann");
    twilio
        .buy_number(theirs, &on_sale[0], "by hand", &urls)
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
async fn a_number_that_is_given_back_while_the_sweep_goes_on_is_not_missing() {
    let house = House::new().await;
    let ann = house.sign_up("ann");
    house.take_in_all().await;
    house
        .sandbox
        .set_status(&ann.subscription_id, Status::Canceled);
    house.take_in_all().await;
    let busy = Fault::TooManyRequests {
        retry_after_seconds: None,
    };
    // Between what we hold and what Twilio lists lies all the time that the listing takes.
    house.strike("GET", "/Accounts.json", When::Always, busy);
    let tick_at = house.sandbox.now();
    house
        .service
        .enqueue(&SweepProviderResources { tick_at })
        .await;
    until("the sweep asks", async || {
        let calls = house.sandbox.calls();
        calls.iter().any(|call| call.fault.is_some())
    })
    .await;

    house.sandbox.advance(TimeDelta::days(8));
    house.service.ctx.wake.ring();
    until("the number is given back", async || {
        house.standing("ann").await == "released" && house.held() == (1, 1, 0, 1)
    })
    .await;
    house.sandbox.clear_rules();
    house.settle().await;

    assert_eq!(house.findings().await, Vec::<String>::new());
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
