//! What was set aside for a wish comes back once it is known what it took.

use sqlx::PgConnection;
use tollkeeper_jobs::telephony::outbound::cost;

use super::{Policy, SOURCE};
use crate::{
    db::{
        outbound::{self, Outbound},
        outbound_spend,
    },
    usage::{self, Rules},
};

/// It was never sent and will not be. The account is locked.
pub async fn failed(
    tx: &mut PgConnection,
    rules: &Rules,
    wish: &Outbound,
    error_code: &str,
) -> sqlx::Result<()> {
    if outbound::failed(tx, wish.id, error_code, rules.clock.now()).await? {
        give_back(tx, rules, wish, 0).await?;
    }
    Ok(())
}

/// The provider has told how it ended: it took so many units. What is used is counted under the provider's id, by whoever
/// heard of it; here ends what was held for it. The account is locked.
pub async fn settle(
    tx: &mut PgConnection,
    policy: &Policy,
    account_id: &str,
    ext_ref: &str,
    units: u32,
) -> sqlx::Result<()> {
    let Some(wish) = outbound::of_ref(tx, account_id, ext_ref).await? else {
        return Ok(());
    };
    let cost = cost(policy.prices(), wish.carrier(), wish.channel(), units);
    if outbound::settled(tx, wish.id, cost, policy.rules.clock.now()).await? {
        give_back(tx, &policy.rules, &wish, cost).await?;
    }
    Ok(())
}

async fn give_back(
    tx: &mut PgConnection,
    rules: &Rules,
    wish: &Outbound,
    cost_micros: i64,
) -> sqlx::Result<()> {
    let less = cost_micros - wish.cost_micros;
    outbound_spend::spend(tx, &wish.account_id, wish.day(), less).await?;
    if let Some(hold_id) = wish.hold_id {
        // Expired is as good as released.
        let _ = usage::release(tx, rules, &wish.account_id, hold_id, SOURCE).await?;
    }
    Ok(())
}
