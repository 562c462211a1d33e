//! Settings of what is billed.

use std::time::Duration;

use tollkeeper_jobs::billing::caps::Caps;

use crate::config::{BillingConfig, reader::Reader};

/// Minor units: 500 of the major unit where that has a hundred.
const PERIOD_MAX: i64 = 50_000;

/// A renewal's draft ends an hour after its period, and takes nothing in its last minutes.
const SETTLES_FOR_MAX: Duration = Duration::from_secs(45 * 60);

pub(super) fn billing(reader: &mut Reader<'_>) -> BillingConfig {
    let wanted = "a number of minor units from 0 (no cap) on";
    let period_max = reader.value("BILLING_PERIOD_MAX", PERIOD_MAX, wanted, |max| *max >= 0);
    let wanted = "a number from 0 (no cap) to 1000";
    let multiple = reader.value("BILLING_MEAN_MULTIPLE_MAX", 3, wanted, |max| *max <= 1000);
    let settles_for = reader.duration("BILLING_SETTLES_FOR", "10m");
    if settles_for > SETTLES_FOR_MAX {
        let what = "is longer than 45m: a renewal's invoice can be added to for an hour";
        reader.fault("BILLING_SETTLES_FOR", what.to_owned());
    }
    BillingConfig {
        settles_for,
        caps: Caps {
            charge_max_minor: (period_max > 0).then_some(period_max),
            multiple_of_mean: (multiple > 0).then_some(multiple),
            ..Caps::default()
        },
    }
}
