//! The life of one customer, told to the service as processes: every job and every effect is in it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tollkeeper::{
    clients::twilio::{Twilio, Urls},
    config::TwilioConfig,
    crash::Armed,
    queue::operate::{self, By, Scope},
    sandbox::{Fault, Mischief, MischiefRule, Provider, Rule, When, stripe::Status},
    signature::stripe,
};

use super::{
    apps::Apps,
    calls,
    outcome::{Told, Untold},
    payments,
};
use crate::support::{
    crashes::Crashes, house::TO_NUMBERS, kept::Kept, mail_server::MailServer, web::STRIPE_SECRET,
    works::Works,
};

/// The chapters in their order; each ends when nothing is left to do.
pub const CHAPTERS: [Chapter; 5] = [
    Chapter::SignUp,
    Chapter::Upkeep,
    Chapter::Cancellation,
    Chapter::Return,
    Chapter::Leave,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Ann signs up and gets a subaccount and a number, and another one at VoIP.ms.
    SignUp,
    /// The timetable is due, an event was lost, Twilio holds a double, a worker has died. What she paid is refunded in
    /// part, disputed and won back, and her next invoice is coming. She is called, and recorded. Two apps are told
    /// something, and one of them is gone; two customers are, and mail reaches one of them.
    Upkeep,
    /// Her subscription ends: all is suspended.
    Cancellation,
    /// She comes back, and so does her number, which points elsewhere now. The worker is restarted.
    Return,
    /// She leaves for good: the numbers go back.
    Leave,
}

/// How long a chapter may take, crash and restart included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long after its rest an armed point may still be passed.
const AFTERWARDS: Duration = Duration::from_secs(4);
const BY: By<'_> = By {
    who: "a proof",
    why: "the story goes on in order",
};

pub struct Story {
    works: Works,
    web: Kept,
    crashes: Crashes,
    twilio: Twilio,
    apps: Apps,
    subscription_ref: String,
}

impl Story {
    pub async fn begin() -> Story {
        let crashes = Crashes::new();
        let mail = MailServer::start().await;
        let mut key = String::new();
        let works = Works::with(1, |program| {
            key = program.setting("ENCRYPTION_KEY").to_owned();
            let program = program
                .with("NOTIFY_ALLOW_PRIVATE", "true")
                .with("SMTP_URL", &mail.url())
                .with("EMAIL_FROM", "billing@example.org");
            let program = program.with("BILLING_SETTLES_FOR", "0s");
            crashes.heeded_by(program.with("NUMBER_RELEASE_GRACE", "300ms"))
        })
        .await;
        let taken = Fault::Refuse {
            status: 400,
            code: "21422".into(),
        };
        let first = When::First(1);
        let rule = Rule::on(Provider::Twilio, "POST", TO_NUMBERS, first, taken);
        works.sandbox.add_rules(vec![rule]);
        let twilio = Twilio::new(&TwilioConfig {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_tokens: vec!["00000000000000000000000000000002".into()],
            api_base: works.sandbox.twilio_base(),
        });
        let story = Story {
            web: works.open_for_events().await,
            apps: Apps::register(&works.db, &key, mail, BY).await,
            works,
            crashes,
            twilio,
            subscription_ref: String::new(),
        };
        // Its hour is in a chapter of its own; the real clock may strike in any other.
        story.pause("sweep_provider_resources").await;
        story.crashes.take_reached();
        story
    }

    /// Tell one chapter to its end, and crash on the way where it is asked for.
    pub async fn tell(&mut self, chapter: Chapter, crash_at: Option<&str>) -> Result<Told, Untold> {
        if let Some(point) = crash_at {
            self.crashes.arm(&Armed {
                point: point.to_owned(),
                account_id: None,
                is_lasting: false,
            });
        }
        match chapter {
            Chapter::SignUp => self.sign_up().await?,
            Chapter::Upkeep => self.upkeep().await?,
            Chapter::Cancellation => self.cancellation().await?,
            Chapter::Return => self.comes_back().await?,
            Chapter::Leave => self.leave().await?,
        }
        if crash_at.is_some() {
            self.struck().await?;
            self.rest("true").await?;
        }
        Ok(Told {
            reached: self.crashes.take_reached(),
            state: self.state().await,
        })
    }

