//! Compare what Twilio and VoIP.ms hold for us with what we hold ourselves, both ways.

mod dids;
mod numbers;
mod tokens;

use std::collections::{BTreeSet, HashMap, HashSet};

use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tollkeeper_jobs::{
    NewJob, ProvisionSubaccount, SweepProviderResources,
    provision_subaccount::SubaccountStatus,
    sweep_provider_resources::{
        FINDINGS, NUMBER_MISSING, OnSubaccount, OurSubaccount, SUBACCOUNT_MISSING,
        decide_on_subaccount,
    },
    telephony::{desired::Standing, outbound::Carrier},
};

use super::{Work, left_behind, standstill};
use crate::{
    clients::{ClientError, twilio},
    context::Context,
    db::{
        accounts, findings,
        phone_numbers::{self, PhoneNumber},
        provider_calls,
        subaccounts::{self, Subaccount},
        telephony,
    },
    journal::{self, Unfinished, twilio::CloseDouble},
    queue::{self, Failure, Lease, Outcome},
};

const LISTING_TRIES: usize = 6;

impl Work for SweepProviderResources {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        // First: they need no provider, and must not wait for a listing that never gets through.
        standstill::ask_again(ctx, lease).await?;
        left_behind::settle(ctx, lease).await?;
        // One that is out is no reason not to look at the other.
        let at_twilio = at_twilio(ctx, lease).await;
        let at_voipms = dids::sweep(ctx, lease).await;
        let ((findings, jobs), (more_findings, more_jobs)) = (at_twilio?, at_voipms?);
        let (findings, jobs) = (findings + more_findings, jobs + more_jobs);
        if findings + jobs == 0 {
            return Ok(Outcome::Skipped("the providers hold what we hold".into()));
        }
        tracing::warn!(findings, jobs, "the providers and we do not hold the same");
        Ok(Outcome::Done)
    }
}

/// How many findings are open, and how many orders are asked for again.
async fn at_twilio(ctx: &Context, lease: &Lease) -> Result<(usize, usize), Failure> {
    let mut sweep = Sweep::begin(ctx).await?;
    for account in patiently(|| ctx.twilio.accounts()).await? {
        let numbers = match account.status.as_str() {
            "closed" => Vec::new(),
            _ => patiently(|| ctx.twilio.numbers(&account.sid)).await?,
        };
        let mut home = None;
        if account.sid != ctx.twilio.account_sid() {
            let has_numbers = !numbers.is_empty();
            home = sweep.subaccount(ctx, lease, &account, has_numbers).await?;
        }
        for number in &numbers {
            sweep.number(ctx, lease, number, home.as_deref()).await?;
        }
    }
    sweep.look_for_what_is_missing();
    sweep.forget_what_moved(ctx).await?;
    sweep.look_at_tokens(ctx).await?;
    sweep.finish(ctx, lease).await
}

/// Ask for a listing again where it fails: one bad answer must not waste the thousand before it.
async fn patiently<T, Asked>(ask: impl FnMut() -> Asked) -> Result<T, ClientError>
where
    Asked: Future<Output = Result<T, ClientError>>,
{
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_max_times(LISTING_TRIES);
    ask.retry(pauses)
        .when(|error| !matches!(error, ClientError::Refused { .. }))
        .await
}

/// What was ours when the sweep began, and what it has found out since.
struct Sweep {
    /// By the database's clock.
    began_at: DateTime<Utc>,
    subaccounts: Vec<Subaccount>,
    numbers: Vec<PhoneNumber>,
    seen_accounts: BTreeSet<String>,
    seen_numbers: BTreeSet<String>,
    findings: Vec<Finding>,
    jobs: Vec<NewJob>,
}

struct Finding {
    kind: &'static str,
    subject: String,
    account_id: String,
    detail: Value,
}

