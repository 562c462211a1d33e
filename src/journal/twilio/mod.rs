//! The effects at Twilio: what provisioning does, what leaves, and the end of a recording.

mod numbers;
mod outbound;
mod recordings;
mod subaccounts;

use sqlx::PgConnection;
use tollkeeper_jobs::telephony::desired::Standing;

pub use numbers::{BuyNumber, GiveNumberBack, PointNumber};
pub use outbound::Dispatch;
pub use recordings::RemoveRecording;
pub use subaccounts::{CloseDouble, CreateSubaccount, SetSubaccountStatus};

use super::{Permission, nothing_more};
use crate::{
    db::{accounts, telephony},
    queue::Failure,
};

const PROVIDER: &str = "twilio";

/// Under the account's lock: only while its telephony is ordered and not taken away again.
async fn while_ordered(tx: &mut PgConnection, account_id: &str) -> Result<Permission, Failure> {
    accounts::lock(tx, account_id).await?;
    let telephony = telephony::load(tx, account_id).await?;
    let standing = telephony.and_then(|telephony| Standing::parse(&telephony.status));
    Ok(match standing {
        Some(standing) if standing.is_ordered() => Permission::Granted,
        _ => Permission::NotWanted("its telephony was taken away meanwhile"),
    })
}
