//! Calls and messages that apps ask for: what they take of a plan and of a day's money, for how long they are still
//! wanted, and what a refusal of the provider means.

use chrono::TimeDelta;

use super::{costs::ListPrices, segments::segments};
use crate::plans::Tier;

/// The same wish again within so long is the same wish: a client that did not see the answer asks again.
pub const SAME_WISH_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// Twilio takes no longer text.
pub const TEXT_MAX: usize = 1600;
/// VoIP.ms takes no longer text: bytes of UTF-8, not characters.
const VOIPMS_BYTES_MAX: usize = 160;

/// Whose number it leaves from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Twilio,
    Voipms,
}

impl Carrier {
    /// By its name as it is stored.
    pub fn of(name: &str) -> Carrier {
        match name {
            "voipms" => Carrier::Voipms,
            _ => Carrier::Twilio,
        }
    }

    /// By the name that clients know it by. None: it is none of ours.
    pub fn named(name: &str) -> Option<Carrier> {
        let name = name.to_ascii_lowercase();
        [Carrier::Twilio, Carrier::Voipms]
            .into_iter()
            .find(|carrier| carrier.as_str() == name)
    }

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Carrier::Twilio => "twilio",
            Carrier::Voipms => "voipms",
        }
    }

    /// Whether it takes this.
    pub fn takes(self, channel: Channel, body: &str) -> Result<(), NotTaken> {
        match (self, channel) {
            (Carrier::Twilio, _) => Ok(()),
            (Carrier::Voipms, Channel::Call) => Err(NotTaken::Calls),
            (Carrier::Voipms, Channel::Message) if body.len() > VOIPMS_BYTES_MAX => {
                Err(NotTaken::TooLong)
            }
            (Carrier::Voipms, Channel::Message) => Ok(()),
        }
    }
}

/// What a carrier never takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// No call leaves from there.
    Calls,
    /// It takes no text of that length.
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Call,
    Message,
}

impl Channel {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Call => "call",
            Channel::Message => "message",
        }
    }

    /// For how long it is wanted. A call that comes later surprises the one who is called; a message may wait as long
    /// as Twilio itself lets it.
    pub fn lasts(self) -> TimeDelta {
        match self {
            Channel::Call => TimeDelta::minutes(5),
            Channel::Message => TimeDelta::hours(4),
        }
    }

    /// For how long its place in the plan is held if nothing is heard of it any more: behind that, the hourly look at
    /// the provider's lists has counted it.
    pub fn held_for(self) -> TimeDelta {
        TimeDelta::hours(24)
    }
}

/// What of a plan it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// So much of this feature is held until the provider tells how much it was.
    Hold(&'static str),
    /// One of this feature must be left; apps count it themselves.
    Ask(&'static str),
    /// The plan has telephony, and no measure of this.
    Open,
    /// The plan has no telephony.
    Closed,
}

/// What a call or a message takes of a plan. The plans of one product count minutes and messages, those of the other
/// count calls; whoever may have a number may write.
pub fn gate(tier: &Tier, channel: Channel) -> Gate {
    let metered = match channel {
        Channel::Call => "voice_minutes",
        Channel::Message => "sms",
    };
    match channel {
        _ if tier.included.contains_key(metered) => Gate::Hold(metered),
        Channel::Call if tier.limits.contains_key("calls") => Gate::Ask("calls"),
        _ if tier.auto_provision_number => Gate::Open,
        _ => Gate::Closed,
    }
}

/// What so many minutes, or segments, cost at the provider's list prices, in millionths of a US dollar.
pub fn cost(prices: &ListPrices, carrier: Carrier, channel: Channel, units: u32) -> i64 {
    let each = match (channel, carrier) {
        (Channel::Call, _) => prices.outbound_minute,
        (Channel::Message, Carrier::Twilio) => prices.message_segment,
        (Channel::Message, Carrier::Voipms) => prices.voipms_message_segment,
    };
    each.0.saturating_mul(units.into())
}

/// How many units there is money for.
pub fn affordable(money_left: i64, each: i64) -> u32 {
    u32::try_from(money_left.max(0) / each.max(1)).unwrap_or(u32::MAX)
}

/// What it may take: the minutes a call may last, or the segments a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// A call is cut off after so many minutes.
    pub minutes_max: u32,
    /// Of the day's money, in millionths. None: there is no cap.
    pub money_left: Option<i64>,
    /// Of the plan, in units. None: there is no limit, or what is beyond it is billed.
    pub plan_left: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    Money,
    Plan,
}

/// How many units it may take. A call is held in the room there is: it is cut off when that is used up. A message is
/// sent whole or not at all.
pub fn units(
    carrier: Carrier,
    channel: Channel,
    body: &str,
    room: Room,
    prices: &ListPrices,
) -> Result<u32, NoRoom> {
    let each = cost(prices, carrier, channel, 1);
    let paid_for = room
        .money_left
        .map_or(u32::MAX, |left| affordable(left, each));
    let planned = room.plan_left.unwrap_or(u32::MAX);
    let (wanted, least) = match channel {
        Channel::Call => (room.minutes_max, 1),
        Channel::Message => (segments(body), segments(body)),
    };
    match wanted {
        _ if planned < least => Err(NoRoom::Plan),
        _ if paid_for < least => Err(NoRoom::Money),
        wanted => Ok(wanted.min(planned).min(paid_for)),
    }
}

/// What is written down where nothing was sent, beside the providers' own codes.
pub const NOT_SENT: &str = "not_sent";

