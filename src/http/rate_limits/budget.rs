//! One kind of request: how much of it each caller has left, counted in this process' memory.
//!
//! A budget is a bucket that is full at first and fills up evenly, one request at a time: whoever
//! has used all of it waits for one request's share of the window, never for the end of a window at
//! which everybody comes back at once.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

/// At least so many requests are counted between two looks for budgets that are full again.
const SWEEP_AFTER_MIN: usize = 1024;

/// Every caller's budget of one kind.
pub struct Budgets<C: Clock = DefaultClock> {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, C, StateInformationMiddleware>,
    max: u32,
    window: Duration,
    /// How long it takes until one more request fits in.
    share: Duration,
    until_sweep: AtomicI64,
}

/// What came of counting a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub is_within: bool,
    /// How many more would be let through now.
    pub remaining: u32,
    /// Until the budget is full again; when it is used up, until the next request is let through.
    pub seconds: u64,
}

impl Budgets {
    /// None when the limit is switched off.
    pub fn new(max: u32, window: Duration) -> Option<Budgets> {
        Budgets::with_clock(max, window, DefaultClock::default())
    }
}

impl<C: Clock> Budgets<C> {
    fn with_clock(max: u32, window: Duration, clock: C) -> Option<Budgets<C>> {
        let max = NonZeroU32::new(max)?;
        let share = (window / max.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(share)?.allow_burst(max);
        Some(Budgets {
            limiter: RateLimiter::dashmap_with_clock(quota, clock).with_middleware(),
            max: max.get(),
            window,
            share,
            until_sweep: AtomicI64::new(SWEEP_AFTER_MIN as i64),
        })
    }

    pub fn max(&self) -> u32 {
        self.max
    }

    pub fn window_seconds(&self) -> u64 {
        whole_seconds(self.window)
    }

    /// Count one request of whoever has this key. One that is refused takes nothing.
    pub fn count(&self, key: u64) -> Verdict {
        let verdict = match self.limiter.check_key(&key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Verdict {
                    is_within: true,
                    remaining,
                    seconds: whole_seconds(self.share * self.max.saturating_sub(remaining)),
                }
            }
            Err(not_until) => Verdict {
                is_within: false,
                remaining: 0,
                seconds: whole_seconds(not_until.wait_time_from(self.limiter.clock().now())),
            },
        };
        self.sweep_now_and_then();
        verdict
    }

    /// Forget the budgets that are full again. It is done on the way, by the one request that comes
    /// last of twice as many as there were budgets: so sweeps cost a request next to nothing, and
    /// there are never more budgets than three times those in use (or a thousand more). One of
    /// 100,000 budgets takes a third of a millisecond.
    fn sweep_now_and_then(&self) {
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        let before = self.limiter.len();
        self.limiter.retain_recent();
        let after = self.limiter.len();
        if after < before / 4 {
            self.limiter.shrink_to_fit();
        }
        let next = SWEEP_AFTER_MIN.max(after * 2);
        self.until_sweep.store(next as i64, Ordering::Relaxed);
    }
}

/// Rounded up: whoever comes back then is let in.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn budgets(max: u32, window: Duration) -> (Budgets<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let budgets = Budgets::with_clock(max, window, clock.clone());
        (budgets.unwrap(), clock)
    }

    fn within(remaining: u32, seconds: u64) -> Verdict {
        Verdict {
            is_within: true,
            remaining,
            seconds,
        }
    }

    fn refused(seconds: u64) -> Verdict {
        Verdict {
            is_within: false,
            remaining: 0,
            seconds,
        }
    }

    #[test]
    fn a_budget_is_used_up_and_fills_up_evenly() {
        let (budgets, clock) = budgets(3, MINUTE);

        assert_eq!(budgets.count(1), within(2, 20));
        assert_eq!(budgets.count(1), within(1, 40));
        assert_eq!(budgets.count(1), within(0, 60));
        assert_eq!(budgets.count(1), refused(20));
        clock.advance(Duration::from_millis(19_500));
        assert_eq!(budgets.count(1), refused(1), "half a second is told as one");
        clock.advance(Duration::from_millis(500));
        assert_eq!(budgets.count(1), within(0, 60));
        assert_eq!(budgets.count(1), refused(20));
        clock.advance(MINUTE);
        assert_eq!(budgets.count(1), within(2, 20));
    }

    #[test]
    fn one_budget_takes_nothing_from_another() {
        let (budgets, _clock) = budgets(1, MINUTE);
        assert_eq!(budgets.count(1), within(0, 60));
        assert_eq!(budgets.count(1), refused(60));

        assert_eq!(budgets.count(2), within(0, 60));
    }

    #[test]
    fn a_limit_of_nothing_is_no_limit() {
        assert!(Budgets::new(0, MINUTE).is_none());
    }

    #[test]
    fn a_share_too_small_to_tell_is_counted_all_the_same() {
        let (budgets, _clock) = budgets(u32::MAX, Duration::from_nanos(3));
        assert!(budgets.count(1).is_within);
        assert_eq!(budgets.window_seconds(), 1);
    }

    #[test]
    fn budgets_that_are_full_again_are_forgotten() {
        let (budgets, clock) = budgets(10, MINUTE);
        let callers = 20_000;
        for caller in 0..callers {
            budgets.count(caller);
        }
        assert_eq!(budgets.limiter.len(), callers as usize);

        // Longer than it takes to earn one request, and none of them is anything but new again.
        clock.advance(MINUTE);
        for _ in 0..2 * callers {
            budgets.count(callers);
        }

        assert_eq!(budgets.limiter.len(), 1);
    }

    #[test]
    fn a_budget_in_use_is_never_forgotten() {
        let (budgets, _clock) = budgets(1, MINUTE);
        assert!(budgets.count(0).is_within);

        for caller in 1..=50_000 {
            budgets.count(caller);
        }

        assert!(!budgets.count(0).is_within);
    }
}
