//! The effects on subaccounts: create, suspend and activate, close a double.

use sqlx::PgConnection;
use tollkeeper_jobs::outside::{self, Discipline};

use super::{PROVIDER, nothing_more, while_ordered};
use crate::{
    clients::ClientError,
    context::Context,
    db::{accounts, provider_calls, subaccounts, telephony},
    journal::{Effect, Found, Permission},
    queue::Failure,
};

/// Create the subaccount that carries an account's name.
pub struct CreateSubaccount<'a> {
    pub account_id: &'a str,
    pub friendly_name: &'a str,
}

impl Effect for CreateSubaccount<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "create_subaccount";
    const DISCIPLINE: Discipline = Discipline::LookedUp;

    fn subject(&self) -> String {
        self.account_id.to_owned()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.friendly_name.to_owned()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        while_ordered(tx, self.account_id).await
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let mut accounts = ctx.twilio.accounts_named(self.friendly_name).await?;
        accounts.retain(|account| account.status != "closed");
        // Should there ever be two, every run takes the same one.
        accounts.sort_by(|a, b| a.sid.cmp(&b.sid));
        Ok(accounts
            .into_iter()
            .next()
            .map(|account| nothing_more(account.sid)))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let account = ctx.twilio.create_account(self.friendly_name).await?;
        Ok(nothing_more(account.sid))
    }
}

/// Suspend a subaccount, or make it active again. Each turn of an account's telephony is its own.
pub struct SetSubaccountStatus<'a> {
    pub account_id: &'a str,
    pub subaccount_ref: &'a str,
    pub turn: i32,
    pub status: &'static str,
}

impl SetSubaccountStatus<'_> {
    /// The turn and the status of a subject of this kind.
    pub fn parse(subject: &str) -> Option<(i32, &str)> {
        let (rest, status) = subject.rsplit_once(':')?;
        let (_, turn) = rest.rsplit_once(':')?;
        Some((turn.parse().ok()?, status))
    }
}

impl Effect for SetSubaccountStatus<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "set_subaccount_status";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        format!("{}:{}:{}", self.account_id, self.turn, self.status)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        format!("{} {}", self.subaccount_ref, self.status)
    }

    /// Not while a request of another turn may still be carried out: it would undo this one.
    async fn permission(
        &self,
        ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        accounts::lock(tx, self.account_id).await?;
        let telephony = telephony::load(tx, self.account_id).await?;
        if telephony.is_none_or(|telephony| telephony.turn != self.turn) {
            return Ok(Permission::NotWanted(
                "its telephony changed again meanwhile",
            ));
        }
        let subject = self.subject();
        let calls = provider_calls::of_account(tx, PROVIDER, Self::KIND, self.account_id).await?;
        let open_until = calls
            .iter()
            .filter(|call| call.subject != subject)
            .filter_map(|call| outside::open_until(&call.row(), ctx.quiet_time()))
            .max();
        Ok(match open_until {
            Some(until) if ctx.clock.now() < until => {
                Permission::WaitUntil(until, "an earlier change of the subaccount may be open")
            }
            _ => Permission::Granted,
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let account = ctx.twilio.account(self.subaccount_ref).await?;
        Ok(account
            .filter(|account| account.status == self.status)
            .map(|account| nothing_more(account.sid)))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let account = ctx
            .twilio
            .set_account_status(self.subaccount_ref, self.status)
            .await?;
        Ok(nothing_more(account.sid))
    }
}

/// Close an empty subaccount that doubles an account's own.
pub struct CloseDouble<'a> {
    pub account_id: &'a str,
    pub subaccount_ref: &'a str,
}

impl Effect for CloseDouble<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "close_double";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.subaccount_ref.to_owned()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.subaccount_ref.to_owned()
    }

    /// Closing is for ever: only what is certainly not the account's own.
    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        accounts::lock(tx, self.account_id).await?;
        let own = subaccounts::load(tx, self.account_id).await?;
        let own_ref = own.and_then(|own| own.subaccount_ref);
        Ok(match own_ref {
            Some(own_ref) if own_ref != self.subaccount_ref => Permission::Granted,
            _ => Permission::NotWanted("it is not a double"),
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let account = ctx.twilio.account(self.subaccount_ref).await?;
        let is_closed = account.is_none_or(|account| account.status == "closed");
        Ok(is_closed.then(|| nothing_more(self.subaccount_ref.to_owned())))
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let account = ctx
            .twilio
            .set_account_status(self.subaccount_ref, "closed")
            .await?;
        Ok(nothing_more(account.sid))
    }
}
