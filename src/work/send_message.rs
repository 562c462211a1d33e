//! Send a message that was asked for; see the promise in `jobs/send_message.rs`.

use tollkeeper_jobs::SendMessage;

use super::{Work, outbound};
use crate::{
    context::Context,
    queue::{Failure, Lease, Outcome},
};

impl Work for SendMessage {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        outbound::carry_out(ctx, lease, self.outbound_id).await
    }
}