/// The same where nobody knows whether it was sent, and nobody looks any more; the finding about it, too.
pub const OUTCOME_UNKNOWN: &str = "outbound_unknown";

/// What a definite no of the provider comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// They want no messages from us: nobody asks again.
    OptedOut,
    /// The account at the provider is suspended.
    Suspended,
    /// That number cannot be reached, by nobody and at no time.
    Recipient,
    /// The number's queue is full: it was not taken, and may be later.
    NotYet,
    Other,
}

/// What it comes from, by the provider's code.
pub fn refused(code: &str) -> Refused {
    match code {
        "21610" => Refused::OptedOut,
        "10001" | "20003" | "21470" | "21471" | "21472" | "21476" | "21477" | "21478" => {
            Refused::Suspended
        }
        "21211" | "21214" | "21217" | "21264" | "21401" | "21408" | "21421" | "21608" | "21612"
        | "21614" => Refused::Recipient,
        "invalid_dst" => Refused::Recipient,
        // VoIP.ms sends so many in a day and no more.
        "21611" | "limit_reached" => Refused::NotYet,
        _ => Refused::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::Rate,
        plans::{BUILT_IN, Catalogue},
    };
    use proptest::prelude::*;

    const PRICES: ListPrices = ListPrices {
        inbound_minute: Rate(8_500),
        toll_free_inbound_minute: Rate(22_000),
        outbound_minute: Rate(14_000),
        message_segment: Rate(8_300),
        voipms_message_segment: Rate(7_500),
    };

    fn room(money_left: Option<i64>, plan_left: Option<u32>) -> Room {
        Room {
            minutes_max: 60,
            money_left,
            plan_left,
        }
    }

    #[test]
    fn each_plan_has_its_own_measure() {
        let catalogue = Catalogue::load(BUILT_IN, |setting| Some(setting.into())).unwrap();
        let gates = |product: &str, tier: &str| {
            let tier = catalogue.tier_named(product, tier).unwrap();
            (gate(tier, Channel::Call), gate(tier, Channel::Message))
        };
        assert_eq!(
            gates("ai", "ai_secretary"),
            (Gate::Hold("voice_minutes"), Gate::Hold("sms"))
        );
        assert_eq!(gates("repx", "repx1"), (Gate::Ask("calls"), Gate::Open));
        assert_eq!(gates("repx", "free"), (Gate::Ask("calls"), Gate::Closed));
    }

    #[test]
    fn a_call_is_held_in_the_room_there_is() {
        for (money, plan, expected) in [
            (None, None, Ok(60)),
            (None, Some(20), Ok(20)),
            (None, Some(0), Err(NoRoom::Plan)),
            (Some(14_000 * 7 + 13_999), Some(20), Ok(7)),
            (Some(13_999), None, Err(NoRoom::Money)),
            (Some(-5), None, Err(NoRoom::Money)),
        ] {
            let found = units(
                Carrier::Twilio,
                Channel::Call,
                "hello",
                room(money, plan),
                &PRICES,
            );
            assert_eq!(found, expected, "{money:?} {plan:?}");
        }
    }

    #[test]
    fn a_message_is_sent_whole_or_not_at_all() {
        let long = "a".repeat(161);
        for (money, plan, expected) in [
            (None, None, Ok(2)),
            (None, Some(1), Err(NoRoom::Plan)),
            (Some(16_600), Some(2), Ok(2)),
            (Some(16_599), Some(2), Err(NoRoom::Money)),
        ] {
            let found = units(
                Carrier::Twilio,
                Channel::Message,
                &long,
                room(money, plan),
                &PRICES,
            );
            assert_eq!(found, expected, "{money:?} {plan:?}");
        }
    }

    #[test]
    fn voipms_takes_short_messages_and_no_calls() {
        let message = Channel::Message;
        for (carrier, channel, body, expected) in [
            (Carrier::Voipms, message, "a".repeat(160), Ok(())),
            (
                Carrier::Voipms,
                message,
                "a".repeat(161),
                Err(NotTaken::TooLong),
            ),
            // Two bytes each.
            (Carrier::Voipms, message, "é".repeat(80), Ok(())),
            (
                Carrier::Voipms,
                message,
                "é".repeat(81),
                Err(NotTaken::TooLong),
            ),
            (
                Carrier::Voipms,
                Channel::Call,
                String::new(),
                Err(NotTaken::Calls),
            ),
            (Carrier::Twilio, message, "a".repeat(1600), Ok(())),
            (Carrier::Twilio, Channel::Call, String::new(), Ok(())),
        ] {
            assert_eq!(carrier.takes(channel, &body), expected, "{body}");
        }
        assert_eq!(cost(&PRICES, Carrier::Voipms, message, 2), 15_000);
    }

    proptest! {
        #[test]
        fn nothing_is_granted_beyond_what_is_left(
            money in -100_000i64..1_000_000, plan in 0u32..100, minutes_max in 1u32..500, length in 0usize..1600,
        ) {
            let body = "a".repeat(length);
            for channel in [Channel::Call, Channel::Message] {
                let room = Room { minutes_max, money_left: Some(money), plan_left: Some(plan) };
                if let Ok(units) = units(Carrier::Twilio, channel, &body, room, &PRICES) {
                    prop_assert!(units >= 1 && units <= plan);
                    prop_assert!(cost(&PRICES, Carrier::Twilio, channel, units) <= money);
                }
            }
        }
    }
}
