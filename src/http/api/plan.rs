//! A tier as apps are shown it, and whether it comes with a phone number.

use tollkeeper_jobs::plans::Tier;

/// The tier every account has that pays for none.
pub const FREE: &str = "free";

/// The product whose aliases these paths speak.
pub const PRODUCT: &str = "repx";

/// Whether telephony may be bought for a subscription: its tier comes with a number, and it is
/// paid for or on trial. Nothing new is bought for one that is past due.
pub fn is_eligible(tier: &Tier, status: &str) -> bool {
    tier.auto_provision_number && matches!(status, "active" | "trialing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollkeeper_jobs::plans::{BUILT_IN, Catalogue};

    #[test]
    fn a_number_is_bought_for_a_paid_tier_that_runs() {
        let catalogue = Catalogue::load(BUILT_IN, |_| None).unwrap();
        let (paid, free) = (catalogue.tier("repx1"), catalogue.tier(FREE));
        for (status, expected) in [
            ("active", true),
            ("trialing", true),
            ("past_due", false),
            ("unpaid", false),
            ("canceled", false),
            ("incomplete", false),
            ("paused", false),
        ] {
            assert_eq!(is_eligible(paid.unwrap(), status), expected, "{status}");
            assert!(!is_eligible(free.unwrap(), status), "{status}");
        }
    }
}
