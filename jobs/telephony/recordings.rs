//! What is known of a recording, from callbacks and lists that come in any order and more than once.

use chrono::{DateTime, TimeDelta, Utc};

use super::words;

/// Where a recording stands, in Twilio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    InProgress,
    Paused,
    Stopped,
    Processing,
    Completed,
    /// Nothing was recorded.
    Absent,
    Deleted,
}

impl Status {
    const ALL: [(Status, &'static str); 7] = [
        (Status::InProgress, "in-progress"),
        (Status::Paused, "paused"),
        (Status::Stopped, "stopped"),
        (Status::Processing, "processing"),
        (Status::Completed, "completed"),
        (Status::Absent, "absent"),
        (Status::Deleted, "deleted"),
    ];

    pub fn of(text: &str) -> Option<Status> {
        words::read(&Status::ALL, text)
    }

    pub fn as_str(self) -> &'static str {
        words::name(&Status::ALL, self)
    }

    /// Whether its audio will never be another one.
    pub fn is_final(self) -> bool {
        self.rank() >= 2
    }

    /// What was recorded can still be deleted; nothing else follows an end.
    fn rank(self) -> u8 {
        match self {
            Status::InProgress | Status::Paused => 0,
            Status::Stopped | Status::Processing => 1,
            Status::Completed | Status::Absent => 2,
            Status::Deleted => 3,
        }
    }
}

/// What one callback or one row of the list says of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub recording_ref: String,
    /// None for a conference's.
    pub call_ref: Option<String>,
    /// None: it says a word that we do not know.
    pub status: Option<Status>,
    /// Told when it is over.
    pub seconds: Option<u32>,
    /// When it began.
    pub at: Option<DateTime<Utc>>,
}

/// A recording as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub call_ref: Option<String>,
    pub status: Status,
    pub seconds: Option<u32>,
    pub began_at: DateTime<Utc>,
}

/// What is known once this is known too. What is over stays as it ended, and how long it was is told once.
pub fn learn(known: Option<Recording>, said: &Report, received_at: DateTime<Utc>) -> Recording {
    // The provider's clock may be ahead of ours; nothing begins after it was told.
    let at = said.at.map_or(received_at, |at| at.min(received_at));
    let status = said.status.unwrap_or(Status::InProgress);
    let seconds = said.seconds.filter(|_| status == Status::Completed);
    let Some(known) = known else {
        return Recording {
            call_ref: said.call_ref.clone(),
            status,
            seconds,
            began_at: at,
        };
    };
    let is_news = status.rank() > known.status.rank();
    Recording {
        call_ref: known.call_ref.or_else(|| said.call_ref.clone()),
        status: if is_news { status } else { known.status },
        seconds: known.seconds.or(seconds),
        began_at: known.began_at.min(at),
    }
}

/// What a job about a recording is known by.
pub fn key(account_id: &str, recording_ref: &str) -> String {
    format!("{account_id}:{recording_ref}")
}

/// How long a recording that was told of is looked for when the provider does not have it: its file may come a little
/// after its callback.
const LOOKED_FOR: TimeDelta = TimeDelta::hours(6);
const LOOK_AGAIN_MIN: TimeDelta = TimeDelta::seconds(3);
const LOOK_AGAIN_MAX: TimeDelta = TimeDelta::minutes(30);

/// When to look again for what is not there yet: soon at first, then ever more rarely. None: it is not going to come.
pub fn look_again_at(told_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let waited = now - told_at;
    (waited < LOOKED_FOR).then(|| now + waited.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(status: Status, seconds: Option<u32>) -> Report {
        Report {
            recording_ref: "RE1".into(),
            call_ref: Some("CA1".into()),
            status: Some(status),
            seconds,
            at: None,
        }
    }

    #[test]
    fn every_word_reads_back() {
        for (status, word) in Status::ALL {
            assert_eq!((Status::of(word), status.as_str()), (Some(status), word));
        }
        assert_eq!(Status::of("COMPLETED"), None);
    }

    #[test]
    fn what_is_over_stays_as_it_ended_and_may_only_be_deleted() {
        for (first, then, left) in [
            (Status::Completed, Status::InProgress, Status::Completed),
            (Status::Completed, Status::Absent, Status::Completed),
            (Status::Absent, Status::Completed, Status::Absent),
            (Status::Completed, Status::Deleted, Status::Deleted),
            (Status::Deleted, Status::Completed, Status::Deleted),
            (Status::InProgress, Status::Processing, Status::Processing),
        ] {
            let now = DateTime::UNIX_EPOCH;
            let known = learn(None, &said(first, None), now);
            assert_eq!(learn(Some(known), &said(then, None), now).status, left);
        }
    }

    proptest! {
        #[test]
        fn any_order_and_any_number_of_copies_end_alike(
            order in Just(vec![0_usize, 1, 2, 0, 1, 2]).prop_shuffle(),
        ) {
            let told = [
                said(Status::InProgress, None),
                said(Status::Processing, Some(7)),
                said(Status::Completed, Some(61)),
            ];
            let now = DateTime::UNIX_EPOCH;
            let learnt = order.iter().fold(None, |known, at| Some(learn(known, &told[*at], now)));
            let learnt = learnt.unwrap();
            prop_assert_eq!((learnt.status, learnt.seconds), (Status::Completed, Some(61)));
        }

        #[test]
        fn what_is_not_there_is_looked_for_again_and_not_for_ever(waited in 0..100_000_i64) {
            let told_at = DateTime::UNIX_EPOCH;
            let now = told_at + TimeDelta::seconds(waited);
            match look_again_at(told_at, now) {
                Some(at) => prop_assert!(at > now && at <= now + LOOK_AGAIN_MAX),
                None => prop_assert!(waited >= LOOKED_FOR.num_seconds()),
            }
        }
    }
}
