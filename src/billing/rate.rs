//! Rating periods that are over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        Terms, Used,
        charges::{Last, Revision, revise, without_unpaid},
        lines::{Line, line_text},
        rating,
        waivers::Waiver,
    },
    money::MoneyError,
    usage::MicroUnits,
};
use uuid::Uuid;

use super::periods::{Subscriptions, waived_by};
use crate::db::{
    self,
    billing::{
        charges::{self, NewCharge},
        periods::{self, StoredPeriod},
        usage,
    },
};

/// What came of rating periods.
#[derive(Debug, Default)]
pub struct Rated {
    /// The revisions that were charged, waived ones too.
    pub charges: Vec<NewCharge>,
    /// Of these accounts something is owed that is on no invoice yet.
    pub owing: Vec<String>,
    /// Periods that come to more than an amount can be; nothing of them was charged.
    pub beyond_amounts: Vec<(Uuid, MoneyError)>,
}

/// Rate these whole periods and charge the difference to what was charged for them before.
///
/// Their accounts are locked by the caller, so nobody else rates them meanwhile; `subscriptions` are these accounts'. A
/// period that was rated before is rated by the same terms again; what waives it is found the first time and stays.
pub async fn rate(
    tx: &mut PgConnection,
    periods: &[StoredPeriod],
    subscriptions: &Subscriptions,
    now: DateTime<Utc>,
) -> sqlx::Result<Rated> {
    let billed: Vec<&StoredPeriod> = periods
        .iter()
        .filter(|period| period.subscription_ref.is_some())
        .collect();
    let facts = Facts::load(tx, &billed).await?;
    let mut new = Vec::new();
    let mut outcome = Rated::default();
    let mut waivers = BTreeMap::new();
    for period in &billed {
        let waiver = period
            .waiver()
            .or_else(|| first_waiver(period, subscriptions));
        waivers.insert(period.period_id, waiver);
        match facts.revisions(period) {
            Ok(revisions) => {
                let parts = revisions.into_iter().flat_map(|one| {
                    let unpaid = facts.unpaid(period, &one);
                    without_unpaid(one, unpaid)
                });
                let of_period =
                    parts.map(|(part, own)| facts.charge(period, &part, waiver.or(own)));
                new.extend(of_period);
            }
            Err(error) => outcome.beyond_amounts.push((period.period_id, error)),
        }
    }
    let is_batch = periods.len() > 1;
    if is_batch {
        db::plan_as_kept(tx).await?;
    }
    charges::insert(tx, &new, now).await?;
    if is_batch {
        db::plan_anew(tx).await?;
    }
    let ids: Vec<Uuid> = periods.iter().map(|period| period.period_id).collect();
    let stored: Vec<Option<&str>> = ids
        .iter()
        .map(|id| waivers.get(id).copied().flatten().map(Waiver::as_str))
        .collect();
    periods::rated(tx, &ids, &stored, now).await?;
    outcome.owing = new
        .iter()
        .filter(|charge| charge.waiver.is_none())
        .map(|charge| charge.account_id.clone())
        .collect();
    outcome.charges = new;
    outcome.owing.dedup();
    Ok(outcome)
}

