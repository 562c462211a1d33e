//! What the customers do, and what goes wrong with it.

use std::{cell::Cell, time::Duration};

use anyhow::{anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use sqlx::PgConnection;
use tollkeeper_jobs::PollStripeEvents;

use super::{
    cast::{self, Customer},
    paper::{Line, Paper, Tone},
    proof,
    summary::{self, Places},
    watch::Watch,
    words,
};
use crate::{
    clock::Clock,
    context::Context,
    db::{overview, phone_numbers},
    queue::{
        self,
        look::{self, Filter},
        operate, timetable,
    },
    sandbox::{Fault, Mischief, MischiefRule, Provider, Rule, Sandbox, When, stripe::Status},
};

const LOOK_EVERY: Duration = Duration::from_millis(40);
/// When nothing has come of anything for so long, the demo fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// A job that waits for longer waits for its day, not for a retry.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// The share of the crowd's calls that go wrong.
const CROWD_FAULTS: f64 = 0.1;
/// How late a late execution is: less than the quiet time.
const LATE_BY: Duration = Duration::from_millis(300);
const PROGRESS_EVERY: usize = 6;
const NUMBERS: &str = "/IncomingPhoneNumbers";
const ON_SALE: &str = "/AvailablePhoneNumbers";
const LIVE: [&str; 3] = ["ready", "running", "waiting"];

/// The stand-ins of an earlier run are gone, and with them what its jobs and its moved clock were for.
pub async fn quiet_down(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<()> {
    let by = operate::By {
        who: "demo",
        why: "left by an earlier run, whose stand-ins are gone",
    };
    for state in LIVE {
        let filter = Filter {
            state: Some(state.to_owned()),
            ..Filter::default()
        };
        for job in look::list(conn, &filter, None, 1000).await? {
            operate::cancel(conn, job.id, by).await?;
        }
    }
    Ok(timetable::forget_future(conn, now).await?)
}

pub struct Stage {
    pub(super) ctx: Context,
    pub(super) sandbox: Sandbox,
    paper: Paper,
    watch: Watch,
    pub(super) cast: Vec<Customer>,
    /// What happens is not told line by line.
    is_hushed: bool,
}

impl Stage {
    pub fn new(ctx: Context, sandbox: Sandbox, paper: Paper, cast: Vec<Customer>) -> Stage {
        let watch = Watch::new(sandbox.clone(), ctx.clock.clone());
        Stage {
            ctx,
            sandbox,
            paper,
            watch,
            cast,
            is_hushed: false,
        }
    }

    /// The whole story and its proof. An error: what must not happen did.
    pub async fn perform(
        mut self,
        conn: &mut PgConnection,
        places: &Places,
        stays: bool,
    ) -> anyhow::Result<()> {
        self.four_sign_ups(conn).await?;
        self.calls_and_messages(conn).await?;
        self.crowd(conn).await?;
        self.two_endings(conn).await?;
        let books = proof::books(conn, &self.sandbox, &self.cast, &self.watch.runs).await?;
        let key = summary::key(conn, self.ctx.clock.now()).await?;
        summary::print(&self.paper, &self.ctx.catalogue, &self.cast, &books);
        let ann = &self.cast[0].account_id;
        summary::print_ways_on(&self.paper, places, ann, &key, stays);
        match books.faults.as_slice() {
            [] => Ok(()),
            faults => bail!("what must hold does not: {}", faults.join("; ")),
        }
    }

    async fn four_sign_ups(&mut self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let [ann, ben, cleo, dan] = [0, 1, 2, 3];
        self.scene(ann, "signs up, and Stripe sends every event twice.");
        self.disturb("", Mischief::Twice);
        self.sign_up(conn, ann).await?;

        let by = Duration::from_millis(400);
        self.scene(
            ben,
            "signs up. His first event arrives last, and Twilio has no time for us.",
        );
        self.disturb("subscription.created", Mischief::Late { by });
        let busy = Fault::TooManyRequests {
            retry_after_seconds: None,
        };
        self.hinder("GET", ON_SALE, busy);
        self.sign_up(conn, ben).await?;

        self.scene(
            cleo,
            "signs up. Twilio sells us a number, and its answer is lost on the way.",
        );
        self.hinder("POST", NUMBERS, Fault::CutAfterEffect);
        self.sign_up(conn, cleo).await?;

        self.scene(dan, "signs up, and not one of his events arrives. Twilio makes him a subaccount and says it failed.");
        self.disturb("", Mischief::Lose);
        self.hinder("POST", "/Accounts.json", Fault::ErrorAfter { status: 500 });
        self.cast[dan]
            .subscribe(&self.sandbox)
            .map_err(|why| anyhow!(why))?;
        self.say(
            "",
            "We ask Stripe every ten minutes what it could not deliver; the demo does it now.",
        );
        self.poll(conn).await?;
        self.until_served(conn, dan).await
    }

    /// Many at once, every fault there is, each event twice: too much to tell line by line.
    async fn crowd(&mut self, conn: &mut PgConnection) -> anyhow::Result<()> {
        self.begin(
            "",
            &format!(
                "{} more sign up at once. Every event comes twice, and one call in ten goes wrong in any way there is.",
                cast::CROWD
            ),
        );
        self.disturb("", Mischief::Twice);
        let share = CROWD_FAULTS / Rule::every_fault(0.0, LATE_BY).len() as f64;
        self.sandbox.add_rules(Rule::every_fault(share, LATE_BY));
        let calls_before = self.sandbox.calls().len();
        for customer in &mut self.cast[cast::NAMED..] {
            customer
                .subscribe(&self.sandbox)
                .map_err(|why| anyhow!(why))?;
        }
        self.is_hushed = true;
        let told = Cell::new(0);
        self.until(conn, "all of the crowd are served", async |stage, conn| {
            let mut served = 0;
            for customer in &stage.cast[cast::NAMED..] {
                let found = overview::telephony(conn, &customer.account_id).await?;
                served += usize::from(found.is_some_and(|found| found.has_active_number));
            }
            if served / PROGRESS_EVERY > told.replace(served) / PROGRESS_EVERY {
                let calls = stage.sandbox.calls().split_off(calls_before);
                let wrong = calls.iter().filter(|call| call.fault.is_some()).count();
                stage.tell(
                    "",
                    &format!(
                        "{served:2} of {} have their number; {} calls so far, {wrong} went wrong",
                        cast::CROWD,
                        calls.len()
                    ),
                    Tone::Good,
                );
            }
            Ok(served == cast::CROWD)
        })
        .await?;
        self.is_hushed = false;
        Ok(())
    }

    async fn two_endings(&mut self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let [ben, cleo] = [1, 2];
        for (who, cancels) in [(ben, "cancels"), (cleo, "cancels too")] {
            let title = format!("{cancels}. The number falls silent, and is kept for seven days.");
            self.scene(who, &title);
            self.end_subscription(who)?;
            self.until_standing(conn, who, "suspended").await?;
        }
        let before = self.number(conn, cleo).await?;
        self.scene(
            cleo,
            "comes back two days later. Same number, nothing new is bought.",
        );
        self.move_clock(conn, TimeDelta::days(2)).await?;
        self.sign_up(conn, cleo).await?;
        if self.number(conn, cleo).await? != before {
            bail!("Cleo came back and has another number");
        }

        self.scene(
            ben,
            "does not come back. Six more days, and his number is returned.",
        );
        self.move_clock(conn, TimeDelta::days(6)).await?;
        self.until_standing(conn, ben, "released").await?;
        self.until(conn, "the number is back", async |stage, conn| {
            Ok(stage.number(conn, ben).await?.is_none())
        })
        .await
    }

    /// The customer's next chapter, with nothing going wrong yet.
    pub(super) fn scene(&mut self, who: usize, what: &str) {
        let name = self.cast[who].name;
        self.begin(name, &format!("{name} {what}"));
    }

    fn begin(&mut self, who: &'static str, title: &str) {
        self.sandbox.clear_mischief();
        self.sandbox.clear_rules();
        self.watch.has_had_trouble = false;
        self.watch.who = who;
        self.paper.scene(title);
    }

    fn disturb(&self, event_type: &str, mischief: Mischief) {
        let rule = MischiefRule::new(event_type, When::Always, mischief);
        self.sandbox.add_mischief(vec![rule]);
    }

    /// The next such call to Twilio goes wrong.
    fn hinder(&self, method: &str, path: &str, fault: Fault) {
        let rule = Rule::on(Provider::Twilio, method, path, When::First(1), fault);
        self.sandbox.add_rules(vec![rule]);
    }

    async fn sign_up(&mut self, conn: &mut PgConnection, who: usize) -> anyhow::Result<()> {
        self.cast[who]
            .subscribe(&self.sandbox)
            .map_err(|why| anyhow!(why))?;
        self.until_served(conn, who).await
    }

    fn end_subscription(&self, who: usize) -> anyhow::Result<()> {
        let signed_up = self.cast[who].subscription.as_ref();
        let is_found = signed_up.is_some_and(|signed_up| {
            self.sandbox
                .set_status(&signed_up.subscription_id, Status::Canceled)
        });
        match is_found {
            true => Ok(()),
            false => bail!("{} has no subscription to cancel", self.cast[who].name),
        }
    }

    async fn poll(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let tick_at = self.ctx.clock.now();
        queue::enqueue(conn, &PollStripeEvents { tick_at }).await?;
        self.ctx.wake.ring();
        Ok(())
    }

    /// Move the clock, and wait for the hourly comparison with Twilio that falls due by it.
    async fn move_clock(&mut self, conn: &mut PgConnection, by: TimeDelta) -> anyhow::Result<()> {
        let sweeps = self.sweeps();
        self.sandbox.advance(by);
        self.until(conn, "the sweep", async |stage, _| {
            Ok(stage.sweeps() > sweeps)
        })
        .await
    }

    fn sweeps(&self) -> usize {
        let runs = self.watch.runs.iter();
        runs.filter(|run| run.kind == "sweep_provider_resources")
            .count()
    }

    async fn until_served(&mut self, conn: &mut PgConnection, who: usize) -> anyhow::Result<()> {
        self.until_standing(conn, who, "active").await?;
        let Some(number) = self.number(conn, who).await? else {
            bail!("{} has no number", self.cast[who].name);
        };
        let text = format!("✓ {} has {}", self.cast[who].name, words::number(&number));
        self.tell_good(&text);
        Ok(())
    }

    async fn until_standing(
        &mut self,
        conn: &mut PgConnection,
        who: usize,
        status: &str,
    ) -> anyhow::Result<()> {
        let what = format!("{}'s telephony is {status}", self.cast[who].name);
        self.until(conn, &what, async |stage, conn| {
            let account_id = &stage.cast[who].account_id;
            let found = overview::telephony(conn, account_id).await?;
            Ok(found.is_some_and(|found| found.status == status))
        })
        .await
    }

    pub(super) async fn number(
        &self,
        conn: &mut PgConnection,
        who: usize,
    ) -> anyhow::Result<Option<String>> {
        let included = phone_numbers::included(conn, &self.cast[who].account_id).await?;
        Ok(included.and_then(|number| number.phone_number))
    }

    /// Tell what happens until that holds and nothing is under way any more.
    pub(super) async fn until(
        &mut self,
        conn: &mut PgConnection,
        what: &str,
        holds: impl AsyncFn(&Stage, &mut PgConnection) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut last_step = (Clock::instant(), 0);
        loop {
            let is_quiet = self.is_quiet(conn).await?;
            let is_over = holds(self, conn).await? && is_quiet;
            let lines = self.watch.look(conn, &self.cast).await?;
            if !self.is_hushed {
                lines.iter().for_each(|line| self.paper.line(line));
            }
            if is_over {
                return Ok(());
            }
            let steps = self.watch.runs.len() + self.sandbox.calls().len();
            if steps > last_step.1 {
                last_step = (Clock::instant(), steps);
            }
            if last_step.0.elapsed() > PATIENCE {
                bail!(
                    "nothing has happened for {} s, and it is not so: {what}",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// No event is on its way and no job is to be done soon.
    async fn is_quiet(&self, conn: &mut PgConnection) -> anyhow::Result<bool> {
        let is_delivered = self.sandbox.all_delivered().now_or_never().is_some();
        if !is_delivered || self.sandbox.late_count() > 0 {
            return Ok(false);
        }
        let soon = self.ctx.clock.now() + SOON;
        for state in LIVE {
            let filter = Filter {
                state: Some(state.to_owned()),
                ..Filter::default()
            };
            let jobs = look::list(conn, &filter, None, 100).await?;
            if jobs.iter().any(|job| job.run_at < soon) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn say(&self, what: &'static str, text: &str) {
        self.tell(what, text, Tone::Quiet);
    }

    pub(super) fn tell_good(&self, text: &str) {
        self.tell("", text, Tone::Good);
    }

    fn tell(&self, what: &'static str, text: &str, tone: Tone) {
        self.paper.line(&Line {
            at: self.ctx.clock.now() - self.ctx.clock.offset(),
            who: self.watch.who,
            what,
            text: text.to_owned(),
            tone,
        });
    }
}
