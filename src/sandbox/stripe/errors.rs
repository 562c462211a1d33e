//! Stripe's error answers.

use serde_json::json;

use crate::sandbox::wire::Reply;

/// `{"error": {"type", "code", "message"}}`; nothing was carried out.
pub fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Reply {
    let mut error = json!({"type": kind, "message": message});
    if let Some(code) = code {
        error["code"] = json!(code);
    }
    Reply::refused(status, json!({"error": error}))
}

fn invalid_request(status: u16, code: Option<&str>, param: &str, message: &str) -> Reply {
    let mut reply = error(status, "invalid_request_error", code, message);
    if let Some(body) = &mut reply.body {
        body["error"]["param"] = json!(param);
    }
    reply
}

/// A parameter is missing.
pub fn missing_parameter(param: &str) -> Reply {
    let message = format!("Missing required param: {param}.");
    invalid_request(400, Some("parameter_missing"), param, &message)
}

/// A parameter has a value that cannot be.
pub fn invalid_parameter(param: &str, message: &str) -> Reply {
    invalid_request(400, Some("parameter_invalid"), param, message)
}

/// A parameter that is a whole number is none.
pub fn invalid_integer(param: &str) -> Reply {
    invalid_request(
        400,
        Some("parameter_invalid_integer"),
        param,
        &format!("Invalid integer: {param}"),
    )
}

/// A parameter that this call does not have.
pub fn unknown_parameter(param: &str) -> Reply {
    let message = format!("Received unknown parameter: {param}");
    invalid_request(400, Some("parameter_unknown"), param, &message)
}

/// More than eight digits.
pub fn amount_too_large(param: &str) -> Reply {
    let message = "Amount must be no more than $999,999.99";
    invalid_request(400, Some("amount_too_large"), param, message)
}

/// Nothing is left of a charge.
pub fn already_refunded(charge: &str) -> Reply {
    let message = format!("Charge {charge} has already been refunded.");
    error(
        400,
        "invalid_request_error",
        Some("charge_already_refunded"),
        &message,
    )
}

/// There is nothing to preview.
pub fn no_upcoming_invoice(customer: &str) -> Reply {
    let message = format!("No upcoming invoices for customer: {customer}");
    error(
        404,
        "invalid_request_error",
        Some("invoice_upcoming_none"),
        &message,
    )
}

/// The invoice is no draft any more.
pub fn invoice_not_editable() -> Reply {
    error(
        400,
        "invalid_request_error",
        Some("invoice_not_editable"),
        "The specified invoice can no longer be edited.",
    )
}

/// The bank says no. The attempt was made: the answer is kept under the idempotency key.
pub fn card_declined() -> Reply {
    let message = "Your card has insufficient funds.";
    let mut reply = error(402, "card_error", Some("card_declined"), message);
    if let Some(body) = &mut reply.body {
        body["error"]["decline_code"] = json!("insufficient_funds");
    }
    reply.is_executed = true;
    reply
}

/// The object the URL names is not there.
pub fn no_such(object: &str, id: &str) -> Reply {
    invalid_request(
        404,
        Some("resource_missing"),
        "id",
        &format!("No such {object}: '{id}'"),
    )
}

/// An object that a parameter names is not there.
pub fn no_such_reference(object: &str, id: &str, param: &str) -> Reply {
    invalid_request(
        400,
        Some("resource_missing"),
        param,
        &format!("No such {object}: '{id}'"),
    )
}

/// The object is in a state that does not allow it.
pub fn not_now(message: &str) -> Reply {
    error(400, "invalid_request_error", None, message)
}

pub fn unknown_url(method: &str, path: &str) -> Reply {
    let message = format!("Unrecognized request URL ({method}: {path}).");
    error(404, "invalid_request_error", None, &message)
}

pub fn invalid_api_key() -> Reply {
    error(
        401,
        "invalid_request_error",
        None,
        "Invalid API Key provided: sk_test_****",
    )
}

pub fn not_a_form() -> Reply {
    let message = "Invalid request: the body must be application/x-www-form-urlencoded.";
    error(400, "invalid_request_error", None, message)
}

pub fn key_in_use() -> Reply {
    let message = "There is currently another in-progress request using this Idempotency Key (that probably \
                   means you submitted twice, and the other request is still going through).";
    error(
        409,
        "idempotency_error",
        Some("idempotency_key_in_use"),
        message,
    )
    .with_header("Stripe-Should-Retry", "true")
}

pub fn key_of_another_request(key: &str) -> Reply {
    let message = format!(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. \
         Try using a key other than '{key}' if you meant to execute a different request."
    );
    error(400, "idempotency_error", None, &message)
}

pub fn too_many_requests() -> Reply {
    error(
        429,
        "invalid_request_error",
        Some("rate_limit"),
        "Request rate limit exceeded.",
    )
    .with_header("Stripe-Rate-Limited-Reason", "endpoint-rate")
}

/// A fault on Stripe's side. A 500 counts as an answer and is kept under the idempotency key; other
/// statuses come from a gateway before the API.
pub fn internal(status: u16) -> Reply {
    let reply = error(status, "api_error", None, "An unknown error occurred");
    if status != 500 {
        return reply;
    }
    let mut kept = reply.with_header("Stripe-Should-Retry", "false");
    kept.is_executed = true;
    kept
}
