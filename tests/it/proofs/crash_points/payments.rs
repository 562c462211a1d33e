//! What becomes of a payment in the story: part of it is refunded, all of it disputed, and won back.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper::sandbox::Sandbox;

/// Give back what was paid last, and have it disputed for nothing. Answers the event of the next invoice, which the
/// sandbox tells of only when it is near.
pub async fn give_back(sandbox: &Sandbox, subscription_ref: &str) -> Value {
    let charges = ask(sandbox, Method::GET, "charges", &[]).await;
    let charge = charges["data"][0]["id"].as_str().unwrap();
    let form = [("charge", charge), ("amount", "100")];
    ask(sandbox, Method::POST, "refunds", &form).await;
    let dispute = sandbox.open_dispute(charge).unwrap();
    assert!(sandbox.close_dispute(&dispute, true));
    let details = json!({"subscription": subscription_ref});
    let invoice = json!({
        "object": "invoice", "currency": "usd",
        "parent": {"type": "subscription_details", "subscription_details": details},
    });
    json!({"id": "evt_upcoming", "type": "invoice.upcoming", "data": {"object": invoice}})
}

/// Ask the sandbox's Stripe, as its account's owner.
async fn ask(sandbox: &Sandbox, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
    let url = format!("{}/v1/{path}", sandbox.stripe_base());
    let request = reqwest::Client::new().request(method, url).form(form);
    let answer = request.bearer_auth("sk_test_sandbox").send().await.unwrap();
    answer.json().await.unwrap()
}
