//! How the time passes: from one moment at which something is due to the next, and everything is done at each.

use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::Value;
use sqlx::PgConnection;
use tollkeeper_jobs::{check_billing::sampled_since, timetable::TIMETABLE};
use uuid::Uuid;

use super::{
    super::super::rehearsal::Rehearsal,
    super::progress::Progress,
    judge,
    people::{Act, People, price},
    report::Report,
};
use crate::{
    billing::check::{Broken, check_all},
    clock::Clock,
    context::Context,
    queue::look,
    sandbox::{Sandbox, stripe::SignUp, stripe::Status},
    scheduler,
    usage::{Desk, Rules},
};

/// When people sign up, and so when their months begin.
const MORNING: TimeDelta = TimeDelta::hours(10);
/// Between two sign-ups of a morning.
const APART: TimeDelta = TimeDelta::milliseconds(500);
/// When they do everything else.
const EVENING: TimeDelta = TimeDelta::hours(18);
/// What is due within so long of the same moment is let happen together: a renewal's draft waits for an hour.
const SLOT: TimeDelta = TimeDelta::minutes(15);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Nothing that is due takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
const DAYS_OF_A_MONTH: u32 = 30;
/// Entries of the timetable that go through everything there is: here they come once a month. The invariants are asked
/// at the end of each day anyhow.
const MONTHLY: [&str; 7] = [
    "check_billing",
    "check_billing_fully",
    "compare_usage_records",
    "reconcile_invoices",
    "reconcile_phone_logs",
    "recount_usage",
    "sweep_provider_resources",
];
const REPORTS_AT_ONCE: usize = 64;

pub struct Year {
    ctx: Context,
    sandbox: Sandbox,
    desk: Desk,
    people: People,
    conn: PgConnection,
    days: u32,
    begun: Instant,
    midnight: DateTime<Utc>,
    reported: usize,
    /// What was not right at the end of a day.
    broken: Vec<(String, Broken)>,
}

impl Year {
    /// From the next midnight on.
    pub fn begin(rehearsal: &Rehearsal, people: People, conn: PgConnection, months: u32) -> Year {
        let ctx = rehearsal.ctx.clone();
        let deadline = ctx.config.http.store_deadline;
        let desk = Desk::start(&ctx.pools.api, &Rules::of(&ctx), deadline);
        let tomorrow = ctx.clock.now().date_naive() + TimeDelta::days(1);
        Year {
            desk,
            sandbox: rehearsal.sandbox.clone(),
            people,
            conn,
            days: months * DAYS_OF_A_MONTH,
            begun: Clock::instant(),
            midnight: tomorrow.and_time(NaiveTime::MIN).and_utc(),
            reported: 0,
            broken: Vec::new(),
            ctx,
        }
    }

    pub async fn pass(&mut self) -> anyhow::Result<()> {
        let mut progress = Progress::of(self.days as usize);
        for day in 0..self.days {
            self.pass_until(self.midnight + MORNING).await?;
            self.sign_ups(day).await?;
            self.pass_until(self.midnight + EVENING).await?;
            self.use_the_service(day).await?;
            for (who, act) in self.people.acts(day) {
                self.act(who, act).await?;
            }
            self.settle().await?;
            self.pass_until(self.midnight + TimeDelta::days(1)).await?;
            self.end_day(day).await?;
            progress.step(&self.midnight.format("%F").to_string());
            self.midnight += TimeDelta::days(1);
        }
        // What is still to be put on invoices is, and drafts end.
        let end = self.midnight + TimeDelta::days(2);
        self.pass_until(end).await?;
        self.look_at_the_timetable(|_| true).await;
        self.settle().await
    }

    pub async fn report(mut self, seed: u64) -> anyhow::Result<Report> {
        let now = self.ctx.clock.now();
        for one in check_all(&mut self.conn, None, now).await? {
            self.broken.push(("at the end".to_owned(), one));
        }
        let judged = judge::judge(&mut self.conn, &self.sandbox, &self.people).await?;
        Ok(Report {
            seed,
            accounts: self.people.all.len(),
            days: self.days,
            seconds: self.begun.elapsed().as_secs_f64(),
            uses_reported: self.reported,
            events: self.sandbox.events().len(),
            calls: self.sandbox.call_count(),
            judged,
            broken: self.broken,
        })
    }

