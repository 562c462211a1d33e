//! An order for a number: written down before anything is bought, so that it is bought once.
//!
//! Which order a request means, its `Idempotency-Key` says, else the number it names: the same request means the same
//! order for as long as that number is the user's. What it comes to the workers write.

use chrono::TimeDelta;
use poem::http::StatusCode;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    NewJob, ProvisionNumber,
    provision_number::{NONE_ON_SALE, is_about_the_candidate},
    telephony::{countries, e164::E164, outbound::Carrier},
};
use uuid::Uuid;

use super::{no_subaccount, not_yet, unpaid, voipms_not_set};
use crate::{
    db::{
        accounts,
        number_orders::{self, NewOrder, NumberOrder},
        overview::{self, PhoneNumber},
        telephony_orders::NumberWish,
    },
    http::{
        api::{Shared, usage::input},
        auth::{AccountId, Caller},
        problem::Problem,
    },
    queue,
};

/// In this time a user has at most twice as many numbers bought as they may have at once.
const LATELY: TimeDelta = TimeDelta::days(30);

/// What an app wants bought.
pub struct Wish {
    pub place: Place,
    /// Who sells it.
    pub carrier: Carrier,
    pub key: Option<String>,
    /// What the user calls it; at most 64 characters.
    pub friendly_name: Option<String>,
    pub kind: Kind,
}

/// Which number will do.
pub enum Place {
    Exactly(E164),
    AreaCode(String),
    Anywhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one the plan includes, with all that it needs.
    Included,
    /// One more.
    Additional,
}

/// Where an order stands when its request has waited long enough.
pub enum Ordered {
    Active(PhoneNumber),
    UnderWay(NumberOrder),
}

impl Wish {
    fn phone_number(&self) -> Option<&str> {
        match &self.place {
            Place::Exactly(number) => Some(number.as_str()),
            _ => None,
        }
    }

    fn area_code(&self) -> Option<&str> {
        match &self.place {
            Place::AreaCode(code) => Some(code),
            _ => None,
        }
    }

    /// Its key, among those of its asker.
    fn key(&self, caller: &Caller) -> Option<String> {
        let key = self.key.as_deref()?;
        Some(input::namespaced(caller, key))
    }

    /// Whether an order that came with the same key was for the same.
    fn is_for(&self, order: &NumberOrder) -> bool {
        let is_there = match &self.place {
            Place::Exactly(number) => {
                order.is_exact && order.phone_number.as_deref() == Some(number.as_str())
            }
            _ => !order.is_exact && order.area_code.as_deref() == self.area_code(),
        };
        is_there && order.carrier() == self.carrier
    }

    /// Whether this number is what was wanted.
    pub fn will_do(&self, phone_number: &str) -> bool {
        self.phone_number()
            .is_none_or(|wanted| wanted == phone_number)
    }

    /// 400 for what cannot be, and for what nothing would tell from a second order like it.
    fn check(&self, country: &str) -> Result<(), Problem> {
        input::check_idempotency_key(self.key.as_deref())?;
        if let Place::Exactly(number) = &self.place
            && countries::country(number) != Some(country)
        {
            return Err(Problem::bad_request(
                "COUNTRY_NOT_SERVED",
                format!("Numbers are bought in {country} only"),
            ));
        }
        let is_name =
            |name: &String| name.chars().count() <= 64 && !name.chars().any(char::is_control);
        if !self.friendly_name.as_ref().is_none_or(is_name) {
            return Err(Problem::bad_request(
                "INVALID_FRIENDLY_NAME",
                "friendlyName has at most 64 printable characters",
            ));
        }
        let is_named = self.key.is_some() || matches!(self.place, Place::Exactly(_));
        if self.kind == Kind::Additional && !is_named {
            return Err(Problem::bad_request(
                "IDEMPOTENCY_KEY_REQUIRED",
                "An order that names no number needs an Idempotency-Key, so that it is not taken for a second one",
            ));
        }
        Ok(())
    }
}

impl Shared {
    /// Write the order down, or find the one that it repeats, and wait for it some seconds.
    pub async fn order_number(
        &self,
        caller: &Caller,
        account: &AccountId,
        wish: &Wish,
    ) -> Result<Ordered, Problem> {
        wish.check(&self.country)?;
        if wish.carrier == Carrier::Voipms && !self.at_voipms()?.sells() {
            return Err(voipms_not_set("VOIPMS_POP"));
        }
        let mut tx = self.begin(account).await?;
        let order_id = self.write_down(&mut tx, caller, account, wish).await?;
        tx.commit().await?;
        self.ordered(account, caller);

        let mut patience = self.patience();
        loop {
            let mut tx = self.begin(account).await?;
            let order = number_orders::load(&mut tx, account.as_str(), order_id).await?;
            let order = order.ok_or_else(Problem::unavailable)?;
            let standing = self.standing(&mut tx, account).await?;
            let number = overview::active_number(&mut tx, account.as_str(), order_id).await?;
            drop(tx);
            if let Some(number) = number {
                return Ok(Ordered::Active(number));
            }
            if ["releasing", "released"].contains(&order.status.as_str()) {
                return Err(came_to_nothing(&order));
            }
            if order.is_included
                && let Some(failure) = standing.failure()
            {
                return Err(failure);
            }
            if !patience.lasts().await {
                return Ok(Ordered::UnderWay(order));
            }
        }
    }

