//! What a tier allows of a feature, and the answer to "may they?".

use super::{Lost, MicroUnits};
use crate::plans::{Quantity, Tier, Window};

/// What a tier allows of one feature in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The tier does not have it.
    Nothing,
    /// So much and no more.
    UpTo(MicroUnits),
    /// So much is included, and the first unit more costs so many micro-units of the currency; later ones
    /// may cost less or more.
    Billable {
        included: MicroUnits,
        rate_micros: i64,
    },
    Unlimited,
}

/// What a tier allows of a feature, and in which window it is counted. What it neither limits nor includes it
/// does not have.
pub fn of_feature(tier: &Tier, feature: &str) -> (Allowance, Window) {
    if let Some(limit) = tier.limits.get(feature) {
        let allowance = match limit.max {
            Quantity::Unlimited => Allowance::Unlimited,
            Quantity::Units(0) => Allowance::Nothing,
            Quantity::Units(most) => Allowance::UpTo(MicroUnits::of_units(most)),
        };
        return (allowance, limit.per);
    }
    let steps = tier.overage.get(feature).map(Vec::as_slice);
    let allowance = match (tier.included.get(feature), steps) {
        (Some(Quantity::Unlimited), _) => Allowance::Unlimited,
        (Some(Quantity::Units(included)), Some([first, ..])) => Allowance::Billable {
            included: MicroUnits::of_units(*included),
            rate_micros: first.rate.0,
        },
        (Some(Quantity::Units(most @ 1..)), _) => Allowance::UpTo(MicroUnits::of_units(*most)),
        (Some(Quantity::Units(0)) | None, _) => Allowance::Nothing,
    };
    (allowance, Window::Cycle)
}

impl Allowance {
    /// How much costs nothing more; none where that has no end.
    pub fn limit(self) -> Option<MicroUnits> {
        match self {
            Allowance::Nothing => Some(MicroUnits::ZERO),
            Allowance::UpTo(limit)
            | Allowance::Billable {
                included: limit, ..
            } => Some(limit),
            Allowance::Unlimited => None,
        }
    }
}

/// What is used of a window so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Counted.
    pub counted: MicroUnits,
    /// Held by reservations that live.
    pub held: MicroUnits,
}

impl Used {
    pub fn total(self) -> MicroUnits {
        self.counted + self.held
    }
}

/// Why, for a program. The words never change once given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    WithinLimit,
    OverLimitBillable,
    LimitReached,
    NotInPlan,
    /// The rights of the subscription do not count, and the free ones do not reach.
    Lost(Lost),
    UnknownFeature,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Code::WithinLimit => "within_limit",
            Code::OverLimitBillable => "over_limit_billable",
            Code::LimitReached => "limit_reached",
            Code::NotInPlan => "not_in_plan",
            Code::Lost(Lost::PastDue) => "subscription_past_due",
            Code::Lost(Lost::Canceled) => "subscription_canceled",
            Code::Lost(Lost::Paused) => "subscription_paused",
            Code::Lost(Lost::Unpaid) => "subscription_unpaid",
            Code::Lost(Lost::Incomplete) => "subscription_incomplete",
            Code::UnknownFeature => "unknown_feature",
        }
    }
}

/// May they use so much more?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub is_allowed: bool,
    pub code: Code,
    /// What is left before this request; none where there is no limit.
    pub remaining: Option<MicroUnits>,
    /// By how much this request goes beyond the limit.
    pub overage: MicroUnits,
}

pub fn decide(
    allowance: Allowance,
    lost: Option<Lost>,
    used: Used,
    requested: MicroUnits,
) -> Decision {
    let Some(limit) = allowance.limit() else {
        return Decision {
            is_allowed: true,
            code: Code::WithinLimit,
            remaining: None,
            overage: MicroUnits::ZERO,
        };
    };
    let overage = (used.total() + requested - limit).at_least_zero();
    let denied = |code| lost.map_or(code, Code::Lost);
    let (is_allowed, code) = match allowance {
        Allowance::Nothing => (false, denied(Code::NotInPlan)),
        _ if overage == MicroUnits::ZERO => (true, Code::WithinLimit),
        Allowance::Billable { .. } => (true, Code::OverLimitBillable),
        Allowance::UpTo(_) | Allowance::Unlimited => (false, denied(Code::LimitReached)),
    };
    Decision {
        is_allowed,
        code,
        remaining: Some((limit - used.total()).at_least_zero()),
        overage,
    }
}

/// At these shares of a limit, in per cent, the app is told once in a window.
pub const THRESHOLDS: [i64; 2] = [80, 100];

/// The thresholds that a use crosses which takes a window's count from `before` to `after`.
pub fn crossed(
    allowance: Allowance,
    before: MicroUnits,
    after: MicroUnits,
) -> impl Iterator<Item = i64> {
    let limit = allowance.limit().filter(|limit| limit.0 > 0);
    let reaches = move |used: MicroUnits, percent: i64| {
        limit.is_some_and(|limit| {
            i128::from(used.0) * 100 >= i128::from(limit.0) * i128::from(percent)
        })
    };
    THRESHOLDS
        .into_iter()
        .filter(move |percent| !reaches(before, *percent) && reaches(after, *percent))
}

