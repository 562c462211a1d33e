//! The effects on numbers: buy, point at us, give back.

use serde_json::json;
use sqlx::PgConnection;
use tollkeeper_jobs::outside::Discipline;
use uuid::Uuid;

use super::{PROVIDER, nothing_more, while_ordered};
use crate::{
    clients::{
        ClientError,
        twilio::{IncomingNumber, Urls},
    },
    context::Context,
    db::{accounts, phone_numbers},
    journal::{Effect, Found, Permission},
    queue::Failure,
};

/// Buy exactly the number that is written down as an order's candidate.
pub struct BuyNumber<'a> {
    pub account_id: &'a str,
    pub subaccount_ref: &'a str,
    pub number_id: Uuid,
    /// How many candidates were refused before; each candidate is an effect of its own.
    pub candidate: usize,
    pub phone_number: &'a str,
    pub friendly_name: &'a str,
    pub urls: &'a Urls,
}

impl Effect for BuyNumber<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "buy_number";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        format!("{}:{}", self.number_id, self.candidate)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    /// Without the URLs: they may change, and are compared once the number is ours.
    fn request(&self) -> String {
        format!("{} {}", self.subaccount_ref, self.phone_number)
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

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let number = ctx
            .twilio
            .number_of(self.subaccount_ref, self.phone_number)
            .await?;
        Ok(number.map(bought))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        ctx.twilio
            .buy_number(
                self.subaccount_ref,
                self.phone_number,
                self.friendly_name,
                self.urls,
            )
            .await
            .map(bought)
    }
}

/// Point a number at us.
pub struct PointNumber<'a> {
    pub account_id: &'a str,
    pub subaccount_ref: &'a str,
    pub number_id: Uuid,
    pub number_ref: &'a str,
    /// Of the job that found it pointing elsewhere: another job may find that again.
    pub job_id: Uuid,
    pub urls: &'a Urls,
}

impl Effect for PointNumber<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "point_number";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        format!("{}:{}", self.number_id, self.job_id)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    /// Without the URLs: the last ones asked for are the right ones.
    fn request(&self) -> String {
        self.number_ref.to_owned()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        while_ordered(tx, self.account_id).await
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let number = ctx
            .twilio
            .number(self.subaccount_ref, self.number_ref)
            .await?;
        Ok(number
            .filter(|number| self.urls.are_set_on(number))
            .map(|number| nothing_more(number.sid)))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let number = ctx
            .twilio
            .set_number_urls(self.subaccount_ref, self.number_ref, self.urls)
            .await?;
        Ok(nothing_more(number.sid))
    }
}

/// Give a number back.
pub struct GiveNumberBack<'a> {
    pub account_id: &'a str,
    pub subaccount_ref: &'a str,
    pub number_id: Uuid,
    pub number_ref: &'a str,
}

impl Effect for GiveNumberBack<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "release_number";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.number_id.to_string()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        format!("{} {}", self.subaccount_ref, self.number_ref)
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
        let number = ctx
            .twilio
            .number(self.subaccount_ref, self.number_ref)
            .await?;
        Ok(match number {
            Some(_) => None,
            None => Some(nothing_more(self.number_ref.to_owned())),
        })
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        ctx.twilio
            .release_number(self.subaccount_ref, self.number_ref)
            .await?;
        Ok(nothing_more(self.number_ref.to_owned()))
    }
}

fn bought(number: IncomingNumber) -> Found {
    Found {
        ext_ref: number.sid,
        answer: json!({ "capabilities": number.capabilities }),
    }
}
