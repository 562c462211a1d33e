//! What operators do to jobs, and what is remembered of it.

use tollkeeper::queue::{
    look::{self, Filter},
    operate::{self, By, OperateError},
};
use uuid::Uuid;

use crate::support::{
    probe::{self, Does, Probe, probes},
    service::Service,
    until,
};

const BY: By<'_> = By {
    who: "ann",
    why: "the provider is back",
};

/// A service in which `a` died of a provider and `b` had nothing to do.
async fn with_a_dead_job(test: Uuid, times: usize) -> (Service, Uuid) {
    let service = Service::new().await;
    let worker = service.work(probes());
    let dead = service
        .enqueue(&Probe::new(test, "a", Does::Fail { times }).of("account-1"))
        .await;
    service
        .enqueue(&Probe::new(test, "b", Does::Nothing).of("account-2"))
        .await;
    service.drain().await;
    worker.stop().await;
    (service, dead.id())
}

#[tokio::test]
async fn a_retried_job_has_all_its_attempts_again_and_the_action_is_remembered() {
    let test = Uuid::now_v7();
    let (service, dead) = with_a_dead_job(test, 3).await;
    let mut conn = service.db.acquire().await.unwrap();

    operate::retry(&mut conn, dead, BY).await.unwrap();
    let worker = service.work(probes());
    service.drain().await;
    worker.stop().await;

    let story = look::show(&mut conn, dead).await.unwrap().unwrap();
    let outcomes: Vec<_> = story
        .attempts
        .iter()
        .map(|run| run.outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["retry", "retry", "retry", "done"]);
    assert_eq!(story.job.state, "done");
    let action = &story.actions[0];
    assert_eq!(
        (
            action.who.as_str(),
            action.action.as_str(),
            action.why.as_str()
        ),
        ("ann", "retry", BY.why)
    );
}

#[tokio::test]
async fn jobs_are_found_by_state_kind_account_and_the_text_of_the_last_error() {
    let test = Uuid::now_v7();
    let (service, dead) = with_a_dead_job(test, 9).await;
    let mut conn = service.db.acquire().await.unwrap();
    let text = |text: &str| Some(text.to_owned());

    for (filter, found) in [
        (Filter::default(), 2),
        (
            Filter {
                state: text("dead"),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                kind: text("probe"),
                lane: text("default"),
                ..Filter::default()
            },
            2,
        ),
        (
            Filter {
                account_id: text("account-1"),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                note: text("CANNOT reach"),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                note: text("%"),
                ..Filter::default()
            },
            0,
        ),
    ] {
        assert_eq!(
            look::list(&mut conn, &filter, None, 10)
                .await
                .unwrap()
                .len(),
            found,
            "{filter:?}"
        );
    }
    let newest = look::list(&mut conn, &Filter::default(), None, 1)
        .await
        .unwrap();
    let next = look::list(&mut conn, &Filter::default(), Some(newest[0].id), 1)
        .await
        .unwrap();
    assert_eq!(next[0].id, dead);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_leaves_no_trace() {
    let test = Uuid::now_v7();
    let (service, dead) = with_a_dead_job(test, 3).await;
    let mut conn = service.db.acquire().await.unwrap();
    let done = look::list(
        &mut conn,
        &Filter {
            state: Some("done".into()),
            ..Filter::default()
        },
        None,
        1,
    )
    .await
    .unwrap();

    let unknown = operate::retry(&mut conn, Uuid::now_v7(), BY).await;
    let ended = operate::retry(&mut conn, done[0].id, BY).await;
    let not_live = operate::cancel(&mut conn, dead, BY).await;
    service.enqueue(&Probe::new(test, "a", Does::Nothing)).await;
    let newer = operate::retry(&mut conn, dead, BY).await;

    assert!(matches!(unknown, Err(OperateError::NotFound(_))));
    assert!(matches!(ended, Err(OperateError::WrongState { .. })));
    assert!(matches!(not_live, Err(OperateError::WrongState { .. })));
    assert!(matches!(newer, Err(OperateError::NewerUnderWay(_))));
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.operator_actions")
            .await,
        0
    );
}

#[tokio::test]
async fn a_cancelled_run_is_stopped_and_its_job_is_gone_from_the_queue() {
    let service =
        Service::with(|config| config.worker.lease = std::time::Duration::from_millis(300)).await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    let job = service.enqueue(&Probe::new(test, "a", Does::Block)).await;
    until("it runs", async || probe::started(test).len() == 1).await;
    let mut conn = service.db.acquire().await.unwrap();

    operate::cancel(&mut conn, job.id(), BY).await.unwrap();
    until("its run was stopped", async || probe::now(test) == 0).await;
    worker.stop().await;

    let story = look::show(&mut conn, job.id()).await.unwrap().unwrap();
    assert_eq!(
        (story.job.state.as_str(), probe::ended(test)),
        ("cancelled", 0)
    );
    assert_eq!(story.attempts[0].outcome, "cancelled");
}

#[tokio::test]
async fn a_discarded_job_is_history() {
    let test = Uuid::now_v7();
    let (service, dead) = with_a_dead_job(test, 9).await;
    let mut conn = service.db.acquire().await.unwrap();

    operate::discard(&mut conn, dead, BY).await.unwrap();

    let story = look::show(&mut conn, dead).await.unwrap().unwrap();
    assert_eq!(
        (story.job.state.as_str(), story.actions[0].action.as_str()),
        ("cancelled", "discard")
    );
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.jobs")
            .await,
        0
    );
}

#[tokio::test]
async fn retrying_all_that_match_runs_what_its_dry_run_counted() {
    let service = Service::new().await;
    let test = Uuid::now_v7();
    let worker = service.work(probes());
    for n in 0..20 {
        service
            .enqueue(&Probe::new(test, &format!("a{n}"), Does::Fail { times: 3 }))
            .await;
    }
    service
        .enqueue(&Probe::new(test, "other", Does::Stop))
        .await;
    service.drain().await;
    let mut conn = service.db.acquire().await.unwrap();
    let filter = Filter {
        state: Some("dead".into()),
        note: Some("cannot reach".into()),
        ..Filter::default()
    };

    let counted = operate::count_matching(&mut conn, &filter).await.unwrap();
    let retried = operate::retry_matching(&mut conn, &filter, BY)
        .await
        .unwrap();
    service.drain().await;
    worker.stop().await;

    assert_eq!((counted, retried), (20, 20));
    assert_eq!(
        service
            .value::<i64>("select count(*) from queue.finished_jobs where state = 'done'")
            .await,
        20
    );
    assert_eq!(
        service
            .value::<i64>("select affected from queue.operator_actions")
            .await,
        20
    );
}
