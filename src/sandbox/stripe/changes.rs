//! What a request changes about a subscription: read and checked first, applied afterwards.

use super::{
    Stripe,
    customers::merge_metadata,
    errors,
    model::{Item, Price, Status, Subscription},
};
use crate::sandbox::wire::{Params, Reply};

const ITEMS_MAX: usize = 20;
const PAUSES: [&str; 3] = ["keep_as_draft", "mark_uncollectible", "void"];
const DAY: i64 = 24 * 60 * 60;
const TRIAL_MAX: i64 = 5 * 365 * DAY;

/// One `items[n]`. Without an id an item is added.
pub(super) struct ItemChange {
    pub id: Option<String>,
    pub price: Option<Price>,
    pub quantity: Option<i64>,
    pub is_deleted: bool,
}

/// Changes to a subscription, checked.
#[derive(Default)]
pub(super) struct Changes {
    items: Vec<ItemChange>,
    cancel_at_period_end: Option<bool>,
    /// Set, or taken back.
    pause_behavior: Option<Option<String>>,
    trial_end: Option<i64>,
    default_payment_method: Option<String>,
    metadata: Params,
}

impl Stripe {
    /// What an update asks for; refused when it cannot be.
    pub(super) fn changes_of(
        &self,
        subscription: &Subscription,
        params: &Params,
        at: i64,
    ) -> Result<Changes, Reply> {
        let pause = params.get("pause_collection[behavior]");
        if pause.is_some_and(|behavior| !PAUSES.contains(&behavior)) {
            let message =
                "Invalid behavior: must be one of keep_as_draft, mark_uncollectible, or void";
            return Err(errors::invalid_parameter(
                "pause_collection[behavior]",
                message,
            ));
        }
        if params.get("pause_collection[resumes_at]").is_some() {
            let message =
                "The sandbox resumes no collection by itself; send an empty pause_collection.";
            return Err(errors::invalid_parameter(
                "pause_collection[resumes_at]",
                message,
            ));
        }
        let pause = pause.map(|behavior| Some(behavior.to_owned()));
        let unpause = params
            .get("pause_collection")
            .filter(|value| value.is_empty());
        let changes = Changes {
            items: self.items_of(params, "items")?,
            cancel_at_period_end: flag(params, "cancel_at_period_end")?,
            pause_behavior: pause.or(unpause.map(|_| None)),
            trial_end: trial_end(params, at)?,
            default_payment_method: params.get("default_payment_method").map(str::to_owned),
            metadata: params.clone(),
        };
        changes.name_only_items_of(subscription, "items")?;
        if subscription.status == Status::Canceled {
            return Err(errors::not_now(
                "A canceled subscription can only update its cancellation_details and metadata.",
            ));
        }
        Ok(changes)
    }

    /// `items[0][id|price|quantity|deleted]`, `items[1]…`, under that name.
    pub(super) fn items_of(&self, params: &Params, list: &str) -> Result<Vec<ItemChange>, Reply> {
        let mut items = Vec::new();
        for index in 0..ITEMS_MAX {
            let name = |field: &str| format!("{list}[{index}][{field}]");
            let field = |field: &str| params.get(&name(field));
            if ["id", "price", "quantity", "deleted"]
                .iter()
                .all(|part| field(part).is_none())
            {
                break;
            }
            if field("id").is_none() && field("price").is_none() {
                return Err(errors::missing_parameter(&name("price")));
            }
            let price = field("price").map(|id| self.price_of(id, &name("price")));
            let quantity = field("quantity").map(str::parse).transpose();
            items.push(ItemChange {
                id: field("id").map(str::to_owned),
                price: price.transpose()?,
                quantity: quantity
                    .map_err(|_| errors::invalid_parameter(&name("quantity"), "Invalid integer"))?,
                is_deleted: flag(params, &name("deleted"))?.unwrap_or(false),
            });
        }
        Ok(items)
    }
}

impl Changes {
    /// Of a subscription's items alone.
    pub fn of_items(
        items: Vec<ItemChange>,
        subscription: &Subscription,
        list: &str,
    ) -> Result<Changes, Reply> {
        let changes = Changes {
            items,
            ..Changes::default()
        };
        changes.name_only_items_of(subscription, list)?;
        Ok(changes)
    }

