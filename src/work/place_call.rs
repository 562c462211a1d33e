//! Place a call that was asked for; see the promise in `jobs/place_call.rs`.

use tollkeeper_jobs::PlaceCall;

use super::{Work, outbound};
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

impl Work for PlaceCall {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        outbound::carry_out(ctx, lease, self.outbound_id).await
    }
}