    /// Whether there is an order of its key already.
    pub async fn is_repeated(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        account: &AccountId,
        wish: &Wish,
    ) -> sqlx::Result<bool> {
        Ok(match wish.key(caller) {
            Some(key) => number_orders::of_key(conn, account.as_str(), &key)
                .await?
                .is_some(),
            None => false,
        })
    }

    /// The order's id: of a new one, or of the one that this request repeats.
    async fn write_down(
        &self,
        tx: &mut PgConnection,
        caller: &Caller,
        account: &AccountId,
        wish: &Wish,
    ) -> Result<Uuid, Problem> {
        // Orders of one account are looked at one after the other: none sees its own twin too late.
        let is_known = accounts::lock(tx, account.as_str()).await?;
        if let Some(id) = earlier(tx, caller, account, wish).await? {
            return Ok(id);
        }
        if wish.kind == Kind::Additional {
            if !is_known {
                return Err(no_subaccount());
            }
            self.may_have_numbers(tx, account, wish.carrier).await?;
        }
        let eligibility = self.eligibility(tx, account).await?;
        eligibility.map_err(|_| unpaid("provisioning"))?;
        self.has_room_for_a_number(tx, account).await?;
        caller.count_order(account)?;
        let (id, key) = (Uuid::now_v7(), wish.key(caller));
        let order = NewOrder {
            id,
            account_id: account.as_str(),
            carrier: wish.carrier,
            key: key.as_deref(),
            phone_number: wish.phone_number(),
            area_code: wish.area_code(),
            friendly_name: wish.friendly_name.as_deref(),
            is_included: wish.kind == Kind::Included,
        };
        if wish.kind == Kind::Included {
            let number = match order.phone_number {
                Some(_) => NumberWish::Certain,
                None => NumberWish::Any,
            };
            self.order_telephony(tx, account, None, order.area_code, number)
                .await?;
        }
        if !number_orders::insert(tx, &order).await? {
            // A worker that orders the included number was first.
            if let Some(twin) = earlier(tx, caller, account, wish).await? {
                return Ok(twin);
            }
            return Err(self.in_the_way(tx, account, wish).await?);
        }
        if wish.kind == Kind::Additional {
            let job = ProvisionNumber::additional(account.as_str(), id);
            queue::enqueue_all(tx, &[NewJob::of(&job)]).await?;
        }
        Ok(id)
    }
}

impl Shared {
    /// 409 for who has as many numbers as a user may, or gave so many back of late: a provider is paid a month for each,
    /// however soon it is given back.
    async fn has_room_for_a_number(
        &self,
        tx: &mut PgConnection,
        account: &AccountId,
    ) -> Result<(), Problem> {
        let max = i64::from(self.numbers_per_account_max);
        if number_orders::count(tx, account.as_str()).await? >= max {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "NUMBER_LIMIT_REACHED",
                format!("A user has at most {max} numbers; release one first"),
            ));
        }
        let lately = self.clock.now() - LATELY;
        if number_orders::bought_since(tx, account.as_str(), lately).await? >= 2 * max {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "TOO_MANY_PURCHASES",
                "Too many numbers were bought for this user in the last 30 days: order again later",
            ));
        }
        Ok(())
    }

    /// Why no order can be made beside what there is: the user's own is still going, or, at VoIP.ms, somebody else's is
    /// there.
    async fn in_the_way(
        &self,
        tx: &mut PgConnection,
        account: &AccountId,
        wish: &Wish,
    ) -> sqlx::Result<Problem> {
        let number = wish.phone_number().unwrap_or_default();
        let is_going = number_orders::is_going(tx, account.as_str(), number).await?;
        if wish.carrier == Carrier::Voipms && !is_going {
            return Ok(not_available());
        }
        Ok(not_yet(
            "NUMBER_ON_ITS_WAY_BACK",
            "The number is still on its way back; try again in a moment",
        ))
    }
}

fn not_available() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "NUMBER_NOT_AVAILABLE",
        "The phone number is not available any more; search again and take another one",
    )
}

/// The order that this request repeats. 422: its key stands for another one.
async fn earlier(
    tx: &mut PgConnection,
    caller: &Caller,
    account: &AccountId,
    wish: &Wish,
) -> Result<Option<Uuid>, Problem> {
    if let Some(key) = wish.key(caller)
        && let Some(order) = number_orders::of_key(tx, account.as_str(), &key).await?
    {
        if !wish.is_for(&order) {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "This idempotency key stands for another order: use a new one",
            ));
        }
        return Ok(Some(order.id));
    }
    let found = match wish.phone_number() {
        Some(number) => number_orders::of_number(tx, account.as_str(), number).await?,
        None => None,
    };
    // There is one included number at a time: whoever asks for it gets the one that is on its way.
    let found = match (found, wish.kind) {
        (None, Kind::Included) => number_orders::included(tx, account.as_str())
            .await?
            .filter(|order| order.status != "releasing"),
        (found, _) => found,
    };
    Ok(found.map(|order| order.id))
}

/// What its user is told of an order by which nothing was bought, or whose number is gone.
fn came_to_nothing(order: &NumberOrder) -> Problem {
    match order.why.as_deref() {
        Some(NONE_ON_SALE) => Problem::not_found("No phone numbers available in that area code"),
        Some(code) if is_about_the_candidate(code) => not_available(),
        Some(code) => Problem {
            details: Some(format!("the provider refused it: {code}").into()),
            ..Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "PROVISION_ERROR",
                "Failed to provision phone number",
            )
        },
        None => Problem::new(
            StatusCode::CONFLICT,
            "NUMBER_RELEASED",
            "The number of this order was released; order again with a new idempotency key",
        ),
    }
}
