//! Settings of what is billed.

use tollkeeper_jobs::billing::caps::Caps;

use crate::config::{BillingConfig, reader::Reader};

/// Minor units: 500 of the major unit where that has a hundred.
const PERIOD_MAX: i64 = 50_000;

pub(super) fn billing(reader: &mut Reader<'_>) -> BillingConfig {
    let wanted = "a number of minor units from 0 (no cap) on";
    let period_max = reader.value("BILLING_PERIOD_MAX", PERIOD_MAX, wanted, |max| *max >= 0);
    let wanted = "a number from 0 (no cap) to 1000";
    let multiple = reader.value("BILLING_MEAN_MULTIPLE_MAX", 3, wanted, |max| *max <= 1000);
    BillingConfig {
        caps: Caps {
            charge_max_minor: (period_max > 0).then_some(period_max),
            multiple_of_mean: (multiple > 0).then_some(multiple),
            ..Caps::default()
        },
    }
}
