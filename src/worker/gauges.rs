//! How much waits for a person, for `/metrics`.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::db::{billing::parks, findings};

const EVERY: Duration = Duration::from_secs(10);

/// Measure until told to stop.
pub(super) async fn keep_measured(pool: PgPool, stop: CancellationToken) {
    let mut kinds = BTreeSet::new();
    while stop
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        let measured = async { measure(&mut *pool.acquire().await?, &mut kinds).await };
        // The next one comes in a moment.
        let _: sqlx::Result<()> = measured.await;
    }
}

/// Measure once. `kinds` are those told of before: one of which none is open any more says 0, not nothing.
pub async fn measure(conn: &mut PgConnection, kinds: &mut BTreeSet<String>) -> sqlx::Result<()> {
    let open = findings::open_by_kind(conn).await?;
    let parked = parks::count(conn).await?;
    kinds.extend(open.iter().map(|(kind, _)| kind.clone()));
    for kind in kinds.iter() {
        let of_kind = open.iter().find(|(open, _)| open == kind);
        let count = of_kind.map_or(0, |(_, count)| *count);
        metrics::gauge!("tollkeeper_findings", "kind" => kind.clone()).set(count as f64);
    }
    metrics::gauge!("tollkeeper_accounts_parked").set(parked as f64);
    Ok(())
}
