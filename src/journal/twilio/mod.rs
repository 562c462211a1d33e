//! The effects at Twilio: what provisioning does, what leaves, and the end of a recording.

mod numbers;
mod outbound;
mod recordings;
mod subaccounts;

pub use numbers::{BuyNumber, GiveNumberBack, PointNumber};
pub use outbound::Dispatch;
pub use recordings::RemoveRecording;
pub use subaccounts::{CloseDouble, CreateSubaccount, SetSubaccountStatus};

use super::{nothing_more, while_ordered};

const PROVIDER: &str = "twilio";