    fn name_only_items_of(&self, subscription: &Subscription, list: &str) -> Result<(), Reply> {
        let is_own = |id: &String| subscription.items.iter().any(|item| item.id == *id);
        let mut named = self.items.iter().filter_map(|item| item.id.as_ref());
        match named.find(|id| !is_own(id)) {
            Some(stranger) => {
                let param = format!("{list}[0][id]");
                Err(errors::no_such_reference(
                    "subscription item",
                    stranger,
                    &param,
                ))
            }
            None => Ok(()),
        }
    }

    /// `new_item_id` makes the id of an item that is added.
    pub fn apply(self, to: &mut Subscription, mut new_item_id: impl FnMut() -> String, at: i64) {
        merge_metadata(&mut to.metadata, &self.metadata);
        for change in self.items {
            let own = to
                .items
                .iter_mut()
                .find(|item| Some(&item.id) == change.id.as_ref());
            if change.is_deleted {
                to.items.retain(|item| Some(&item.id) != change.id.as_ref());
                continue;
            }
            match (own, change.price) {
                (Some(item), price) => {
                    item.price = price.unwrap_or_else(|| item.price.clone());
                    item.quantity = change.quantity.unwrap_or(item.quantity);
                }
                // Without its id an item is not replaced: a second one is added, and paid for.
                (None, Some(price)) => to.items.push(Item {
                    id: new_item_id(),
                    created: at,
                    price,
                    quantity: change.quantity.unwrap_or(1),
                }),
                (None, None) => {}
            }
        }
        let cancels = self.cancel_at_period_end;
        if let Some(cancels) = cancels.filter(|cancels| *cancels != to.cancel_at_period_end) {
            to.cancel_at_period_end = cancels;
            to.canceled_at = cancels.then_some(at);
            to.cancellation_reason = cancels.then_some("cancellation_requested");
        }
        if let Some(behavior) = self.pause_behavior {
            to.pause_behavior = behavior;
        }
        if let Some(trial_end) = self.trial_end.filter(|_| to.status == Status::Trialing) {
            to.trial_end = Some(trial_end);
            to.period_end = trial_end;
            to.anchor = trial_end;
        }
        if self.default_payment_method.is_some() {
            to.default_payment_method = self.default_payment_method;
        }
    }
}

/// Whether a new period begins now: `now`, or since endive `{type: now}`.
pub(super) fn anchor_now(params: &Params, name: &str) -> Result<bool, Reply> {
    let nested = format!("{name}[type]");
    match params.get(name).or_else(|| params.get(&nested)) {
        None | Some("unchanged") => Ok(false),
        Some("now") => Ok(true),
        Some(_) => {
            let message = "Invalid billing_cycle_anchor: must be one of now or unchanged";
            Err(errors::invalid_parameter(name, message))
        }
    }
}

/// `true` or `false`.
pub(super) fn flag(params: &Params, name: &str) -> Result<Option<bool>, Reply> {
    match params.get(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(errors::invalid_parameter(name, "Invalid boolean")),
    }
}

/// From `trial_end` (`now` or an instant) or `trial_period_days`; at most five years ahead.
pub(super) fn trial_end(params: &Params, at: i64) -> Result<Option<i64>, Reply> {
    let (name, seconds) = match (params.get("trial_end"), params.get("trial_period_days")) {
        (Some("now"), _) => return Ok(Some(at)),
        (Some(end), _) => (
            "trial_end",
            end.parse::<i64>().map(|end| end.saturating_sub(at)),
        ),
        (None, Some(days)) => (
            "trial_period_days",
            days.parse::<i64>().map(|days| days.saturating_mul(DAY)),
        ),
        (None, None) => return Ok(None),
    };
    match seconds {
        Ok(0) => Ok(None),
        Ok(seconds @ 1..=TRIAL_MAX) => Ok(Some(at + seconds)),
        _ => Err(errors::invalid_parameter(name, "Invalid trial")),
    }
}
