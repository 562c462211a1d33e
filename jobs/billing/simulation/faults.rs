//! Mistakes that whoever drives the core could make. Each is a switch of the simulation's own driver; what is
//! decided is decided by the real functions all the same.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Requests carry no key.
    NoKey,
    /// Each attempt has a key of its own.
    KeyPerAttempt,
    /// A key is trusted after Stripe has forgotten it.
    KeyForEver,
    /// An effect is recorded as done before it is asked for.
    MarkedBeforeTheCall,
    /// After a failure that may be stored the next key is taken at once.
    NewKeyWithoutALook,
    /// A look that finds nothing proves nothing will come.
    NoQuietTime,
    /// What comes after its period was closed is forgotten.
    LateUsageDropped,
    /// A period is charged when its invoice is announced, days before its end.
    BilledWhenUpcoming,
    /// An event that comes twice counts twice.
    UsageNotDeduped,
    /// Usage counts when it comes, not when it happened.
    CountedOnArrival,
    /// Every event is rounded to a whole amount.
    RoundedPerEvent,
    /// Two may rate a period at once, and both write what they found.
    ClosedWithoutALock,
    /// Counters are set to zero when an invoice is paid.
    CountersResetOnPayment,
    /// A change of plan makes the new plan that of the whole period.
    LastPlanForAll,
}

impl Fault {
    pub const ALL: [Fault; 14] = [
        Fault::NoKey,
        Fault::KeyPerAttempt,
        Fault::KeyForEver,
        Fault::MarkedBeforeTheCall,
        Fault::NewKeyWithoutALook,
        Fault::NoQuietTime,
        Fault::LateUsageDropped,
        Fault::BilledWhenUpcoming,
        Fault::UsageNotDeduped,
        Fault::CountedOnArrival,
        Fault::RoundedPerEvent,
        Fault::ClosedWithoutALock,
        Fault::CountersResetOnPayment,
        Fault::LastPlanForAll,
    ];
}
