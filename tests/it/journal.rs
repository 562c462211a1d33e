//! The journal between a job and a provider: what is written when, and by whom.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tollkeeper::{
    clients::ClientError,
    context::Context,
    journal::{self, Effect, Found, Permission},
    queue::{Failure, Lease, Outcome},
    work::Work,
    worker::Register,
};
use tollkeeper_jobs::{Job, RetryPolicy, outside::Discipline};
use uuid::Uuid;

use crate::support::{
    service::{Service, Worker},
    until,
};

/// A job that wants one effect. What the provider does is the test's to say.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ask {
    subject: Uuid,
    content: String,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Then {
    Answer,
    /// Another run takes the job over before this one comes to the journal.
    LoseTheJob,
    /// By this process' clock the lease has run out before this run comes to the journal.
    OutliveTheLease,
    /// Another run takes the job over while the request is on its way; the request succeeds.
    TakenOverThenAnswer,
    /// The same, and the request is refused.
    TakenOverThenRefuse,
    /// Another run had the effect while the request was on its way.
    AnswerWithASecondOne,
    /// Refused with the first request, answered with the second.
    RefuseOnce,
}

/// How often each subject was asked for, and the journal's state at that moment.
static SENT: LazyLock<Mutex<HashMap<Uuid, Vec<String>>>> = LazyLock::new(Mutex::default);

/// The subjects whose run waits for the end of its lease.
static WAITING: LazyLock<Mutex<HashSet<Uuid>>> = LazyLock::new(Mutex::default);

/// The subjects whose run was told that its lease is lost.
static LOST: LazyLock<Mutex<HashSet<Uuid>>> = LazyLock::new(Mutex::default);

impl Job for Ask {
    const KIND: &'static str = "ask_for_an_effect";
    const RETRY: RetryPolicy = RetryPolicy {
        attempts_max: 3,
        ..RetryPolicy::DEFAULT
    };

    fn key(&self) -> String {
        format!("{}:{}", self.subject, self.content)
    }
}

impl Work for Ask {
    async fn run(&self, ctx: &Context, lease: &Lease) -> Result<Outcome, Failure> {
        let wish = Wish {
            ask: self.clone(),
            db: ctx.pools.console.clone(),
        };
        if self.then == Then::LoseTheJob {
            sqlx::query("update queue.jobs set lease_token = gen_random_uuid() where id = $1")
                .bind(lease.job_id)
                .execute(&wish.db)
                .await
                .unwrap();
        }
        if self.then == Then::OutliveTheLease {
            WAITING.lock().unwrap().insert(self.subject);
            until("the lease has run out", async || !lease.is_held()).await;
        }
        let result = journal::once(ctx, lease, &wish).await;
        if let Err(journal::Unfinished::Failed(Failure::LeaseLost(_))) = &result {
            LOST.lock().unwrap().insert(self.subject);
        }
        match result {
            Ok(found) => Err(Failure::Stop(format!("got {}", found.ext_ref))),
            Err(unfinished) => unfinished.into_verdict("the provider"),
        }
    }
}

struct Wish {
    ask: Ask,
    db: PgPool,
}

impl Effect for Wish {
    const PROVIDER: &'static str = "twilio";
    const KIND: &'static str = "wish";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.ask.subject.to_string()
    }

    fn account_id(&self) -> &str {
        ""
    }

    fn request(&self) -> String {
        self.ask.content.clone()
    }

    async fn permission(&self, _: &Context, _: &mut PgConnection) -> Result<Permission, Failure> {
        Ok(Permission::Granted)
    }

    async fn look(&self, _: &Context) -> Result<Option<Found>, ClientError> {
        Ok(None)
    }

    async fn send(&self, _: &Context, _: &str) -> Result<Found, ClientError> {
        let state: String =
            sqlx::query_scalar("select state from provider_calls where subject = $1")
                .bind(self.subject())
                .fetch_one(&self.db)
                .await
                .unwrap();
        let count = {
            let mut sent = SENT.lock().unwrap();
            let states = sent.entry(self.ask.subject).or_default();
            states.push(state);
            states.len()
        };
        let refused = ClientError::Refused {
            provider: "twilio",
            status: 400,
            code: "21404".into(),
            message: "no".into(),
        };
        match self.ask.then {
            Then::TakenOverThenAnswer => self.take_over().await,
            Then::TakenOverThenRefuse => {
                self.take_over().await;
                return Err(refused);
            }
            Then::AnswerWithASecondOne => {
                self.execute("update provider_calls set ext_ref = 'first', state = 'done' where subject = $1")
                    .await;
            }
            Then::RefuseOnce if count == 1 => return Err(refused),
            Then::RefuseOnce | Then::Answer | Then::LoseTheJob | Then::OutliveTheLease => {}
        }
        Ok(Found {
            ext_ref: format!("had_{count}"),
            answer: serde_json::json!({}),
        })
    }
}

impl Wish {
    async fn take_over(&self) {
        self.execute(
            "update provider_calls set attempt = attempt + 1, lease_token = gen_random_uuid() where subject = $1",
        )
        .await;
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql)
            .bind(self.subject())
            .execute(&self.db)
            .await
            .unwrap();
    }
}

