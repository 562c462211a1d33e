//! The effects at VoIP.ms: numbers, and messages that leave. It takes no key of ours for any of them.

mod numbers;
mod outbound;

pub use numbers::{CancelDid, OrderDid, SetMessages};
pub use outbound::Dispatch;

use crate::{
    clients::{
        ClientError,
        voipms::{PROVIDER, Voipms},
    },
    context::Context,
};

fn client(ctx: &Context) -> Result<&Voipms, ClientError> {
    let not_set = || ClientError::Unreachable {
        provider: PROVIDER,
        why: "VOIPMS_USERNAME is not set".into(),
    };
    ctx.voipms.as_ref().ok_or_else(not_set)
}
