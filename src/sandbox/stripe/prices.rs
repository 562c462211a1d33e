//! `/v1/prices`: recurring ones, per unit.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Stripe, errors,
    model::{Interval, Price},
    shapes,
};
use crate::sandbox::wire::{Reply, Request};

impl Stripe {
    pub(super) fn create_price(
        &mut self,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Value, Reply> {
        let params = &request.params;
        let currency = params
            .get("currency")
            .ok_or_else(|| errors::missing_parameter("currency"))?;
        let amount = params
            .get("unit_amount")
            .ok_or_else(|| errors::missing_parameter("unit_amount"))?;
        let unit_amount = amount
            .parse()
            .map_err(|_| errors::invalid_parameter("unit_amount", "Invalid integer"))?;
        let interval = params
            .get("recurring[interval]")
            .ok_or_else(|| errors::missing_parameter("recurring[interval]"))?;
        let interval: Interval = serde_json::from_value(json!(interval))
            .map_err(|_| errors::invalid_parameter("recurring[interval]", "Invalid interval"))?;
        let interval_count = match params.get("recurring[interval_count]").map(str::parse) {
            None => 1,
            Some(Ok(count @ 1..=365)) => count,
            Some(_) => {
                return Err(errors::invalid_parameter(
                    "recurring[interval_count]",
                    "Invalid integer",
                ));
            }
        };
        let price = Price {
            id: self.ids.next("price", 24),
            created: now.timestamp(),
            product: params
                .get("product")
                .map_or_else(|| self.ids.next("prod", 14), str::to_owned),
            unit_amount,
            currency: currency.to_owned(),
            interval,
            interval_count,
            metadata: params.map("metadata"),
        };
        let value = shapes::price(&price);
        self.prices.add(price);
        Ok(value)
    }

    pub(super) fn get_price(&self, id: &str) -> Result<Value, Reply> {
        let price = self
            .prices
            .get(id)
            .ok_or_else(|| errors::no_such("price", id))?;
        Ok(shapes::price(price))
    }

    pub(super) fn list_prices(&self, request: &Request) -> Result<Value, Reply> {
        self.prices
            .page(&request.params, "/v1/prices", |_| true, shapes::price)
    }

    /// A price that a parameter names.
    pub(super) fn price_of(&self, id: &str, param: &str) -> Result<Price, Reply> {
        let price = self.prices.get(id).cloned();
        price.ok_or_else(|| errors::no_such_reference("price", id, param))
    }

    /// A price with an id of one's own, for plans that name it: of a month, or of so many weeks.
    pub(in crate::sandbox) fn add_price(
        &mut self,
        id: &str,
        unit_amount: i64,
        weeks: Option<u32>,
        now: DateTime<Utc>,
    ) {
        if self.prices.get(id).is_some() {
            return;
        }
        let product = self.ids.next("prod", 14);
        self.prices.add(Price {
            id: id.to_owned(),
            created: now.timestamp(),
            product,
            unit_amount,
            currency: "usd".to_owned(),
            interval: weeks.map_or(Interval::Month, |_| Interval::Week),
            interval_count: weeks.unwrap_or(1),
            metadata: Default::default(),
        });
    }
}
