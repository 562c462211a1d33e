//! Twilio's error answers.

use serde_json::json;

use crate::sandbox::wire::Reply;

/// `{"code", "message", "more_info", "status"}`; nothing was carried out.
pub fn error(status: u16, code: u32, message: &str) -> Reply {
    Reply::refused(
        status,
        json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status,
        }),
    )
}

pub fn authenticate() -> Reply {
    error(401, 20003, "Authenticate")
}

pub fn not_found(path: &str) -> Reply {
    error(
        404,
        20404,
        &format!("The requested resource {path} was not found"),
    )
}

/// Suspended or closed.
pub fn not_active() -> Reply {
    error(403, 10001, "Account is not active")
}

pub fn invalid_parameter(message: &str) -> Reply {
    error(400, 20001, message)
}

pub fn not_available() -> Reply {
    error(400, 21422, "PhoneNumber is not available")
}

pub fn too_many_requests() -> Reply {
    error(429, 20429, "Too Many Requests")
}

/// A fault on Twilio's side.
pub fn internal(status: u16) -> Reply {
    match status {
        503 => error(503, 20503, "Service unavailable"),
        status => error(status, 20500, "An internal server error has occurred"),
    }
}
