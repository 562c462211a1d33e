//! Settings of who may be called and written, and at what cost.

use tollkeeper_jobs::telephony::{countries, e164::E164};

use crate::config::{OutboundConfig, reader::Reader};

/// A day has so many minutes.
const CALL_MINUTES_MAX: u32 = 1440;

/// Where numbers may be called and written.
pub(super) fn allowed_countries(reader: &mut Reader<'_>) -> Vec<String> {
    const NAME: &str = "TELEPHONY_ALLOWED_COUNTRIES";
    let allowed = match reader.list(NAME) {
        unset if unset.is_empty() => vec!["US", "CA"],
        allowed => allowed,
    };
    if let Some(unknown) = allowed.iter().find(|country| !countries::is_known(country)) {
        let what =
            format!("{unknown:?} is no country of ISO 3166 that its numbers tell, as in US,CA");
        reader.fault(NAME, what);
    }
    allowed.into_iter().map(str::to_owned).collect()
}

pub(super) fn outbound(reader: &mut Reader<'_>) -> OutboundConfig {
    let cap = dollars(reader, "OUTBOUND_SPEND_PER_DAY_MAX", "25");
    let is_on = reader.value("TWILIO_MASTER_FALLBACK", false, "true or false", |_| true);
    let number = fallback_number(reader);
    if is_on && number.is_none() {
        let what = "is on without TWILIO_PHONE_NUMBER, the main account's own number";
        reader.fault("TWILIO_MASTER_FALLBACK", what.to_owned());
    }
    OutboundConfig {
        spend_per_day_micros: (cap > 0).then_some(cap),
        call_minutes_max: reader.value(
            "OUTBOUND_CALL_MINUTES_MAX",
            60,
            "a number of minutes from 1 to 1440",
            |minutes| (1..=CALL_MINUTES_MAX).contains(minutes),
        ),
        fallback_number: number.filter(|_| is_on),
    }
}

fn fallback_number(reader: &mut Reader<'_>) -> Option<E164> {
    let number = reader.optional("TWILIO_PHONE_NUMBER")?.parse();
    number
        .map_err(|error| reader.fault("TWILIO_PHONE_NUMBER", format!("is {error}")))
        .ok()
}

/// US dollars with up to six decimals, in millionths.
fn dollars(reader: &mut Reader<'_>, name: &'static str, default: &str) -> i64 {
    let text = reader.text(name, default);
    micros(&text).unwrap_or_else(|| {
        let what =
            format!("{text:?} is no amount in US dollars with up to six decimals, as in 0.0083");
        reader.fault(name, what);
        0
    })
}

fn micros(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_to_the_last_millionth() {
        for (text, expected) in [
            ("25", Some(25_000_000)),
            ("0.0083", Some(8_300)),
            ("0.000001", Some(1)),
            ("1.", Some(1_000_000)),
            ("0.0000001", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
            (".5", None),
            ("9223372036855", None),
        ] {
            assert_eq!(micros(text), expected, "{text:?}");
        }
    }
}