/// Which of these closed periods come to something else now than was charged for them, and how in words. It reads only.
pub async fn differing<'a>(
    conn: &mut PgConnection,
    periods: &'a [StoredPeriod],
) -> sqlx::Result<Vec<(&'a StoredPeriod, String)>> {
    let facts = Facts::load(conn, &periods.iter().collect::<Vec<_>>()).await?;
    let told = periods.iter().filter_map(|period| {
        let what = match facts.revisions(period) {
            Ok(revisions) => {
                let told = revisions.iter().map(|one| {
                    let (before, now) = (one.previous_rated_minor, one.rated_minor);
                    format!("{} comes to {now}, and {before} was charged", one.meter)
                });
                told.collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        };
        (!what.is_empty()).then_some((period, what))
    });
    Ok(told.collect())
}

/// What waives a period that is rated for the first time.
fn first_waiver(period: &StoredPeriod, subscriptions: &Subscriptions) -> Option<Waiver> {
    if period.closed_at.is_some() {
        return None;
    }
    let subscription = subscriptions.get(period.subscription_ref.as_deref()?)?;
    waived_by(period.span(), subscription)
}

/// Everything that rating looks at, read in one go for all periods.
struct Facts {
    used: BTreeMap<Uuid, Used>,
    /// By number: the number itself.
    numbers: BTreeMap<Uuid, String>,
    last: BTreeMap<(Uuid, String, String), Last>,
    /// Of what was charged nobody paid so much; minor units.
    unpaid: BTreeMap<(Uuid, String, String), i64>,
}

impl Facts {
    async fn load(tx: &mut PgConnection, periods: &[&StoredPeriod]) -> sqlx::Result<Facts> {
        let ids: Vec<Uuid> = periods.iter().map(|period| period.period_id).collect();
        let mut meters: Vec<&str> = periods
            .iter()
            .flat_map(|period| period.terms().meters.keys())
            .map(String::as_str)
            .collect();
        meters.sort_unstable();
        meters.dedup();
        let mut used: BTreeMap<Uuid, Used> = BTreeMap::new();
        for row in usage::of_periods(tx, &ids, &meters).await? {
            let of_period = used.entry(row.period_id).or_default();
            of_period
                .meters
                .insert(row.feature, MicroUnits(row.quantity));
        }
        let mut numbers = BTreeMap::new();
        for row in usage::numbers_held(tx, &ids).await? {
            let of_period = used.entry(row.period_id).or_default();
            of_period.numbers.push(row.number_id.to_string());
            numbers.insert(row.number_id, row.phone_number);
        }
        let (mut last, mut unpaid) = (BTreeMap::new(), BTreeMap::new());
        for row in charges::last_revisions(tx, &ids).await? {
            let key = (row.period_id, row.meter, row.subject);
            unpaid.insert(key.clone(), row.unpaid_minor.unwrap_or_default());
            let (revision, rated_minor) = (row.revision, row.rated_minor);
            last.insert(
                key,
                Last {
                    revision,
                    rated_minor,
                },
            );
        }
        Ok(Facts {
            used,
            numbers,
            last,
            unpaid,
        })
    }

    /// How much of what a revision is about nobody paid; minor units.
    fn unpaid(&self, period: &StoredPeriod, revision: &Revision) -> i64 {
        let (meter, subject) = (revision.meter.clone(), revision.subject.clone());
        let key = (period.period_id, meter, subject);
        self.unpaid.get(&key).copied().unwrap_or_default()
    }

    fn revisions(&self, period: &StoredPeriod) -> Result<Vec<Revision>, MoneyError> {
        let nothing = Used::default();
        let used = self.used.get(&period.period_id).unwrap_or(&nothing);
        if used
            .meters
            .values()
            .any(|used| used.0 == usage::BEYOND_BILLING)
        {
            return Err(MoneyError::Overflow);
        }
        let rated = rating::rate(period.terms(), used)?;
        let revisions = rated.iter().filter_map(|rated| {
            let key = (period.period_id, rated.meter.clone(), rated.subject.clone());
            revise(self.last.get(&key), rated)
        });
        Ok(revisions.collect())
    }

    fn charge(
        &self,
        period: &StoredPeriod,
        revision: &Revision,
        waiver: Option<Waiver>,
    ) -> NewCharge {
        let terms: &Terms = period.terms();
        let number: Option<Uuid> = revision.subject.parse().ok();
        let line = Line {
            revision,
            terms,
            number: number
                .and_then(|id| self.numbers.get(&id))
                .map(String::as_str),
            late_for: period.closed_at.map(|_| period.span()),
        };
        NewCharge {
            charge_id: Uuid::now_v7(),
            account_id: period.account_id.clone(),
            period_id: period.period_id,
            meter: revision.meter.clone(),
            subject: revision.subject.clone(),
            revision: revision.revision,
            previous_rated_minor: revision.previous_rated_minor,
            rated_minor: revision.rated_minor,
            quantity: revision.quantity.0,
            beyond: revision.beyond.0,
            currency: terms.currency.clone(),
            description: line_text(&line),
            waiver: waiver.map(Waiver::as_str),
        }
    }
}
