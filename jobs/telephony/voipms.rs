//! VoIP.ms' form of numbers, times and messages, and what is known of a message from there.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::America::New_York;

use super::{e164::E164, fields::Fields, messages, segments::segments};

/// The ten digits by which VoIP.ms knows a number. None: it is none of North America.
pub fn did(number: &str) -> Option<&str> {
    let digits = number.strip_prefix("+1")?;
    let is_national = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_national.then_some(digits)
}

/// A number from there as it is stored: E.164, or as it came where it is a short code or a word.
pub fn as_stored(text: &str) -> String {
    E164::as_written(text).map_or_else(|_| text.to_owned(), String::from)
}

/// A time of its lists. They are in the time of New York; an hour that comes twice there is the first of the two, and one
/// that never comes is in winter's time.
pub fn time(text: &str) -> Option<DateTime<Utc>> {
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
    let at = local.and_local_timezone(New_York).earliest();
    Some(at.map_or_else(|| local.and_utc() + WINTER, |at| at.to_utc()))
}

const WINTER: TimeDelta = TimeDelta::hours(5);

/// What a message without pictures is stored under.
pub fn message_ref(id: &str) -> String {
    format!("voipms_{id}")
}

/// A message in its list.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub is_inbound: bool,
    /// The number of ours, as it is stored.
    pub ours: String,
    /// Who wrote or was written to, as it is stored.
    pub theirs: String,
    pub text: String,
    /// Pictures and other files.
    pub media: u32,
    pub at: DateTime<Utc>,
}

/// Without what is written.
impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listed({})", self.id)
    }
}

impl Listed {
    /// The id it is stored under. Messages with pictures are numbered apart.
    pub fn message_ref(&self) -> String {
        match self.media {
            0 => message_ref(&self.id),
            _ => format!("voipms_mms_{}", self.id),
        }
    }

    /// What the list says of it. It is billed by its text, for VoIP.ms counts no segments.
    pub fn report(&self) -> messages::Report {
        let (from, to, status) = match self.is_inbound {
            true => (&self.theirs, &self.ours, messages::Status::Received),
            false => (&self.ours, &self.theirs, messages::Status::Sent),
        };
        messages::Report {
            message_ref: self.message_ref(),
            is_inbound: Some(self.is_inbound),
            from: Some(from.clone()),
            to: Some(to.clone()),
            body: Some(self.text.clone()),
            segments: Some(segments(&self.text)),
            media: Some(self.media),
            status: Some(status),
            error_code: None,
            at: Some(self.at),
            cost_micros: None,
        }
    }

    /// What its sender wishes of the number, if it came in.
    pub fn wish(&self) -> Option<messages::Wish> {
        messages::wish(&self.text, None).filter(|_| self.is_inbound)
    }
}

/// What a callback says came in. It is not signed: it is looked for in the list, and nothing more.
#[derive(Clone, PartialEq, Eq)]
pub struct Hint {
    id: Option<String>,
    from: String,
    /// The number that was written to, as it is stored.
    pub to: String,
    text: String,
}

impl Hint {
    /// By the decoded parameters of the callback. None: it names no numbers.
    pub fn of(params: &[(String, String)]) -> Option<Hint> {
        let fields = Fields(params);
        let said = |name| fields.get(name).filter(|value: &&str| !value.is_empty());
        Some(Hint {
            id: fields.word("id").map(str::to_owned),
            from: as_stored(said("from")?),
            to: as_stored(said("to")?),
            text: said("message").unwrap_or_default().to_owned(),
        })
    }

    /// Whether it tells of this message: by its id, or by who wrote what where the id is none of the list's.
    pub fn is_of(&self, listed: &Listed) -> bool {
        let is_same_id = self.id.as_ref() == Some(&listed.id);
        let is_same_text = self.from == listed.theirs && self.text == listed.text;
        listed.is_inbound && self.to == listed.ours && (is_same_id || is_same_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Listed {
        Listed {
            id: "10001".into(),
            is_inbound: true,
            ours: "+14155550100".into(),
            theirs: "+14155550199".into(),
            text: "Hello there".into(),
            media: 0,
            at: time("2026-10-15 12:00:00").unwrap(),
        }
    }

    #[test]
    fn a_number_is_known_there_by_its_ten_digits() {
        for (number, expected) in [
            ("+14155550100", Some("4155550100")),
            ("+441555501000", None),
            ("+1415555010", None),
            ("4155550100", None),
        ] {
            assert_eq!(did(number), expected, "{number}");
        }
        for (text, expected) in [
            ("4155550100", "+14155550100"),
            ("14155550100", "+14155550100"),
            ("72323", "72323"),
        ] {
            assert_eq!(as_stored(text), expected);
        }
    }

    #[test]
    fn its_times_are_new_yorks() {
        for (text, expected) in [
            ("2026-10-15 12:00:19", Some("2026-10-15T16:00:19Z")),
            ("2026-12-15 12:00:19", Some("2026-12-15T17:00:19Z")),
            // Twice there, and never there.
            ("2026-11-01 01:30:00", Some("2026-11-01T05:30:00Z")),
            ("2026-03-08 02:30:00", Some("2026-03-08T07:30:00Z")),
            ("0000-00-00 00:00:00", None),
        ] {
            let expected = expected.map(|at| at.parse().unwrap());
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn a_callback_tells_of_a_message_that_is_listed_so() {
        let told = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let params: Vec<(String, String)> = pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            Hint::of(&params)
        };
        let base = [("from", "4155550199"), ("to", "4155550100")];
        for (more, is_of) in [
            ([("id", "10001"), ("message", "Hello there")], true),
            ([("id", "10001"), ("message", "something else")], true),
            ([("id", "7"), ("message", "Hello there")], true),
            ([("id", "7"), ("message", "something else")], false),
            ([("id", ""), ("message", "")], false),
        ] {
            let hint = told(&[&base[..], &more[..]].concat()).unwrap();
            assert_eq!(hint.is_of(&listed()), is_of, "{more:?}");
        }
        let elsewhere = told(&[
            ("from", "4155550199"),
            ("to", "4155550101"),
            ("id", "10001"),
        ]);
        assert!(!elsewhere.unwrap().is_of(&listed()));
        let sent = Listed {
            is_inbound: false,
            ..listed()
        };
        let hint = told(&[&base[..], &[("id", "10001")]].concat()).unwrap();
        assert!(!hint.is_of(&sent));
        assert!(told(&[("from", "4155550199")]).is_none());
    }

    #[test]
    fn what_is_listed_is_billed_by_its_text_and_pictures_are_numbered_apart() {
        let long = Listed {
            text: "ж".repeat(71),
            ..listed()
        };
        assert_eq!(long.report().segments, Some(2));
        assert_eq!(long.report().message_ref, "voipms_10001");
        let picture = Listed {
            media: 1,
            ..listed()
        };
        assert_eq!(picture.report().message_ref, "voipms_mms_10001");
        let stop = Listed {
            text: "stop".into(),
            ..listed()
        };
        assert_eq!(stop.wish(), Some(messages::Wish::Stop));
        let sent = Listed {
            is_inbound: false,
            ..stop
        };
        assert_eq!(sent.wish(), None);
    }
}