    /// Let the time pass, and stop whenever something is due.
    async fn pass_until(&mut self, end: DateTime<Utc>) -> anyhow::Result<()> {
        loop {
            let jobs = self.next_job_due().await?;
            let due = jobs.into_iter().chain(self.sandbox.next_due()).min();
            let now = self.ctx.clock.now();
            let Some(due) = due.filter(|due| *due < end) else {
                self.advance_to(end);
                return self.settle().await;
            };
            self.advance_to((due.max(now) + SLOT).min(end));
            self.settle().await?;
        }
    }

    fn advance_to(&self, then: DateTime<Utc>) {
        self.sandbox.advance(then - self.ctx.clock.now());
        self.ctx.wake.ring();
    }

    /// Until every event is delivered and nothing is due.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let begun = Clock::instant();
        loop {
            self.sandbox.all_delivered().await;
            let next = self.next_job_due().await?;
            if next.is_none_or(|next| next > self.ctx.clock.now()) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "on {} something is not done in {PATIENCE:?}",
                    self.midnight.date_naive()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn next_job_due(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let mut conn = self.ctx.pools.queue.acquire().await?;
        Ok(look::next_due(&mut conn, self.ctx.clock.offset()).await?)
    }

    async fn sign_ups(&mut self, day: u32) -> anyhow::Result<()> {
        for (nth, price_id) in self.people.joining(day) {
            self.sandbox.advance(APART);
            let person = &mut self.people.all[nth];
            let who = SignUp {
                user_id: person.account_id.clone(),
                email: format!("{}@example.com", person.account_id),
                price_id,
                ..SignUp::default()
            };
            let signed_up = self.sandbox.sign_up(&who).map_err(|why| anyhow!(why))?;
            person.signed_up = Some((signed_up, self.ctx.clock.now()));
        }
        self.settle().await
    }

    async fn use_the_service(&mut self, day: u32) -> anyhow::Result<()> {
        let reports = self.people.reports(day, self.ctx.clock.now());
        self.reported += reports.iter().map(Vec::len).sum::<usize>();
        let desk = &self.desk;
        let taken = stream::iter(reports).map(|report| desk.carry_out(report));
        let taken: Vec<_> = taken.buffer_unordered(REPORTS_AT_ONCE).collect().await;
        for answers in taken {
            for answer in answers? {
                answer.map_err(|_| anyhow!("a copy of a use was taken for another use"))?;
            }
        }
        Ok(())
    }

    async fn act(&self, who: usize, act: Act) -> anyhow::Result<()> {
        let Some((signed_up, _)) = &self.people.all[who].signed_up else {
            return Ok(());
        };
        let subscription = signed_up.subscription_id.as_str();
        match act {
            Act::Leave => {
                self.sandbox.set_status(subscription, Status::Canceled);
            }
            Act::LeaveAtPeriodEnd => {
                self.change(subscription, &[("cancel_at_period_end", "true")])
                    .await?;
            }
            Act::ChangeTo(tier) => {
                let change = [
                    ("items[0][id]", signed_up.item_id.as_str()),
                    ("items[0][price]", &price(tier)),
                ];
                self.change(subscription, &change).await?;
            }
            Act::CardFails => {
                self.sandbox.let_payments_fail(&signed_up.customer_id);
            }
            Act::NewCard => {
                self.sandbox.let_payments_succeed(&signed_up.customer_id);
            }
        }
        Ok(())
    }

    /// As the app's own checkout would, by Stripe's API. A subscription that has ended is left as it is.
    async fn change(&self, subscription: &str, form: &[(&str, &str)]) -> anyhow::Result<()> {
        let path = ["v1", "subscriptions", subscription];
        let is_live = self.ctx.stripe.subscription(subscription).await?;
        if is_live.is_some_and(|row| row.ended_at.is_none()) {
            let key = Uuid::now_v7().to_string();
            let _: Value = self.ctx.stripe.post(&path, form, &key).await?;
        }
        Ok(())
    }

    async fn end_day(&mut self, day: u32) -> anyhow::Result<()> {
        let is_month = (day + 1).is_multiple_of(DAYS_OF_A_MONTH);
        self.look_at_the_timetable(|name| is_month || !MONTHLY.contains(&name))
            .await;
        self.settle().await?;
        let now = self.ctx.clock.now();
        let date = self.midnight.date_naive().to_string();
        let broken = check_all(&mut self.conn, Some(sampled_since(now)), now).await?;
        self.broken
            .extend(broken.into_iter().map(|one| (date.clone(), one)));
        Ok(())
    }

    async fn look_at_the_timetable(&self, is_wanted: impl Fn(&str) -> bool) {
        let entries = TIMETABLE.iter().filter(|entry| is_wanted(entry.name));
        join_all(entries.map(|entry| scheduler::look(&self.ctx, entry))).await;
    }
}
