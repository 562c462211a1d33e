//! Answers that are lost, requests that are carried out late: still one of each.

use std::time::Duration;

use chrono::TimeDelta;
use tollkeeper::sandbox::{Fault, When};

use super::{Ann, THEM, assert_refused};
use crate::support::phone::sid;

#[tokio::test]
async fn a_lost_answer_dials_and_sends_once() {
    for fault in [
        Fault::CutAfterEffect,
        Fault::ErrorAfter { status: 500 },
        Fault::CutBeforeEffect,
        Fault::LateExecution {
            delay: Duration::from_millis(120),
        },
    ] {
        let ann = Ann::new().await;
        for path in ["Calls.json", "Messages.json"] {
            ann.house
                .strike("POST", path, When::First(1), fault.clone());
        }

        ann.call("Hello").await;
        ann.write("Hello").await;
        ann.house.settle().await;

        assert_eq!(ann.made(), (1, 1), "{fault:?}");
        let [called, written] = [ann.call("Hello").await, ann.write("Hello").await];
        let sandbox = &ann.house.sandbox;
        assert_eq!(
            called.body["sid"],
            sandbox.phone_calls()[0].sid,
            "{fault:?}"
        );
        assert_eq!(
            written.body["sid"],
            sandbox.phone_messages()[0].sid,
            "{fault:?}"
        );
        assert_eq!(ann.house.dead().await, Vec::<String>::new());
        ann.house.worker.stop().await;
    }
}

#[tokio::test]
async fn a_call_of_which_nobody_knows_is_looked_for_and_not_dialled_again() {
    let patient = |config: &mut tollkeeper::config::Config| {
        config.telephony.quiet_time = Duration::from_secs(600);
    };
    let ann = Ann::waiting(Duration::from_millis(300), patient).await;
    let nothing_done = Fault::ErrorBefore { status: 500 };
    ann.house
        .strike("POST", "Calls.json", When::First(1), nothing_done);

    // The client is told an id of ours, so that it has one, and that the call is on its way.
    let answer = ann.call("Hello").await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.body["sid"], answer.body["call"]["id"]);
    assert_eq!(answer.body["status"], "queued");
    assert_eq!(ann.spent().await, 60 * 14_000);
    let again = ann.call("Hello").await;
    assert_eq!(again.body["sid"], answer.body["sid"]);

    ann.house.pass(TimeDelta::minutes(12)).await;

    assert_eq!(ann.made(), (0, 0));
    assert_eq!((ann.spent().await, ann.held().await), (0, 0));
    let state = ann
        .house
        .service
        .value::<String>("select state from outbound")
        .await;
    assert_eq!(state, "failed");
    assert_eq!(ann.house.dead().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_comes_too_late_is_not_sent() {
    let ann = Ann::waiting(Duration::from_millis(200), |_| {}).await;
    let outage = Fault::TooManyRequests {
        retry_after_seconds: Some(400),
    };
    ann.house
        .strike("POST", "Calls.json", When::First(1), outage);

    assert_eq!(ann.call("Hello").await.status, 202);
    ann.house.pass(TimeDelta::seconds(401)).await;

    assert_eq!(
        (ann.made(), ann.spent().await, ann.held().await),
        ((0, 0), 0, 0)
    );
}

#[tokio::test]
async fn who_is_suspended_after_the_click_calls_nobody() {
    let suspended = "update telephony set status = 'suspended' where account_id = 'ann'";
    let ann = changed_after_the_click(suspended).await;
    assert_eq!((ann.made(), ann.held().await), ((0, 0), 0));
    assert_refused(&ann.call("Hello").await, 403, "TELEPHONY_SUSPENDED");
}

#[tokio::test]
async fn nothing_leaves_from_a_number_that_was_given_back_after_the_click() {
    let given_back = "update phone_numbers set status = 'releasing', released_at = now() where account_id = 'ann'";
    let ann = changed_after_the_click(given_back).await;
    assert_eq!(
        (ann.made(), ann.spent().await, ann.held().await),
        ((0, 0), 0, 0)
    );
}

#[tokio::test]
async fn a_number_that_works_calls_though_the_included_one_failed() {
    let failed = "update telephony set status = 'failed' where account_id = 'ann'";
    let ann = changed_after_the_click(failed).await;
    assert_eq!(ann.made(), (1, 0));
    assert_eq!(ann.call("Hello again").await.status, 200);
}

#[tokio::test]
async fn who_says_stop_after_the_click_is_not_written_to() {
    let ann = Ann::waiting(Duration::from_millis(200), |_| {}).await;
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(30),
    };
    let messages = "Messages.json";
    ann.house.strike("POST", messages, When::First(1), busy);
    assert_eq!(ann.write("Hello").await.status, 202);
    ann.phone
        .message(&ann.web, &sid("SM", 1), THEM, "STOP")
        .await;
    ann.house.settle().await;
    ann.house.pass(TimeDelta::seconds(31)).await;
    assert_eq!(
        (ann.made(), ann.spent().await, ann.held().await),
        ((0, 0), 0, 0)
    );
}

#[tokio::test]
async fn a_message_that_waits_keeps_no_call_from_being_dialled() {
    let ann = Ann::waiting(Duration::from_secs(4), |_| {}).await;
    let full = Fault::Refuse {
        status: 429,
        code: "21611".into(),
    };
    ann.house
        .strike("POST", "Messages.json", When::Always, full);
    assert_eq!(ann.write("Hello").await.status, 202);
    assert_eq!(ann.call("Hello").await.status, 200);
    assert_eq!(ann.made(), (1, 0));
}

/// Ann asks for a call, which the provider has no time for at first; this changes before it is asked again.
async fn changed_after_the_click(change: &'static str) -> Ann {
    let ann = Ann::waiting(Duration::from_millis(200), |_| {}).await;
    let busy = Fault::TooManyRequests {
        retry_after_seconds: Some(30),
    };
    ann.house.strike("POST", "Calls.json", When::First(1), busy);
    assert_eq!(ann.call("Hello").await.status, 202);
    ann.house.service.execute(change).await;
    ann.house.pass(TimeDelta::seconds(31)).await;
    ann
}
