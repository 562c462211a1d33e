//! The effects that billing has at Stripe.

mod invoices;
mod items;

use serde_json::json;
use sqlx::PgConnection;

pub use invoices::{FinalizeInvoice, MakeInvoice};
pub use items::{AddItem, DeleteItem};

use super::{Found, Permission};
use crate::{
    db::{accounts, billing::parks},
    queue::Failure,
};

const PROVIDER: &str = "stripe";

/// Under the account's lock: not while it is parked.
async fn unless_parked(
    tx: &mut PgConnection,
    account_id: &str,
) -> Result<Option<Permission>, Failure> {
    accounts::lock(tx, account_id).await?;
    let park = parks::of(tx, account_id).await?;
    Ok(park.map(|_| Permission::NotWanted("the account is parked")))
}

fn nothing_more(ext_ref: String) -> Found {
    Found {
        ext_ref,
        answer: json!({}),
    }
}