/// The warning once four fifths are used, in the words older clients know.
pub fn warning(feature: &str, allowance: Allowance, used: MicroUnits) -> Option<String> {
    let limit = allowance.limit().filter(|limit| limit.0 > 0)?;
    let is_close = i128::from(used.0) * 100 >= i128::from(limit.0) * i128::from(THRESHOLDS[0]);
    is_close.then(|| {
        let percent = used.percent_of(limit);
        format!("Approaching {feature} limit: {used}/{limit} ({percent}%)")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plans::{BUILT_IN, Catalogue};

    fn units(units: u64) -> MicroUnits {
        MicroUnits::of_units(units)
    }

    /// Tier, feature, used, held and requested; allowed, code, remaining and overage.
    #[track_caller]
    fn check(
        (tier, feature): (&str, &str),
        (counted, held, requested): (u64, u64, u64),
        expected: (bool, &str, Option<u64>, u64),
    ) {
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let (allowance, _) = of_feature(catalogue.tier(tier).unwrap(), feature);
        let used = Used {
            counted: units(counted),
            held: units(held),
        };
        let found = decide(allowance, None, used, units(requested));
        let (is_allowed, code, remaining, overage) = expected;
        assert_eq!(
            (
                found.is_allowed,
                found.code.as_str(),
                found.remaining,
                found.overage
            ),
            (is_allowed, code, remaining.map(units), units(overage)),
        );
    }

    #[test]
    fn the_last_unit_is_allowed_and_the_one_after_it_is_not() {
        let queries = ("repx2", "ai_queries");
        check(queries, (40, 0, 1), (true, "within_limit", Some(60), 0));
        check(queries, (99, 0, 1), (true, "within_limit", Some(1), 0));
        check(queries, (100, 0, 5), (false, "limit_reached", Some(0), 5));
        check(queries, (150, 0, 1), (false, "limit_reached", Some(0), 51));
        check(queries, (90, 9, 1), (true, "within_limit", Some(1), 0));
        check(queries, (90, 10, 1), (false, "limit_reached", Some(0), 1));
    }

    #[test]
    fn each_kind_of_allowance_has_its_answer() {
        check(
            ("free", "calls"),
            (0, 0, 1),
            (false, "not_in_plan", Some(0), 1),
        );
        check(
            ("ai_buddy", "sms"),
            (0, 0, 1),
            (false, "not_in_plan", Some(0), 1),
        );
        check(
            ("repx1", "sms"),
            (0, 0, 1),
            (false, "not_in_plan", Some(0), 1),
        );
        check(
            ("repx5", "calls"),
            (9999, 0, 1),
            (true, "within_limit", None, 0),
        );
        check(
            ("ai_secretary", "sms"),
            (99, 0, 1),
            (true, "within_limit", Some(1), 0),
        );
        check(
            ("ai_secretary", "sms"),
            (100, 0, 2),
            (true, "over_limit_billable", Some(0), 2),
        );
        check(
            ("ai_cto", "voice_minutes"),
            (1, 0, 1),
            (true, "within_limit", None, 0),
        );
    }

    #[test]
    fn a_denial_says_which_rights_are_lost() {
        for (lost, code) in [
            (Some(Lost::PastDue), "subscription_past_due"),
            (Some(Lost::Canceled), "subscription_canceled"),
            (None, "not_in_plan"),
        ] {
            let found = decide(Allowance::Nothing, lost, Used::default(), units(1));
            assert_eq!(found.code.as_str(), code);
        }
        let kept = decide(
            Allowance::UpTo(units(5)),
            Some(Lost::PastDue),
            Used::default(),
            units(1),
        );
        assert_eq!(kept.code, Code::WithinLimit);
    }

    #[test]
    fn a_warning_comes_at_four_fifths_in_the_words_of_the_contract() {
        let limit = Allowance::UpTo(units(10));
        for (used, expected) in [
            (7, None),
            (8, Some("Approaching ai_queries limit: 8/10 (80%)")),
            (9, Some("Approaching ai_queries limit: 9/10 (90%)")),
            (12, Some("Approaching ai_queries limit: 12/10 (120%)")),
        ] {
            assert_eq!(
                warning("ai_queries", limit, units(used)).as_deref(),
                expected
            );
        }
        assert_eq!(warning("calls", Allowance::Nothing, units(3)), None);
        assert_eq!(warning("calls", Allowance::Unlimited, units(3)), None);
    }

    #[test]
    fn a_threshold_is_crossed_once() {
        let limit = Allowance::UpTo(units(10));
        for (before, after, expected) in [
            (0, 7, &[][..]),
            (7, 8, &[80]),
            (8, 9, &[]),
            (9, 10, &[100]),
            (7, 10, &[80, 100]),
            (10, 20, &[]),
        ] {
            let found: Vec<_> = crossed(limit, units(before), units(after)).collect();
            assert_eq!(found, expected, "{before} to {after}");
        }
        assert_eq!(crossed(Allowance::Nothing, units(0), units(5)).count(), 0);
        assert_eq!(crossed(Allowance::Unlimited, units(0), units(5)).count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_granted_of_a_hard_limit_never_exceeds_it(
            limit in 1u64..1000,
            requests in proptest::collection::vec(1u64..50, 1..200),
        ) {
            let allowance = Allowance::UpTo(units(limit));
            let mut used = Used::default();
            for requested in requests {
                let requested = units(requested);
                let decision = decide(allowance, None, used, requested);
                prop_assert_eq!(decision.is_allowed, decision.overage == MicroUnits::ZERO);
                if decision.is_allowed {
                    used.counted = used.counted + requested;
                }
                prop_assert!(used.counted <= units(limit));
            }
        }

        #[test]
        fn however_it_is_cut_a_threshold_is_crossed_once(
            cuts in proptest::collection::vec(1u64..30, 1..60),
        ) {
            let allowance = Allowance::UpTo(units(100));
            let mut before = MicroUnits::ZERO;
            let mut told = Vec::new();
            for cut in cuts {
                let after = before + units(cut);
                told.extend(crossed(allowance, before, after));
                before = after;
            }
            let expected: Vec<i64> =
                THRESHOLDS.into_iter().filter(|percent| before >= units(*percent as u64)).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
