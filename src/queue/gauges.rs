//! How deep the queue is, for `/metrics`.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::Lane;

use super::look;

const EVERY: Duration = Duration::from_secs(10);
const STATES: [&str; 4] = ["ready", "running", "waiting", "dead"];

/// Measure until told to stop. A lane that is empty says 0, not nothing.
pub(super) async fn keep_measured(pool: PgPool, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        let measured = async { look::depth(&mut *pool.acquire().await?).await };
        let Ok(depth) = measured.await else { continue };
        for (lane, state) in Lane::ALL
            .iter()
            .flat_map(|lane| STATES.map(|state| (lane.as_str(), state)))
        {
            let row = depth
                .iter()
                .find(|row| row.lane == lane && row.state == state);
            let (jobs, oldest) = row.map_or((0, 0.0), |row| (row.jobs, row.oldest_seconds));
            metrics::gauge!("tollkeeper_jobs", "lane" => lane, "state" => state).set(jobs as f64);
            metrics::gauge!("tollkeeper_jobs_oldest_seconds", "lane" => lane, "state" => state)
                .set(oldest);
        }
    }
}
