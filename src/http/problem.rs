//! What went wrong with an API request, and how each family of paths says so.
//!
//! A handler returns a [`Problem`] and knows nothing of envelopes. The family is a matter of the
//! path alone, so a refusal looks the same whether a handler, the router or a parser found it.

use std::{fmt, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use poem::{
    Response,
    http::{StatusCode, header},
};
use serde_json::{Value, json};
use tollkeeper_jobs::mask::mask;

use super::family::Family;
use crate::grouped::Failed;

const PHONE_NUMBER: &str = "phone_number";

/// A refusal: a status, a code a program may branch on, and a sentence for a person.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// UPPER_SNAKE; never changes once given out.
    pub code: &'static str,
    pub message: String,
    /// More about the cause, for the families that have a place for it.
    pub details: Option<Value>,
    pub retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            status,
            code,
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    /// 400.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: nothing that says who is asking.
    pub fn missing_credentials() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "Missing or invalid authorization header",
        )
    }

    /// 401: a key or token that is not, no longer or not yet good. It is not said which.
    pub fn invalid_credentials() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_TOKEN",
            "Invalid or expired token",
        )
    }

    /// 403.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 403: a user asks for another user.
    pub fn not_your_own() -> Problem {
        Problem::forbidden("FORBIDDEN", "A user may only ask about their own account")
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    /// 503: it is our side that is broken, and the same request may succeed soon.
    pub fn unavailable() -> Problem {
        Problem {
            retry_after: Some(Duration::from_secs(2)),
            ..Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The service is temporarily unavailable, please try again",
            )
        }
    }

    /// 500: our fault; what it was is in our log.
    pub fn internal() -> Problem {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "The request failed on our side",
        )
    }

    /// The problem inside an error of the framework: a handler's own, or one for what the router
    /// and the parsers found. None: the error is a finished response already.
    pub fn of_error(error: &poem::Error) -> Option<Problem> {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return Some(problem.clone());
        }
        if error.is_from_response() {
            return None;
        }
        let status = error.status();
        Some(match status {
            StatusCode::NOT_FOUND => Problem::not_found("There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => Problem::new(
                status,
                "METHOD_NOT_ALLOWED",
                "This path does not take this method",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                status,
                "BODY_TOO_LARGE",
                "The body of the request is too large",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
                status,
                "UNSUPPORTED_MEDIA_TYPE",
                "Send the body as application/json",
            ),
            StatusCode::FORBIDDEN => Problem::forbidden("ORIGIN_NOT_ALLOWED", error.to_string()),
            status if status.is_client_error() => {
                Problem::new(status, "INVALID_REQUEST", error.to_string())
            }
            _ => {
                tracing::error!(error = %mask(&error.to_string()), "a request failed inside");
                Problem::internal()
            }
        })
    }

    /// The whole answer, in the shape of its family.
    pub fn into_response(self, family: Family, now: DateTime<Utc>) -> Response {
        let body = self.body(family, now);
        let mut response = Response::builder().status(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.code {
                "INVALID_TOKEN" => r#"Bearer realm="tollkeeper", error="invalid_token""#,
                _ => r#"Bearer realm="tollkeeper""#,
            };
            response = response.header(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after {
            response = response.header(header::RETRY_AFTER, after.as_secs().max(1));
        }
        response
            .header(header::CACHE_CONTROL, "no-store")
            .content_type("application/json; charset=utf-8")
            .body(body.to_string())
    }

    fn body(&self, family: Family, now: DateTime<Utc>) -> Value {
        match family {
            // The older systems refused who was not signed in before the envelope: the sentence is in `error`.
            Family::Enveloped if self.status == StatusCode::UNAUTHORIZED => json!({
                "success": false,
                "error": self.message,
                "message": self.message,
                "code": self.code,
            }),
            Family::Enveloped => {
                let mut error = json!({
                    "code": self.code,
                    "message": self.message,
                    "statusCode": self.status.as_u16(),
                });
                if let Some(details) = &self.details {
                    error["details"] = details.clone();
                }
                json!({
                    "success": false,
                    "error": error,
                    // The shipped client and its tests read it here.
                    "message": self.message,
                    "timestamp": timestamp(now),
                })
            }
            Family::Tenant if self.status == StatusCode::UNAUTHORIZED => {
                json!({ "success": false, "error": "Not authenticated", "code": self.code })
            }
            Family::Titled if self.status != StatusCode::UNAUTHORIZED => {
                let title = self.status.canonical_reason().unwrap_or("Error");
                json!({ "success": false, "error": title, "message": self.message, "code": self.code })
            }
            Family::Flat | Family::Titled | Family::Tenant => {
                json!({ "success": false, "error": self.message, "code": self.code })
            }
            Family::Bare => {
                let error = match (self.status, self.code) {
                    (StatusCode::UNAUTHORIZED, _) => "Unauthorized",
                    (_, "INTERNAL_ERROR") => "Internal server error",
                    _ => self.message.as_str(),
                };
                let mut body = json!({ "error": error, "code": self.code });
                if let Some(details @ Value::String(_)) = &self.details {
                    body["details"] = details.clone();
                }
                // The one fact that its clients look for by a name of its own.
                let fact = self.details.as_ref().and_then(|it| it.get(PHONE_NUMBER));
                if let Some(number) = fact {
                    body[PHONE_NUMBER] = number.clone();
                }
                body
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.status.as_u16(),
            self.code,
            self.message
        )
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> poem::Error {
        let status = problem.status;
        poem::Error::new(problem, status)
    }
}

/// Postgres' word for a text that none can be: one with a NUL.
const NO_TEXT: &str = "22021";

/// What the database said is ours to know: it is logged, and the caller is asked to come back. Of a text with a NUL
/// nothing is known.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Problem {
        if let sqlx::Error::Database(error) = &error
            && error.code().as_deref() == Some(NO_TEXT)
        {
            return Problem::bad_request("INVALID_PARAMETER", "A parameter holds a NUL character");
        }
        tracing::error!(error = %mask(&error.to_string()), "the database failed an API request");
        Problem::unavailable()
    }
}

/// It is not known to be done, and was logged where that was found: the caller is asked to come back.
impl From<Failed> for Problem {
    fn from(_: Failed) -> Problem {
        Problem::unavailable()
    }
}

/// An instant as every body writes it: `2026-11-20T14:35:00.000Z`.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enveloped_problem_says_its_message_twice() {
        let problem = Problem::bad_request("MISSING_PARAMETER", "userId is required");

        let body = problem.body(Family::Enveloped, DateTime::UNIX_EPOCH);

        assert_eq!(
            body,
            json!({
                "success": false,
                "error": { "code": "MISSING_PARAMETER", "message": "userId is required", "statusCode": 400 },
                "message": "userId is required",
                "timestamp": "1970-01-01T00:00:00.000Z",
            })
        );
    }

    /// What clients of the replaced services compare with.
    #[test]
    fn each_family_has_its_own_words_for_a_refusal() {
        let refused = || Problem::bad_request("MISSING_PARAMETER", "Phone number is required");
        let nobody = Problem::missing_credentials;
        let header = "Missing or invalid authorization header";
        for (family, problem, error, message) in [
            (Family::Flat, refused(), "Phone number is required", None),
            (
                Family::Titled,
                refused(),
                "Bad Request",
                Some("Phone number is required"),
            ),
            (Family::Tenant, refused(), "Phone number is required", None),
            (Family::Flat, nobody(), header, None),
            (Family::Titled, nobody(), header, None),
            (Family::Tenant, nobody(), "Not authenticated", None),
            (Family::Bare, nobody(), "Unauthorized", None),
        ] {
            let body = problem.body(family, DateTime::UNIX_EPOCH);
            assert_eq!(body["error"], error, "{family:?}");
            assert_eq!(body["message"].as_str(), message, "{family:?}");
        }
    }

    #[test]
    fn a_database_error_tells_the_caller_nothing() {
        let problem = Problem::from(sqlx::Error::Protocol("password of postgres".into()));

        let body = problem.body(Family::Flat, DateTime::UNIX_EPOCH).to_string();

        assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!body.contains("postgres"), "{body}");
    }
}
