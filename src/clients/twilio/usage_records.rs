//! Twilio's Usage Records: what it counted itself, by day and category.

use chrono::NaiveDate;
use serde::Deserialize;
use tollkeeper_jobs::{compare_usage::Record, usage::MicroUnits};

use super::{API, PROVIDER, Twilio};
use crate::clients::{ClientError, call, found};

#[derive(Deserialize)]
struct ListedRecord {
    category: String,
    start_date: NaiveDate,
    /// A decimal number, as a text.
    usage: String,
}

impl Twilio {
    /// What an account used on each of these days (GMT), in every category; the account alone, without any below it.
    /// None: Twilio knows no such account.
    pub async fn usage_by_day(
        &self,
        account: &str,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Option<Vec<Record>>, ClientError> {
        let path = [API, "Accounts", account, "Usage", "Records", "Daily.json"];
        let query = [
            ("StartDate", &*first.to_string()),
            ("EndDate", &last.to_string()),
            ("IncludeSubaccounts", "false"),
            ("PageSize", "1000"),
        ];
        let listed = found(self.all(&path, &query, "usage_records").await)?;
        let records = listed.map(|listed: Vec<ListedRecord>| {
            let read = listed.into_iter().map(record);
            read.collect::<Result<_, _>>()
        });
        records.transpose()
    }
}

/// A number that cannot be read is not taken for none.
fn record(listed: ListedRecord) -> Result<Record, ClientError> {
    let usage = MicroUnits::of_decimal(&listed.usage).ok_or_else(|| {
        let why = format!("its usage of {} is no number", listed.category);
        call::open(PROVIDER, None, why)
    })?;
    Ok(Record {
        day: listed.start_date,
        category: listed.category,
        usage,
    })
}
