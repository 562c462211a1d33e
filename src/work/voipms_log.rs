//! What VoIP.ms lists of a number's messages, learnt and metered.

use chrono::{DateTime, NaiveDate, Utc};
use tollkeeper_jobs::telephony::voipms::Listed;

use super::phone_log::Told;
use crate::{
    clients::voipms::Voipms,
    context::Context,
    db::{accounts, voipms_numbers::VoipmsNumber, webhooks::Provider},
    queue::{Failure, Lease},
};

/// Learnt in one transaction, which locks the account.
const BATCH_MAX: usize = 200;

/// Read the messages of a number on these days, learn them, and heed what their senders wish. Answers what is listed.
pub async fn read(
    ctx: &Context,
    lease: &Lease,
    voipms: &Voipms,
    number: &VoipmsNumber,
    days: (NaiveDate, NaiveDate),
    told_at: DateTime<Utc>,
) -> Result<Vec<Listed>, Failure> {
    let mut listed = voipms.messages(&number.phone_number, days).await?;
    // Numbers come back to the shelf: what was written to whoever had it before is none of theirs.
    listed.retain(|listed| listed.at >= number.held_since);
    let told = Told {
        ctx,
        account_id: &number.account_id,
        provider: Provider::Voipms,
        told_at,
    };
    for batch in listed.chunks(BATCH_MAX) {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        accounts::lock(&mut tx, &number.account_id).await?;
        for listed in batch {
            let wish = listed.wish();
            told.of_message(&mut tx, &listed.report(), wish).await?;
        }
        tx.commit().await?;
    }
    Ok(listed)
}
