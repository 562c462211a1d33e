//! `/api/phone/settings`: what a user wants to become of calls and messages.

mod document;

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::Value;
use tollkeeper_jobs::telephony::{
    e164::E164,
    inbound,
    settings::{Fault, Settings},
};

use self::document::SettingsDocument;
use super::{
    Shared, Tag,
    envelope::{Envelope, EnvelopedProblem, Refused},
    phone_log,
};
use crate::{
    db::{accounts, overview, phone_settings},
    http::{
        auth::{AccountId, Caller, Scope},
        problem::Problem,
    },
};

pub struct PhoneSettings(pub(super) Arc<Shared>);

/// The settings of a user, or of one number.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct SettingsInForce {
    user_id: String,
    /// E.164; absent where they are the user's, for every number without its own.
    phone_number: Option<String>,
    /// What was put here.
    own: SettingsDocument,
    /// What callers and senders meet, with nothing left out.
    effective: SettingsDocument,
}

type Answer = Result<Json<Envelope<SettingsInForce>>, Refused<EnvelopedProblem>>;

#[OpenApi(prefix_path = "/phone", tag = "Tag::Telephony")]
impl PhoneSettings {
    /// What becomes of a user's calls and messages
    #[oai(path = "/settings", method = "get", operation_id = "phoneSettings")]
    async fn get(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Of this number; the user's when left out. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
    ) -> Answer {
        let account = phone_log::account(&caller, user_id.as_deref())?;
        let number = number(phone_number.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let held = overview::held_numbers(&mut tx, account.as_str()).await?;
        is_held(number.as_ref(), &held)?;
        let shown = self.in_force(&mut tx, &account, number).await?;
        self.answer(shown, "Settings retrieved")
    }

    /// Say what becomes of them, as a whole
    ///
    /// Replaces the document of the user, or of one number; to repeat it changes nothing.
    #[oai(path = "/settings", method = "put", operation_id = "putPhoneSettings")]
    async fn put(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Of this number; the user's when left out. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
        body: Json<SettingsDocument>,
    ) -> Answer {
        let account = account(&caller, user_id.as_deref())?;
        let number = number(phone_number.as_deref())?;
        let settings = Settings::try_from(body.0)?;
        let mut tx = self.0.begin(&account).await?;
        let held = overview::held_numbers(&mut tx, account.as_str()).await?;
        is_held(number.as_ref(), &held)?;
        settings.check(&held, &self.0.telephony.allowed_countries)?;
        accounts::ensure(&mut tx, account.as_str(), None).await?;
        let config = serde_json::to_value(&settings).expect("texts and numbers make JSON");
        let named = number.as_ref().map(E164::as_str);
        let now = self.0.clock.now();
        phone_settings::put(&mut tx, account.as_str(), named, &config, now).await?;
        let shown = self.in_force(&mut tx, &account, number).await?;
        tx.commit().await?;
        self.answer(shown, "Settings stored")
    }

    /// Take them back: a number is again as its user wants it, a user as the service has it
    #[oai(
        path = "/settings",
        method = "delete",
        operation_id = "deletePhoneSettings"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Required from an app; a user's own when left out.
        #[oai(name = "userId")]
        user_id: Query<Option<String>>,
        /// Of this number, held or not; the user's when left out. In any usual form.
        #[oai(name = "phoneNumber")]
        phone_number: Query<Option<String>>,
    ) -> Answer {
        let account = account(&caller, user_id.as_deref())?;
        let number = number(phone_number.as_deref())?;
        let mut tx = self.0.begin(&account).await?;
        let named = number.as_ref().map(E164::as_str);
        let now = self.0.clock.now();
        phone_settings::clear(&mut tx, account.as_str(), named, now).await?;
        let shown = self.in_force(&mut tx, &account, number).await?;
        tx.commit().await?;
        self.answer(shown, "Settings taken back")
    }
}

impl PhoneSettings {
    async fn in_force(
        &self,
        conn: &mut sqlx::PgConnection,
        account: &AccountId,
        number: Option<E164>,
    ) -> sqlx::Result<SettingsInForce> {
        let named = number.as_ref().map(E164::as_str);
        let stored = phone_settings::load(conn, account.as_str(), named).await?;
        let of = |wanted: Option<&str>| {
            let found = stored.iter().find(|(of, _)| of.as_deref() == wanted);
            found.map_or_else(Settings::default, |(_, config)| read(config))
        };
        let own = of(named);
        let effective = inbound::spelled_out(own.clone().over(of(None)), &self.0.telephony.house());
        Ok(SettingsInForce {
            user_id: account.as_str().to_owned(),
            phone_number: number.map(String::from),
            own: own.into(),
            effective: effective.into(),
        })
    }

    fn answer(&self, shown: SettingsInForce, message: &str) -> Answer {
        Ok(Envelope::new(shown, message, self.0.clock.now()))
    }
}

fn account(caller: &Caller, named: Option<&str>) -> Result<AccountId, Problem> {
    caller.account(Scope::TelephonyWrite, named, || {
        Problem::bad_request("MISSING_PARAMETER", "userId is required")
    })
}

fn number(named: Option<&str>) -> Result<Option<E164>, Problem> {
    let named = named.filter(|number| !number.is_empty());
    named.map(E164::as_written).transpose().map_err(|error| {
        Problem::bad_request("INVALID_PHONE_NUMBER", format!("phoneNumber is {error}"))
    })
}

fn is_held(number: Option<&E164>, held: &[String]) -> Result<(), Problem> {
    match number {
        Some(number) if !held.iter().any(|held| held == number.as_str()) => Err(Problem {
            code: "NUMBER_NOT_FOUND",
            ..Problem::not_found("phoneNumber is no number of this user's")
        }),
        _ => Ok(()),
    }
}

/// As the receiver reads them: what cannot be read says nothing.
fn read(stored: &Value) -> Settings {
    serde_json::from_value(stored.clone()).unwrap_or_default()
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::bad_request(fault.code, fault.message)
    }
}
