//! What a line on an invoice is made of: its charge, the uses that were rated, and the jobs and webhooks that brought it
//! there. It reads only, and adds up again whatever it tells.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    AttachCharges, ClosePeriod, CompareInvoice, FinalizeInvoice, HandleTwilioCallback,
    HandleVoipmsCallback, Job, RaiseUsageInvoice, RecordInvoice,
    billing::{Meter, NUMBER, Used, rate, waivers::Waiver},
    money::major_text,
    prune_history,
    usage::MicroUnits,
};

use crate::{
    db::billing::{
        explain::{self, Charge, Revision, Told, Use, Uses},
        invoices::{self, Invoice},
        periods::{self, StoredPeriod},
    },
    queue::look::{self, JobRow},
};

/// A charge, explained.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub charge: Charge,
    pub period: Period,
    /// What it is billed by: of a number the fee, of a meter what is included and the rates beyond.
    pub number_fee_minor: Option<i64>,
    pub meter: Option<Meter>,
    /// Everything that was charged for the same before, and it itself.
    pub revisions: Vec<Revision>,
    /// None for a number, and where uses are no longer kept.
    pub uses: Option<Uses>,
    pub listed: Vec<Use>,
    /// None: it is on no invoice.
    pub invoice: Option<Invoice>,
    /// The runs that brought it there, as far as history is kept.
    pub jobs: Vec<JobRow>,
    pub webhooks: Vec<Told>,
    pub parts: Vec<Part>,
    /// Whether all parts hold.
    pub adds_up: bool,
}

#[derive(Debug, Serialize)]
pub struct Period {
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub tier: String,
    pub closed_at: Option<DateTime<Utc>>,
}

/// One sum that was made again.
#[derive(Debug, Serialize)]
pub struct Part {
    pub says: String,
    pub holds: bool,
}

/// So many uses that were under way while a charge was made are looked at one by one.
const UNDER_WAY_MAX: i64 = 50;
/// Of so many uses the jobs are told that counted them.
const COUNTING_JOBS_MAX: usize = 20;

