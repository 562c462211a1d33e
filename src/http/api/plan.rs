//! A tier as apps are shown it, and whether it comes with a phone number.

use std::{collections::BTreeMap, sync::Arc};

/// The tier every account has that pays for none.
pub const FREE: &str = "free";

/// One tier of the catalogue, by its id.
#[derive(Debug, Clone)]
pub struct Plan {
    pub id: String,
    pub name: String,
    /// What a month costs, in minor units. None: agreed with each customer.
    pub month_minor: Option<i64>,
    /// Most units per window, by feature. None: unlimited.
    pub limits: BTreeMap<String, Option<u64>>,
    pub auto_provision_number: bool,
}

/// Looks a tier up in the catalogue, by its id or an alias. None: there is no such tier.
pub type Plans = Arc<dyn Fn(&str) -> Option<Plan> + Send + Sync>;

/// Whether a subscription in this state entitles to its tier at all. Past due still does: its grace
/// time ends with a change of state.
pub fn is_entitled(status: &str) -> bool {
    matches!(status, "active" | "trialing" | "past_due")
}

/// Whether telephony may be bought for a subscription: its tier comes with a number, and it is
/// paid for or on trial. Nothing new is bought for one that is past due.
pub fn is_eligible(plan: &Plan, status: &str) -> bool {
    plan.auto_provision_number && matches!(status, "active" | "trialing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_bought_for_a_paid_tier_that_runs() {
        let plan = |auto_provision_number| Plan {
            id: "repx1".to_owned(),
            name: "Rep¹".to_owned(),
            month_minor: Some(9700),
            limits: BTreeMap::new(),
            auto_provision_number,
        };
        for (status, expected) in [
            ("active", true),
            ("trialing", true),
            ("past_due", false),
            ("unpaid", false),
            ("canceled", false),
            ("incomplete", false),
            ("paused", false),
        ] {
            assert_eq!(is_eligible(&plan(true), status), expected, "{status}");
            assert!(!is_eligible(&plan(false), status), "{status}");
        }
    }
}
