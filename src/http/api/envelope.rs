//! The bodies that every operation shares, and how an operation says in the specification what its
//! refusals look like.

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Any, ParseFromJSON, ToJSON, Type},
};
use serde_json::Value;

use crate::http::problem::{Problem, timestamp};

/// A success, enveloped: the object is in `data`, the sentence in `message`.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Envelope<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// Always true.
    pub success: bool,
    pub data: T,
    pub message: Option<String>,
    /// When this was answered, ISO 8601 in UTC.
    pub timestamp: String,
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Envelope<T> {
    pub fn new(data: T, message: &str, now: DateTime<Utc>) -> Json<Envelope<T>> {
        Json(Envelope {
            success: true,
            data,
            message: Some(message.to_owned()),
            timestamp: timestamp(now),
        })
    }
}

/// A refusal of an enveloped operation.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct EnvelopedProblem {
    /// Always false.
    pub success: bool,
    pub error: ProblemBody,
    /// The same sentence as in `error`.
    pub message: String,
    pub timestamp: String,
}

/// What is wrong, for a program and for a person.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ProblemBody {
    /// UPPER_SNAKE; never changes once given out.
    pub code: String,
    pub message: String,
    pub status_code: u16,
    pub details: Option<Any<Value>>,
}

/// A refusal of `/api/twilio/*`, `/api/sms/*` and `/api/subscription/{userId}`, and of the enveloped operations for who
/// has no good credential.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct FlatProblem {
    /// Always false.
    pub success: bool,
    /// A sentence for a person; of calls and messages the status in words (`Bad Request`).
    pub error: String,
    /// The sentence, where `error` is the status in words, and beside it for who is not signed in.
    pub message: Option<String>,
    /// UPPER_SNAKE; never changes once given out.
    pub code: String,
}

/// A refusal of `/api/billing/*`, of `/api/phone/provision`, `release`, `details` and `search`, and of
/// `/api/calls/{callSid}/summary`.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct BareProblem {
    /// A sentence for a person.
    pub error: String,
    /// UPPER_SNAKE; never changes once given out.
    pub code: String,
    /// More about the cause.
    pub details: Option<Any<Value>>,
    /// The number that the user has, where that is what is wrong.
    pub phone_number: Option<String>,
}

/// The body of an operation's refusals, and what stands in its place for who has no good credential.
pub trait RefusalBody: Type + ParseFromJSON + ToJSON {
    type Unauthorized: Type + ParseFromJSON + ToJSON;
}

impl RefusalBody for EnvelopedProblem {
    type Unauthorized = FlatProblem;
}

impl RefusalBody for FlatProblem {
    type Unauthorized = FlatProblem;
}

impl RefusalBody for BareProblem {
    type Unauthorized = BareProblem;
}

/// The refusal of an operation whose refusals have the body `B`. `B` is documentation: the body is
/// written where every error is, by the family of the path.
pub struct Refused<B>(Problem, PhantomData<fn() -> B>);

impl<B, E: Into<Problem>> From<E> for Refused<B> {
    fn from(error: E) -> Refused<B> {
        Refused(error.into(), PhantomData)
    }
}

impl<B> From<Refused<B>> for poem::Error {
    fn from(refused: Refused<B>) -> poem::Error {
        refused.0.into()
    }
}

impl<B: RefusalBody> ApiResponse for Refused<B> {
    fn meta() -> MetaResponses {
        let responses = [
            (400, "Something in the request is missing or wrong."),
            (401, "No credential, or one that is not good."),
            (403, "The credential does not allow this."),
            (404, "There is no such thing."),
            (
                409,
                "It does not go with what is there, or the same `Idempotency-Key` came with another request.",
            ),
            (
                422,
                "It is well formed, and means nothing we can carry out.",
            ),
            (
                429,
                "The caller has asked too often; nothing was done, and `Retry-After` says when to come back.",
            ),
            (500, "It was tried and failed."),
            (
                503,
                "We are broken for the moment; `Retry-After` says when to come back.",
            ),
        ];
        MetaResponses {
            responses: responses
                .map(|(status, description)| MetaResponse {
                    description,
                    status: Some(status),
                    status_range: None,
                    content: vec![MetaMediaType {
                        content_type: Json::<B>::CONTENT_TYPE,
                        schema: match status {
                            401 => Json::<B::Unauthorized>::schema_ref(),
                            _ => Json::<B>::schema_ref(),
                        },
                    }],
                    headers: Vec::new(),
                })
                .into(),
        }
    }

    fn register(registry: &mut Registry) {
        B::register(registry);
        B::Unauthorized::register(registry);
    }
}