/// Explain what a line (`ii_…`), a charge (its id) or an invoice (`in_…`) is about, with so many uses of each, or all.
pub async fn explain(
    conn: &mut PgConnection,
    named: &str,
    uses_max: Option<i64>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Explanation>> {
    let kept_from = prune_history::usage_kept_from(now);
    let mut all = Vec::new();
    for charge in explain::charges(conn, named).await? {
        let stored = periods::load(conn, &[charge.period_id]).await?;
        // A charge refers to its period, so it is there.
        if let Some(period) = stored.first() {
            let are_uses_kept = period.starts_at >= kept_from;
            all.push(of_charge(conn, charge, period, uses_max, are_uses_kept).await?);
        }
    }
    Ok(all)
}

async fn of_charge(
    conn: &mut PgConnection,
    charge: Charge,
    period: &StoredPeriod,
    uses_max: Option<i64>,
    are_uses_kept: bool,
) -> sqlx::Result<Explanation> {
    let is_number = charge.meter == NUMBER;
    let revisions = explain::revisions(conn, &charge).await?;
    let (mut uses, mut listed) = (None, Vec::new());
    if !is_number && are_uses_kept {
        let (until, sum) = rated_uses(conn, &charge).await?;
        uses = Some(sum);
        listed = explain::list_uses(conn, &charge, until, uses_max).await?;
    }
    let invoice = match charge.invoice_id {
        Some(invoice_id) => invoices::load(conn, invoice_id).await?,
        None => None,
    };
    let stripe_ref = invoice
        .as_ref()
        .and_then(|one| Some((one.stripe_ref.clone()?, one.created_at)));
    let webhooks = match &stripe_ref {
        Some((invoice_ref, made_at)) => explain::webhooks(conn, invoice_ref, *made_at).await?,
        None => Vec::new(),
    };
    let jobs = jobs(
        conn,
        &charge,
        stripe_ref.as_ref().map(|(invoice_ref, _)| invoice_ref),
        &listed,
    )
    .await?;
    let parts = parts(&charge, period, &revisions, uses.as_ref());
    let terms = period.terms();
    Ok(Explanation {
        period: Period {
            starts_at: period.starts_at,
            ends_at: period.ends_at,
            tier: terms.tier.clone(),
            closed_at: period.closed_at,
        },
        number_fee_minor: is_number.then_some(terms.number_fee_minor),
        meter: (!is_number).then(|| terms.meter(&charge.meter).clone()),
        adds_up: parts.iter().all(|part| part.holds),
        charge,
        revisions,
        uses,
        listed,
        invoice,
        jobs,
        webhooks,
        parts,
    })
}

/// The uses that were rated, and until when they came. One that came in the same moment may have a time on the wrong side
/// of the charge's: it was stored a little later than it says, or on a machine with another clock. So the moment nearest
/// to the charge is looked for by which they add up; if there is none, its own.
async fn rated_uses(
    conn: &mut PgConnection,
    charge: &Charge,
) -> sqlx::Result<(DateTime<Utc>, Uses)> {
    let is_it = |uses: &Uses| MicroUnits(uses.quantity).at_least_zero().0 == charge.quantity;
    let own = explain::uses(conn, charge, charge.created_at).await?;
    if is_it(&own) {
        return Ok((charge.created_at, own));
    }
    for came_at in explain::came_about_then(conn, charge, UNDER_WAY_MAX).await? {
        // With what came after the charge, or without what came before it.
        let until = match came_at > charge.created_at {
            true => came_at,
            false => came_at - TimeDelta::microseconds(1),
        };
        let uses = explain::uses(conn, charge, until).await?;
        if is_it(&uses) {
            return Ok((until, uses));
        }
    }
    Ok((charge.created_at, own))
}

async fn jobs(
    conn: &mut PgConnection,
    charge: &Charge,
    invoice_ref: Option<&String>,
    listed: &[Use],
) -> sqlx::Result<Vec<JobRow>> {
    let mut wanted = vec![
        (ClosePeriod::KIND, charge.period_id.to_string()),
        (RaiseUsageInvoice::KIND, charge.account_id.clone()),
    ];
    if let Some(invoice_id) = charge.invoice_id {
        wanted.extend(
            [CompareInvoice::KIND, FinalizeInvoice::KIND]
                .map(|kind| (kind, invoice_id.to_string())),
        );
    }
    if let Some(invoice_ref) = invoice_ref {
        wanted.extend(
            [AttachCharges::KIND, RecordInvoice::KIND].map(|kind| (kind, invoice_ref.clone())),
        );
    }
    let told = listed.iter().filter_map(|one| {
        let kind = match one.source.as_str() {
            "voipms" => HandleVoipmsCallback::KIND,
            _ => HandleTwilioCallback::KIND,
        };
        Some((kind, one.webhook_id?.to_string()))
    });
    wanted.extend(told.take(COUNTING_JOBS_MAX));
    let mut found = Vec::new();
    for (kind, key) in wanted {
        let begin_so = look::with_keys(conn, kind, &key).await?;
        found.extend(begin_so.into_iter().filter(|job| job.key == key));
    }
    found.sort_by_key(|job| job.id);
    Ok(found)
}

/// Every sum on the way from the uses to the line, made again.
fn parts(
    charge: &Charge,
    period: &StoredPeriod,
    revisions: &[Revision],
    uses: Option<&Uses>,
) -> Vec<Part> {
    let money = |minor| {
        format!(
            "{} {}",
            major_text(minor, &charge.currency),
            charge.currency
        )
    };
    let mut parts = Vec::new();
    let mut part = |says: String, holds: bool| parts.push(Part { says, holds });
    let quantity = MicroUnits(charge.quantity);
    let mut used = Used::default();
    match uses {
        Some(uses) => {
            let sum = MicroUnits(uses.quantity).at_least_zero();
            part(
                format!("{} uses add up to {sum}", uses.events),
                sum == quantity,
            );
            used.meters.insert(charge.meter.clone(), quantity);
        }
        None if charge.meter == NUMBER => used.numbers.push(charge.subject.clone()),
        None => {
            part(format!("{quantity} used, by uses no longer kept"), true);
            used.meters.insert(charge.meter.clone(), quantity);
        }
    }
    let rated = rate(period.terms(), &used).unwrap_or_default();
    let rated = rated
        .into_iter()
        .find(|one| one.meter == charge.meter && one.subject == charge.subject);
    let beyond = MicroUnits(charge.beyond);
    // What takes back no more than was never paid may go only a part of the way to what it costs.
    let is_a_part = charge.waiver.as_deref() == Some(Waiver::InvoiceVoided.as_str());
    let costs = |cost: i64| cost == charge.rated_minor || is_a_part && cost < charge.rated_minor;
    part(
        format!(
            "{quantity} by these terms, {beyond} of it beyond, cost {}",
            money(charge.rated_minor)
        ),
        rated.is_some_and(|one| one.beyond == beyond && costs(one.amount_minor)),
    );
    let before = charge.previous_rated_minor;
    part(
        format!(
            "less {} charged before, that is {}",
            money(before),
            money(charge.amount_minor)
        ),
        charge.rated_minor.checked_sub(before) == Some(charge.amount_minor),
    );
    let sum = revisions
        .iter()
        .map(|one| i128::from(one.amount_minor))
        .sum::<i128>();
    part(
        format!(
            "{} revisions add up to {}",
            revisions.len(),
            money(charge.rated_minor)
        ),
        sum == i128::from(charge.rated_minor),
    );
    if let Some(is_asked_so) = charge.is_asked_so {
        part(
            format!(
                "Stripe was asked for a line of {}",
                money(charge.amount_minor)
            ),
            is_asked_so,
        );
    }
    parts
}