/// Run one wish to its end. Returns the journal's state of it, and how the job ended.
async fn ask(service: &Service, then: Then) -> (String, String, Uuid) {
    let subject = Uuid::now_v7();
    let (state, note) = ask_again(service, subject, "this", then).await;
    (state, note, subject)
}

async fn ask_again(
    service: &Service,
    subject: Uuid,
    content: &str,
    then: Then,
) -> (String, String) {
    let ask = Ask {
        subject,
        content: content.into(),
        then,
    };
    service.enqueue(&ask).await;
    service.drain().await;
    let state = sqlx::query_scalar("select state from provider_calls where subject = $1")
        .bind(subject.to_string())
        .fetch_one(&service.db)
        .await
        .unwrap();
    let note: Option<Option<String>> =
        sqlx::query_scalar("select note from queue.jobs where key = $1 order by id desc limit 1")
            .bind(ask.key())
            .fetch_optional(&service.db)
            .await
            .unwrap();
    (state, note.flatten().unwrap_or_default())
}

fn sent(subject: Uuid) -> Vec<String> {
    SENT.lock()
        .unwrap()
        .get(&subject)
        .cloned()
        .unwrap_or_default()
}

async fn service() -> (Service, Worker) {
    let service = Service::new().await;
    let worker = service.work(Register::all().with::<Ask>());
    (service, worker)
}

#[tokio::test]
async fn an_effect_is_written_down_before_it_is_asked_for_and_asked_for_once() {
    let (service, worker) = service().await;

    let (state, note, subject) = ask(&service, Then::Answer).await;
    let (again, same) = ask_again(&service, subject, "this", Then::Answer).await;

    assert_eq!((state.as_str(), again.as_str()), ("done", "done"));
    assert!(
        note.contains("got had_1") && same.contains("got had_1"),
        "{note}; {same}"
    );
    assert_eq!(sent(subject), ["sent"]);
    worker.stop().await;
}

#[tokio::test]
async fn a_subject_is_never_asked_for_with_other_content() {
    let (service, worker) = service().await;
    let (_, _, subject) = ask(&service, Then::RefuseOnce).await;

    let (_, note) = ask_again(&service, subject, "that", Then::Answer).await;

    assert!(note.contains("other"), "{note}");
    assert_eq!(sent(subject).len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_run_that_lost_its_job_writes_and_sends_nothing() {
    let (service, worker) = service().await;
    let subject = Uuid::now_v7();
    let ask = Ask {
        subject,
        content: "this".into(),
        then: Then::LoseTheJob,
    };

    service.enqueue(&ask).await;
    until("it is told", async || {
        LOST.lock().unwrap().contains(&subject)
    })
    .await;
    worker.stop().await;

    assert_eq!(sent(subject), Vec::<String>::new());
    let rows: i64 = service.value("select count(*) from provider_calls").await;
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_run_that_outlives_its_lease_sends_nothing_though_nobody_took_the_job() {
    let lease = Duration::from_secs(1);
    let service = Service::with(|config| config.worker.lease = lease).await;
    let worker = service.work(Register::all().with::<Ask>());
    let subject = Uuid::now_v7();
    let ask = Ask {
        subject,
        content: "this".into(),
        then: Then::OutliveTheLease,
    };
    service.enqueue(&ask).await;
    until("it runs", async || {
        WAITING.lock().unwrap().contains(&subject)
    })
    .await;

    // Neither a renewal nor the sweep gets through, as when the database is slow for everybody.
    let mut tx = service.db.begin().await.unwrap();
    sqlx::query("lock table queue.jobs in share mode")
        .execute(&mut *tx)
        .await
        .unwrap();
    until("it is told", async || {
        LOST.lock().unwrap().contains(&subject)
    })
    .await;
    tx.rollback().await.unwrap();

    let state: String = service.value("select state from provider_calls").await;
    assert_eq!(
        state, "sent",
        "written down, so that the next run looks first"
    );
    assert_eq!(sent(subject), Vec::<String>::new());
    worker.stop().await;
}

#[tokio::test]
async fn a_success_is_recorded_whoever_brings_it_and_a_failure_by_its_holder_only() {
    let (service, worker) = service().await;

    let (state, _, _) = ask(&service, Then::TakenOverThenAnswer).await;
    assert_eq!(state, "done");
    let subject = Uuid::now_v7();
    let ask = Ask {
        subject,
        content: "this".into(),
        then: Then::TakenOverThenRefuse,
    };
    service.enqueue(&ask).await;
    until("it is refused", async || !sent(subject).is_empty()).await;
    worker.stop().await;

    let state: String = sqlx::query_scalar("select state from provider_calls where subject = $1")
        .bind(subject.to_string())
        .fetch_one(&service.db)
        .await
        .unwrap();
    assert_eq!(state, "sent");
}

#[tokio::test]
async fn a_second_effect_is_a_finding_and_the_first_one_stays() {
    let (service, worker) = service().await;

    let (state, note, _) = ask(&service, Then::AnswerWithASecondOne).await;

    assert_eq!(state, "done");
    assert!(note.contains("got first"), "{note}");
    let finding: String = service
        .value("select kind || ' ' || subject from findings where closed_at is null")
        .await;
    assert_eq!(finding, "duplicate_effect had_1");
    worker.stop().await;
}
