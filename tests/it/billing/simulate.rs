//! A year in minutes, as somebody runs it who wants to see it.

use serde_json::Value;

use crate::demo::{Folder, printed, tollkeeper};

#[test]
fn a_simulated_time_ends_with_books_that_are_stripes_to_the_cent_whatever_the_environment_says() {
    let data = Folder::new("simulation");
    let arguments = [
        "--output",
        "json",
        "billing",
        "simulate",
        "--accounts",
        "4",
        "--months",
        "2",
        "--seed",
        "5",
    ];
    let mut command = tollkeeper(&data.0, &arguments);
    command.env("DATABASE_URL", "postgres://nobody@nowhere.invalid/real");
    command.env("STRIPE_SECRET_KEY", "sk_live_made_up");

    let (code, text) = printed(command);

    assert_eq!(code, 0, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    for nothing in ["broken", "differences", "left"] {
        assert_eq!(report[nothing], serde_json::json!([]), "{text}");
    }
    // A renewal of everybody, at least.
    assert!(report["invoices"].as_i64() >= Some(8), "{text}");
    assert!(report["usage_minor"].as_i64() > Some(0), "{text}");
}
