//! Who is answered, and who would rather not be.

use chrono::TimeDelta;

use super::house_of_ann;
use crate::support::phone::{CALLER, sid};

#[tokio::test]
async fn who_says_stop_is_answered_again_only_after_start() {
    let (house, web, phone) = house_of_ann().await;
    let mut nth = 0;
    let mut says = async |body: &str| {
        nth += 1;
        // Nobody writes that often: an hour lies between.
        house.sandbox.advance(TimeDelta::hours(1));
        let said = phone.message(&web, &sid("SM", nth), CALLER, body).await;
        house.settle().await;
        said.contains("<Message>")
    };
    let mut heard = Vec::new();
    for body in ["hello", "STOP", "hello?", "HELP", "unstop", "hello again"] {
        heard.push(says(body).await);
    }
    assert_eq!(heard, [true, false, false, false, false, true]);
}

#[tokio::test]
async fn no_machine_is_answered_for_ever() {
    let (house, web, phone) = house_of_ann().await;
    let mut heard = Vec::new();
    for nth in 0..5 {
        let said = phone
            .message(&web, &sid("SM", nth), CALLER, "auto-reply")
            .await;
        house.settle().await;
        heard.push(said.contains("<Message>"));
    }
    assert_eq!(heard, [true, true, true, false, false]);
    let abroad = "+448005550100";
    let others = ["12345", "BANK", phone.number.as_str(), abroad];
    for (nth, from) in others.iter().enumerate() {
        let said = phone.message(&web, &sid("MM", nth), from, "hello").await;
        assert!(!said.contains("<Message>"), "{from} was answered");
    }
}
