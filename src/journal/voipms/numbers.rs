//! The effects on numbers: order, switch messages on, cancel.
//!
//! A number has no id there but its digits, and an order takes no key. So nothing that may be under way is asked for
//! again: it is looked for until it is there, or cannot come about any more. What is ours is known by our mark, its note.

use serde_json::{Value, json};
use sqlx::PgConnection;
use tollkeeper_jobs::{outside::Discipline, provision_number::DID_IN_USE, telephony::voipms::did};
use uuid::Uuid;

use super::client;
use crate::{
    clients::{
        ClientError,
        voipms::{PROVIDER, capabilities},
    },
    context::Context,
    db::{accounts, phone_numbers},
    journal::{Effect, Found, Permission, nothing_more, while_ordered},
    queue::Failure,
};

/// Order exactly the number that is written down as an order's candidate.
pub struct OrderDid<'a> {
    pub account_id: &'a str,
    pub number_id: Uuid,
    /// How many candidates were refused before; each candidate is an effect of its own.
    pub candidate: usize,
    pub phone_number: &'a str,
    /// By which it is known to be this order's.
    pub mark: &'a str,
}

impl Effect for OrderDid<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "order_did";
    const DISCIPLINE: Discipline = Discipline::LookedUp;

    fn subject(&self) -> String {
        format!("{}:{}", self.number_id, self.candidate)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.phone_number.to_owned()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let permission = while_ordered(tx, self.account_id).await?;
        let number = phone_numbers::load(tx, self.number_id).await?;
        let is_candidate = number.is_some_and(|number| {
            number.status == "buying" && number.phone_number.as_deref() == Some(self.phone_number)
        });
        if !is_candidate {
            return Ok(Permission::NotWanted(
                "the order took another way meanwhile",
            ));
        }
        Ok(permission)
    }

    /// With another mark it is somebody else's.
    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let there = client(ctx)?.did(self.phone_number).await?;
        let ours = there.filter(|there| there.note == self.mark);
        Ok(ours.map(|ours| self.ordered(ours.capabilities())))
    }

    /// What our account has already is not ordered, whoever's it is: for all we know it would be paid for again.
    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let client = client(ctx)?;
        match client.did(self.phone_number).await? {
            None => {}
            Some(there) if there.note == self.mark => {
                return Ok(self.ordered(there.capabilities()));
            }
            Some(_) => {
                return Err(ClientError::Refused {
                    provider: PROVIDER,
                    status: 200,
                    code: DID_IN_USE.into(),
                    message: "it is in our account, and not this order's".into(),
                });
            }
        }
        client.order_did(self.phone_number, self.mark).await?;
        Ok(self.ordered(capabilities(true)))
    }
}

impl OrderDid<'_> {
    fn ordered(&self, capabilities: Value) -> Found {
        Found {
            ext_ref: reference(self.phone_number),
            answer: json!({ "capabilities": capabilities }),
        }
    }
}

/// Switch a number's messages on, and have us told of them.
pub struct SetMessages<'a> {
    pub account_id: &'a str,
    pub number_id: Uuid,
    pub phone_number: &'a str,
    /// Of the job that found them off, or told elsewhere: another job may find that again.
    pub job_id: Uuid,
    /// It holds a secret. None: nobody is told.
    pub callback: Option<&'a str>,
}

impl Effect for SetMessages<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "set_messages";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        format!("{}:{}", self.number_id, self.job_id)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    /// Without the URL: the last one asked for is the right one.
    fn request(&self) -> String {
        self.phone_number.to_owned()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        while_ordered(tx, self.account_id).await
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let there = client(ctx)?.did(self.phone_number).await?;
        let is_set =
            there.is_some_and(|there| there.is_on && there.callback.as_deref() == self.callback);
        Ok(is_set.then(|| nothing_more(reference(self.phone_number))))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        client(ctx)?
            .set_messages(self.phone_number, self.callback)
            .await?;
        Ok(nothing_more(reference(self.phone_number)))
    }
}

/// Give a number back.
pub struct CancelDid<'a> {
    pub account_id: &'a str,
    pub number_id: Uuid,
    pub phone_number: &'a str,
}

impl Effect for CancelDid<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "cancel_did";
    /// A second request could come after the number was ordered again, and would take that order's.
    const DISCIPLINE: Discipline = Discipline::LookedUp;

    fn subject(&self) -> String {
        self.number_id.to_string()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.phone_number.to_owned()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        accounts::lock(tx, self.account_id).await?;
        let number = phone_numbers::load(tx, self.number_id).await?;
        Ok(match number {
            Some(number) if number.status == "releasing" => Permission::Granted,
            _ => Permission::NotWanted("the number is not on its way back"),
        })
    }

    /// What is looked for is its absence.
    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let there = client(ctx)?.did(self.phone_number).await?;
        Ok(match there {
            Some(_) => None,
            None => Some(nothing_more(reference(self.phone_number))),
        })
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        client(ctx)?.cancel_did(self.phone_number).await?;
        Ok(nothing_more(reference(self.phone_number)))
    }
}

/// What the number is known by there.
fn reference(phone_number: &str) -> String {
    did(phone_number).unwrap_or(phone_number).to_owned()
}
