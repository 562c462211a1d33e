//! Calls and messages that apps ask for: the paths of three older services, one way through.

mod calls;
mod messages;
mod wish;

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, OpenApi,
    param::Header,
    payload::Json,
    types::{ParseFromJSON, ToJSON, Type},
};

use self::{
    calls::{CallAnswer, InitiateCall, MakeCall, OutgoingCall},
    messages::{MessageAnswer, OutgoingMessage, SendMessage, SendSms, SentSms},
};
use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, FlatProblem, Refused},
};
use crate::http::auth::Caller;

pub struct Outgoing(pub(super) Arc<Shared>);

/// What became of a wish by now.
#[derive(ApiResponse)]
enum Reply<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// The provider has it.
    #[oai(status = 200)]
    Sent(Json<T>),
    /// It is stored and will be done once; the provider has not answered yet. `sid` is an id of ours.
    #[oai(status = 202)]
    UnderWay(Json<T>),
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Reply<T> {
    fn of(is_sent: bool, body: Json<T>) -> Reply<T> {
        match is_sent {
            true => Reply::Sent(body),
            false => Reply::UnderWay(body),
        }
    }
}

type Flat<T> = Result<Reply<T>, Refused<FlatProblem>>;
type Enveloped<T> = Result<Reply<Envelope<T>>, Refused<EnvelopedProblem>>;

#[OpenApi(tag = "Tag::Telephony")]
impl Outgoing {
    /// Call somebody and tell them something
    ///
    /// From the user's own number. Asked again within a minute, or with the same idempotency key, it is the same call: it
    /// is dialled once.
    #[oai(path = "/twilio/make-call", method = "post", operation_id = "makeCall")]
    async fn make_call(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and calls nobody.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<MakeCall>,
    ) -> Flat<CallAnswer> {
        calls::make(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// Call somebody, for clients of the phone system
    #[oai(
        path = "/phone/calls/initiate",
        method = "post",
        operation_id = "initiateCall"
    )]
    async fn initiate_call(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and calls nobody.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<InitiateCall>,
    ) -> Enveloped<OutgoingCall> {
        calls::initiate(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// Write to somebody
    ///
    /// From the user's own number, once, and not to who wants no messages.
    #[oai(path = "/twilio/send-sms", method = "post", operation_id = "sendSms")]
    async fn send_sms(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and sends nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<SendSms>,
    ) -> Flat<MessageAnswer> {
        messages::send_sms(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// Write to somebody, for clients of the messaging service
    ///
    /// 402 where the plan is used up.
    #[oai(path = "/sms/send", method = "post", operation_id = "sendMessage")]
    async fn send_message(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and sends nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<SendMessage>,
    ) -> Flat<SentSms> {
        messages::send_message(&self.0, &caller, idempotency_key.0, body.0).await
    }

    /// Write to somebody, for clients of the phone system
    #[oai(
        path = "/phone/sms/send",
        method = "post",
        operation_id = "sendPhoneSms"
    )]
    async fn send_phone_sms(
        &self,
        caller: Caller,
        /// A copy of the request is answered like the first, and sends nothing.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Json<SendSms>,
    ) -> Enveloped<OutgoingMessage> {
        messages::send_phone_sms(&self.0, &caller, idempotency_key.0, body.0).await
    }
}
