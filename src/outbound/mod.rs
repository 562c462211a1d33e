//! Calls and messages that apps ask for: the wish is written down with all that is set aside for it, in one
//! transaction, before anything is asked of the provider; and what was set aside comes back when it is known what it took.

mod ask;
mod end;

use tollkeeper_jobs::telephony::{costs::ListPrices, e164::E164, outbound::Channel};

pub use ask::{Asked, Denied, ask, job};
pub use end::{failed, settle};

use crate::{
    config::{OutboundConfig, TelephonyConfig},
    context::Context,
    usage::Rules,
};

/// The source of what is held for calls and messages on their way.
const SOURCE: &str = "outbound";

/// What decides about a wish beside what is stored.
#[derive(Clone)]
pub struct Policy {
    pub rules: Rules,
    pub settings: OutboundConfig,
    pub allowed_countries: Vec<String>,
    /// The provider's account that owns the fallback number.
    pub master_ref: String,
    /// Whether anything may leave from the numbers at VoIP.ms: our account there is set.
    pub has_voipms: bool,
}

impl Policy {
    pub fn of(ctx: &Context) -> Policy {
        let TelephonyConfig {
            outbound,
            allowed_countries,
            ..
        } = &ctx.config.telephony;
        Policy {
            rules: Rules::of(ctx),
            settings: outbound.clone(),
            allowed_countries: allowed_countries.clone(),
            master_ref: ctx.config.twilio.account_sid.clone(),
            has_voipms: ctx.voipms.is_some(),
        }
    }

    /// What the provider lists.
    pub fn prices(&self) -> &ListPrices {
        &self.rules.catalogue.list_prices
    }
}

/// A call or a message as it is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub account_id: String,
    pub channel: Channel,
    /// None: the account's first number.
    pub from: Option<E164>,
    pub to: E164,
    /// What is said, or written.
    pub body: String,
    pub is_recorded: bool,
    pub metadata: Option<serde_json::Value>,
    /// Among those of its asker.
    pub key: Option<String>,
    pub asked_by: String,
}
