//! Minutes of calls.

/// The minutes a call is counted as: each started one is whole, for each call by itself. A call that
/// was never answered has none.
pub fn minutes_of_call(seconds: u64) -> u64 {
    seconds.div_ceil(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_minute_is_a_whole_one() {
        for (seconds, minutes) in [
            (0, 0),
            (1, 1),
            (59, 1),
            (60, 1),
            (61, 2),
            (3_600, 60),
            (u64::MAX, u64::MAX / 60 + 1),
        ] {
            assert_eq!(minutes_of_call(seconds), minutes, "{seconds} s");
        }
    }
}