    async fn struck(&self) -> Result<(), Untold> {
        let deadline = Instant::now() + AFTERWARDS;
        while !self.crashes.has_struck() {
            if Instant::now() > deadline {
                return Err(Untold::NotPassed);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn sign_up(&mut self) -> Result<(), Untold> {
        self.subscription_ref = self.works.sign_up_for_usage("ann").subscription_id;
        self.send_strange_events().await?;
        self.rest("exists (select 1 from telephony where status = 'active')")
            .await?;
        calls::order_did(&self.works.db).await;
        self.rest(
            "exists (select 1 from phone_numbers where provider = 'voipms' and status = 'active')",
        )
        .await
    }

    async fn upkeep(&mut self) -> Result<(), Untold> {
        self.twilio.create_account("acct:ann").await.unwrap();
        let mischief = Mischief::Lose;
        self.works.sandbox.add_mischief(vec![MischiefRule::new(
            "subscription.updated",
            When::Always,
            mischief,
        )]);
        self.works
            .sandbox
            .set_status(&self.subscription_ref, Status::Trialing);
        self.works.sandbox.clear_mischief();
        // What was paid is known of no invoice any more: a refund has it asked for again, before anything else does.
        self.execute("delete from invoices").await;
        let upcoming = payments::give_back(&self.works.sandbox, &self.subscription_ref).await;
        let entered = async || {
            let sql =
                "select count(*) from billing_events where event_type in ('refund', 'dispute_won')";
            let found: Result<i64, _> = sqlx::query_scalar(sql).fetch_one(&self.works.db).await;
            found.is_ok_and(|events| events == 2)
        };
        self.until("the refund is entered", entered).await?;
        calls::untold(&self.works.sandbox, &self.twilio, &self.works.db).await;
        calls::asked(&self.works.sandbox, &self.works.db).await;
        // The list of recordings would take the forgotten one up as well: the sweep is to come first.
        self.pause("reconcile_phone_logs").await;
        self.execute(include_str!("upkeep.sql")).await;
        let taken_up = async || {
            let sql = "select not exists (select from recordings
                                          where fetched_at is not null and transcript in ('pending', 'processing'))
                           or exists (select from queue.jobs where kind = 'transcribe_recording')";
            let found: Result<bool, _> = sqlx::query_scalar(sql).fetch_one(&self.works.db).await;
            found.is_ok_and(|found| found)
        };
        self.until("the forgotten recording is taken up", taken_up)
            .await?;
        self.resume("reconcile_phone_logs").await;
        self.until("an event is taken", async || self.post(&upcoming).await)
            .await?;
        let web = self.web.address.to_string();
        let told = async || calls::told(&self.works.sandbox, &web).await;
        self.until("two calls are told of", told).await?;
        let written = async || calls::written(&web).await;
        self.until("a message is told of", written).await?;
        let subaccount = &self.works.sandbox.subaccounts()[0];
        self.works.sandbox.promote_token(&subaccount.sid).unwrap();
        self.resume("sweep_provider_resources").await;
        self.apps.announce(&self.works.db).await;
        self.rest(include_str!("upkeep_done.sql")).await?;
        self.pause("sweep_provider_resources").await;
        Ok(())
    }

    async fn cancellation(&mut self) -> Result<(), Untold> {
        let number = &self.works.sandbox.numbers()[0];
        let elsewhere = Urls::of_account("https://elsewhere.test", "ann");
        self.twilio
            .set_number_urls(&number.account_sid, &number.sid, &elsewhere)
            .await
            .unwrap();
        // It is due at once, and must not begin before she is back.
        self.pause("release_number").await;
        self.next_second().await?;
        self.works
            .sandbox
            .set_status(&self.subscription_ref, Status::Canceled);
        self.rest(
            "exists (select 1 from telephony where status = 'suspended')
             and exists (select 1 from twilio_subaccounts where status = 'suspended')
             and exists (select 1 from queue.jobs where kind = 'release_number' and state = 'ready')",
        )
        .await
    }

    async fn comes_back(&mut self) -> Result<(), Untold> {
        self.subscription_ref = self.works.sign_up_for_usage("ann").subscription_id;
        self.rest("exists (select 1 from telephony where status = 'active')")
            .await?;
        self.works.workers[0].signal(libc::SIGTERM);
        self.resume("release_number").await;
        self.rest("exists (select 1 from queue.finished_jobs where kind = 'release_number')")
            .await
    }

    async fn leave(&mut self) -> Result<(), Untold> {
        self.next_second().await?;
        self.works
            .sandbox
            .set_status(&self.subscription_ref, Status::Canceled);
        self.rest(
            "not exists (select 1 from phone_numbers where account_id = 'ann' and status <> 'released')
             and exists (select 1 from twilio_subaccounts where status = 'suspended')",
        )
        .await
    }

    /// One that cannot be read, one about nothing that is known, one about nobody who is known.
    async fn send_strange_events(&self) -> Result<(), Untold> {
        let nobodys = json!({
            "id": "sub_nobodys", "object": "subscription", "customer": "cus_nobody",
            "status": "active", "created": 1_700_000_000, "items": {"data": []},
        });
        self.works.sandbox.adopt(nobodys.clone());
        let unknown = json!({
            "id": "sub_unknown", "object": "subscription", "customer": "cus_nobody", "status": "active",
        });
        for (id, object) in [
            ("evt_unreadable", json!({"object": "subscription"})),
            ("evt_unknown", unknown),
            ("evt_nobodys", nobodys),
        ] {
            let event = json!({
                "id": id, "type": "customer.subscription.updated", "data": {"object": object},
            });
            self.until("an event is taken", async || self.post(&event).await)
                .await?;
        }
        Ok(())
    }

    /// Stripe tells time in whole seconds: what ends within that of its beginning was in no period, and is not paid for.
    async fn next_second(&self) -> Result<(), Untold> {
        let now = self.works.sandbox.now().timestamp();
        let is_later = async || self.works.sandbox.now().timestamp() > now;
        self.until("a second has begun", is_later).await
    }

    /// Whether it was acknowledged.
    async fn post(&self, event: &Value) -> bool {
        let body = event.to_string();
        let now = self.works.sandbox.now().timestamp();
        let answer = reqwest::Client::new()
            .post(format!("http://{}/stripe/webhook", self.web.address))
            .header(
                "stripe-signature",
                stripe::sign(STRIPE_SECRET, body.as_bytes(), now),
            )
            .body(body)
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Nothing is on its way, nothing is left to do, and this is true.
    async fn rest(&self, goal: &'static str) -> Result<(), Untold> {
        self.works.sandbox.all_delivered().await;
        let sql = format!(
            "select ({goal}) and not exists (
                 select 1 from queue.jobs
                 where (state in ('ready', 'running') or state = 'waiting' and run_at < now() + interval '1 minute')
                   and kind not in (select name from queue.controls where scope = 'kind' and paused_at is not null))"
        );
        let is_resting = async || {
            let sql = AssertSqlSafe(sql.clone());
            let found = sqlx::query_scalar(sql).fetch_one(&self.works.db).await;
            found.unwrap_or(None).unwrap_or(false)
        };
        self.until(goal, is_resting).await
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) -> Result<(), Untold> {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            if Instant::now() > deadline {
                let jobs: Vec<String> = self.lines("select job::text from queue.jobs job").await;
                let (web, worker) = (self.web.log(), self.works.workers[0].log());
                let why = format!("still waiting until {what}\n{jobs:#?}\n{web}\n{worker}");
                return Err(Untold::NoEnd(why));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn pause(&self, kind: &str) {
        let mut conn = self.works.db.acquire().await.unwrap();
        operate::pause(&mut conn, Scope::Kind, kind, BY)
            .await
            .unwrap();
    }

    async fn resume(&self, kind: &str) {
        let mut conn = self.works.db.acquire().await.unwrap();
        operate::resume(&mut conn, Scope::Kind, kind, BY)
            .await
            .unwrap();
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.works.db).await.unwrap();
    }

    async fn lines(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql)
            .fetch_all(&self.works.db)
            .await
            .unwrap()
    }

    async fn state(&self) -> Vec<String> {
        let mut lines = self.lines(include_str!("state.sql")).await;
        let sandbox = &self.works.sandbox;
        let mut subaccounts: Vec<String> = sandbox
            .subaccounts()
            .iter()
            .map(|account| format!("twilio: {} is {:?}", account.friendly_name, account.status))
            .collect();
        subaccounts.sort();
        lines.append(&mut subaccounts);
        let (held, bought) = (sandbox.numbers(), sandbox.numbers_ever_bought());
        lines.push(format!(
            "twilio: {} numbers of {} ever bought, {} recordings",
            held.len(),
            bought.len(),
            sandbox.recordings().len()
        ));
        lines.push(format!("twilio: {} calls", sandbox.phone_calls().len()));
        lines.push(format!(
            "voipms: {} numbers of {} ever bought, {} texts",
            sandbox.dids().len(),
            sandbox.dids_ever_bought().len(),
            sandbox.texts().len()
        ));
        lines.append(&mut self.apps.state());
        lines.push(format!("stripe: {} events", sandbox.events().len()));
        lines
    }
}