impl Sweep {
    async fn begin(ctx: &Context) -> Result<Sweep, Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        Ok(Sweep {
            began_at: provider_calls::now(&mut conn).await?,
            subaccounts: subaccounts::all(&mut conn).await?,
            numbers: phone_numbers::all(&mut conn, Carrier::Twilio).await?,
            seen_accounts: BTreeSet::new(),
            seen_numbers: BTreeSet::new(),
            findings: Vec::new(),
            jobs: Vec::new(),
        })
    }

    /// Whose subaccount it is, if it works and shall work.
    async fn subaccount(
        &mut self,
        ctx: &Context,
        lease: &Lease,
        listed: &twilio::Account,
        has_numbers: bool,
    ) -> Result<Option<String>, Failure> {
        self.seen_accounts.insert(listed.sid.clone());
        let (ours, account_id) = self.our_subaccount(ctx, listed).await?;
        if matches!(ours, OurSubaccount::Known { .. }) {
            tokens::keep_up(ctx, lease, listed, &account_id).await?;
        }
        match decide_on_subaccount(&ours, &listed.status, has_numbers) {
            OnSubaccount::Fine => {}
            OnSubaccount::Note => self.note(ctx, lease, &account_id, &listed.status).await?,
            OnSubaccount::NoteAndReport(kind) => {
                self.note(ctx, lease, &account_id, &listed.status).await?;
                let detail = json!({ "status": listed.status, "has_numbers": has_numbers });
                self.report(kind, &listed.sid, &account_id, detail);
            }
            OnSubaccount::Adopt => {
                let account_id = account_id.clone();
                self.jobs
                    .push(NewJob::of(&ProvisionSubaccount { account_id }));
            }
            OnSubaccount::Close => {
                let double = CloseDouble {
                    account_id: &account_id,
                    subaccount_ref: &listed.sid,
                };
                match journal::once(ctx, lease, &double).await {
                    Ok(_) => tracing::warn!(sid = listed.sid, "an empty double was closed"),
                    Err(Unfinished::NotWanted(_)) => {}
                    Err(Unfinished::Failed(failure)) => return Err(failure),
                    Err(Unfinished::Refused(_)) => {
                        self.report("doubled_subaccount", &listed.sid, &account_id, json!({}));
                    }
                }
            }
            OnSubaccount::Report(kind) => {
                let detail = json!({ "status": listed.status, "has_numbers": has_numbers });
                self.report(kind, &listed.sid, &account_id, detail);
            }
        }
        let is_ordered = matches!(
            ours,
            OurSubaccount::Known {
                is_ordered: true,
                ..
            }
        );
        Ok((is_ordered && listed.status == "active").then_some(account_id))
    }

    /// Take over what Twilio says of a subaccount, unless a job of ours changed it since it was listed.
    async fn note(
        &mut self,
        ctx: &Context,
        lease: &Lease,
        account_id: &str,
        status: &str,
    ) -> Result<(), Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        accounts::lock(&mut tx, account_id).await?;
        let noted = subaccounts::note_status(&mut tx, account_id, status, self.began_at).await?;
        tx.commit().await?;
        // It is we who moved it: what is found about it holds.
        let row = self
            .subaccounts
            .iter_mut()
            .find(|row| row.account_id == account_id);
        if let Some(row) = row.filter(|_| noted) {
            row.status = status.to_owned();
        }
        Ok(())
    }

    /// What we know about a listed subaccount. A row that the snapshot shows without it is read
    /// again: it may have been created while the sweep went on.
    async fn our_subaccount(
        &self,
        ctx: &Context,
        listed: &twilio::Account,
    ) -> Result<(OurSubaccount, String), Failure> {
        let by_name = self
            .subaccounts
            .iter()
            .find(|row| row.subaccount_ref.as_deref() == Some(&listed.sid))
            .or_else(|| {
                self.subaccounts
                    .iter()
                    .find(|row| row.friendly_name == listed.friendly_name)
            });
        let mut conn = ctx.pools.work.acquire().await?;
        let row = match by_name {
            Some(row) => subaccounts::load(&mut conn, &row.account_id).await?,
            None => subaccounts::named(&mut conn, &listed.friendly_name).await?,
        };
        let Some(row) = row else {
            return Ok((OurSubaccount::None, String::new()));
        };
        let ours = match &row.subaccount_ref {
            None => OurSubaccount::Ordered,
            Some(own) if *own != listed.sid => OurSubaccount::Doubled,
            Some(_) => {
                let telephony = telephony::load(&mut conn, &row.account_id).await?;
                let standing = telephony.and_then(|telephony| Standing::parse(&telephony.status));
                OurSubaccount::Known {
                    status: SubaccountStatus::parse(&row.status)
                        .unwrap_or(SubaccountStatus::Ordered),
                    is_ordered: standing.is_some_and(Standing::is_ordered),
                }
            }
        };
        Ok((ours, row.account_id))
    }

    /// The other way: what we pay for in our books and Twilio does not list.
    fn look_for_what_is_missing(&mut self) {
        let is_kept = |status: &str| matches!(status, "active" | "suspended");
        let accounts: HashMap<String, String> = self
            .subaccounts
            .iter()
            .filter(|row| is_kept(&row.status))
            .filter_map(|row| Some((row.subaccount_ref.clone()?, row.account_id.clone())))
            .filter(|(sid, _)| !self.seen_accounts.contains(sid))
            .collect();
        let numbers: HashMap<String, String> = self
            .numbers
            .iter()
            .filter(|row| is_kept(&row.status) || row.status == "configuring")
            .filter_map(|row| Some((row.number_ref.clone()?, row.account_id.clone())))
            .filter(|(sid, _)| !self.seen_numbers.contains(sid))
            .collect();
        for (sid, account_id) in accounts {
            self.report(SUBACCOUNT_MISSING, &sid, &account_id, json!({}));
        }
        for (sid, account_id) in numbers {
            self.report(NUMBER_MISSING, &sid, &account_id, json!({}));
        }
    }

    /// What was suspended, taken up or given back while the sweep went on was listed as it was before, or is not listed
    /// any more. It is the next sweep's.
    async fn forget_what_moved(&mut self, ctx: &Context) -> Result<(), Failure> {
        let mut conn = ctx.pools.work.acquire().await?;
        let subaccounts = subaccounts::all(&mut conn).await?;
        let numbers = phone_numbers::all(&mut conn, Carrier::Twilio).await?;
        let before: HashSet<_> = standings(&self.subaccounts, &self.numbers).collect();
        let moved: HashSet<&str> = standings(&subaccounts, &numbers)
            .filter(|standing| !before.contains(standing))
            .map(|(sid, _)| sid)
            .collect();
        self.findings
            .retain(|finding| !moved.contains(finding.subject.as_str()));
        Ok(())
    }

    fn report(&mut self, kind: &'static str, subject: &str, account_id: &str, detail: Value) {
        self.findings.push(Finding {
            kind,
            subject: subject.to_owned(),
            account_id: account_id.to_owned(),
            detail,
        });
    }

    /// Open what was found, close what holds no longer.
    async fn finish(self, ctx: &Context, lease: &Lease) -> Result<(usize, usize), Failure> {
        let mut tx = lease.begin(&ctx.pools.work).await?;
        let mut open = 0;
        for Finding {
            kind,
            subject,
            account_id,
            detail,
        } in &self.findings
        {
            let is_open = findings::keep(&mut tx, kind, subject, account_id, detail).await?;
            open += usize::from(is_open);
        }
        let kinds: Vec<&str> = self.findings.iter().map(|finding| finding.kind).collect();
        let subjects: Vec<&str> = self
            .findings
            .iter()
            .map(|finding| finding.subject.as_str())
            .collect();
        let why = "a later sweep did not find it";
        findings::close_all_but(&mut tx, &FINDINGS, &kinds, &subjects, why).await?;
        queue::enqueue_all(&mut tx, &self.jobs).await?;
        tx.commit().await?;
        ctx.wake.ring();
        Ok((open, self.jobs.len()))
    }
}

/// The SIDs we know, each with where it stands with us.
fn standings<'a>(
    subaccounts: &'a [Subaccount],
    numbers: &'a [PhoneNumber],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let subaccounts = subaccounts
        .iter()
        .filter_map(|row| Some((row.subaccount_ref.as_deref()?, row.status.as_str())));
    let numbers = numbers
        .iter()
        .filter_map(|row| Some((row.number_ref.as_deref()?, row.status.as_str())));
    subaccounts.chain(numbers)
}
