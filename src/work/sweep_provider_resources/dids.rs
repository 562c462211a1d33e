//! The numbers of our one account at VoIP.ms, compared with ours both ways. One that bears no mark of ours is nobody's:
//! whose it is meant to be, nothing there says.

use std::collections::HashSet;

use serde_json::json;
use tollkeeper_jobs::{
    NewJob,
    provision_number::NumberStatus,
    sweep_provider_resources::{DID_FINDINGS, DID_MISSING, OnNumber, OurNumber, decide_on_did},
    telephony::{outbound::Carrier, voipms::did},
};
use uuid::Uuid;

use super::{Finding, numbers::order_of, patiently};
use crate::{
    clients::voipms::Did,
    context::Context,
    db::{
        findings,
        phone_numbers::{self, PhoneNumber},
    },
    queue::{self, Failure, Lease},
};

/// How many findings are open, and how many orders are asked for again. Without an account there nothing is looked at, and no
/// finding is closed.
pub(super) async fn sweep(ctx: &Context, lease: &Lease) -> Result<(usize, usize), Failure> {
    let Some(voipms) = &ctx.voipms else {
        return Ok((0, 0));
    };
    let before = ours(ctx).await?;
    let listed = patiently(|| voipms.dids()).await?;
    let after = ours(ctx).await?;

    let mut findings = Vec::new();
    let mut jobs: Vec<NewJob> = Vec::new();
    for there in &listed {
        let (ours, row) = our_number(&after, there);
        match decide_on_did(&ours) {
            OnNumber::Fine | OnNumber::TakeIn => {}
            OnNumber::Adopt => jobs.extend(row.map(order_of)),
            OnNumber::Report(kind) => findings.push(found(kind, there.number_ref(), row)),
        }
    }
    let is_listed = |row: &&PhoneNumber| {
        let phone_number = row.phone_number.as_deref();
        listed
            .iter()
            .any(|there| Some(there.phone_number.as_str()) == phone_number)
    };
    let missing = after.iter().filter(|row| is_kept(row) && !is_listed(row));
    findings.extend(missing.filter_map(|row| {
        let digits = did(row.phone_number.as_deref()?)?;
        Some(found(DID_MISSING, digits, Some(row)))
    }));
    // What was ordered or given back meanwhile was listed as it was before. It is the next sweep's.
    let moved = moved(&before, &after);
    findings.retain(|finding| !moved.contains(finding.subject.as_str()));

    let mut tx = lease.begin(&ctx.pools.work).await?;
    let mut open = 0;
    for Finding {
        kind,
        subject,
        account_id,
        detail,
    } in &findings
    {
        let is_open = findings::keep(&mut tx, kind, subject, account_id, detail).await?;
        open += usize::from(is_open);
    }
    let kinds: Vec<&str> = findings.iter().map(|finding| finding.kind).collect();
    let subjects: Vec<&str> = findings.iter().map(|finding| &*finding.subject).collect();
    let why = "a later sweep did not find it";
    findings::close_all_but(&mut tx, &DID_FINDINGS, &kinds, &subjects, why).await?;
    queue::enqueue_all(&mut tx, &jobs).await?;
    tx.commit().await?;
    ctx.wake.ring();
    Ok((open, jobs.len()))
}

async fn ours(ctx: &Context) -> Result<Vec<PhoneNumber>, Failure> {
    let mut conn = ctx.pools.work.acquire().await?;
    Ok(phone_numbers::all(&mut conn, Carrier::Voipms).await?)
}

/// The row that has the number or is to have it, else the one that its mark names, else the last one that had it.
fn our_number<'a>(rows: &'a [PhoneNumber], there: &Did) -> (OurNumber, Option<&'a PhoneNumber>) {
    let is_it = |row: &&PhoneNumber| row.phone_number.as_deref() == Some(&there.phone_number);
    let live = rows
        .iter()
        .find(|row| is_it(row) && status(row) != NumberStatus::Released);
    let mark = there.note.strip_prefix(phone_numbers::TAG);
    let mark = mark.and_then(|id| id.parse::<Uuid>().ok());
    if let Some(row) = live {
        return match row.number_ref {
            Some(_) => (OurNumber::Known(status(row)), Some(row)),
            None if mark == Some(row.id) => (OurNumber::Ordered(status(row)), Some(row)),
            // Somebody orders what is in our account without their mark: they are refused it.
            None => (OurNumber::None, None),
        };
    }
    let marked = mark.and_then(|id| rows.iter().find(|row| row.id == id));
    let had_it = |row: &&PhoneNumber| is_it(row) && row.number_ref.is_some();
    match marked.or_else(|| rows.iter().rev().find(had_it)) {
        None => (OurNumber::None, None),
        Some(row) if is_it(&row) => (OurNumber::Known(status(row)), Some(row)),
        Some(row) => (OurNumber::Stray, Some(row)),
    }
}

fn status(row: &PhoneNumber) -> NumberStatus {
    NumberStatus::parse(&row.status).unwrap_or(NumberStatus::Ordered)
}

/// What we pay for in our books.
fn is_kept(row: &PhoneNumber) -> bool {
    use NumberStatus::{Active, Configuring, Suspended};
    matches!(status(row), Configuring | Active | Suspended)
}

fn found(kind: &'static str, digits: &str, row: Option<&PhoneNumber>) -> Finding {
    Finding {
        kind,
        subject: digits.to_owned(),
        account_id: row.map(|row| row.account_id.clone()).unwrap_or_default(),
        detail: json!({ "order": row.map(|row| row.id) }),
    }
}

/// The digits of the rows that are not as they were.
fn moved<'a>(before: &[PhoneNumber], after: &'a [PhoneNumber]) -> HashSet<&'a str> {
    let standing = |row: &PhoneNumber| (row.id, row.status.clone());
    let before: HashSet<_> = before.iter().map(standing).collect();
    let moved = after.iter().filter(|row| !before.contains(&standing(row)));
    let numbers = moved.filter_map(|row| row.phone_number.as_deref());
    numbers.filter_map(did).collect()
}
