//! However many copies of an event arrive, in whatever order and from however many senders at once:
//! one webhook, one job, one run.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper::worker::Register;
use tollkeeper_jobs::HandleStripeEvent;

use crate::support::{
    crowd,
    proof::{all_held, seed, size},
    until,
    web::Web,
};

const COPIES: usize = 3;
const SENDERS: usize = 8;
const CUSTOMERS: usize = 200;

/// Events that were received as one webhook with one job, which ran once and is done with.
const ONCE: &str = concat!(
    "
    select count(*) from webhooks
    where (select count(*) from queue.finished_jobs job
           where job.kind = 'handle_stripe_event' and job.key = webhooks.id::text
             and (select count(*) from ",
    crate::support::every_run!(),
    " run where run.job_id = job.id) = 1) = 1"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_copies_of_every_event_in_any_order_are_one_webhook_one_job_and_one_run() {
    let mut chance = StdRng::seed_from_u64(seed("order_and_copies"));
    let events = size(500, 20_000);
    let web = std::sync::Arc::new(Web::start().await);
    let only_handling = || Register::default().with::<HandleStripeEvent>();
    let workers = [(); 3].map(|()| web.service.work(only_handling()));

    let copies = in_disorder(events, &mut chance);
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let mine: Vec<usize> = copies
                .iter()
                .copied()
                .skip(sender)
                .step_by(SENDERS)
                .collect();
            let web = web.clone();
            tokio::spawn(async move {
                for number in mine {
                    let event = crowd::event(number, &(number % CUSTOMERS).to_string());
                    let answer = web.stripe("/stripe/webhook", &event.body).await;
                    assert_eq!(answer.status(), 200, "{}", event.id);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    until("every event is handled", async || {
        let left = "select count(*) from queue.jobs where kind = 'handle_stripe_event'";
        web.service.value::<i64>(left).await == 0
    })
    .await;
    for worker in workers {
        worker.stop().await;
    }

    let webhooks: i64 = web.service.value("select count(*) from webhooks").await;
    let runs: i64 = web
        .service
        .value(concat!(
            "select count(*) from ",
            crate::support::every_run!(),
            " run"
        ))
        .await;
    assert_eq!((webhooks, runs), (events as i64, events as i64));
    let once: i64 = web.service.value(ONCE).await;
    all_held("order_and_copies", once as usize, "events", events);
}

/// The copies of every event, by its number. Some follow at once, so that they meet in one group and
/// on several connections; others come at any time, before the first or long after it was handled.
fn in_disorder(events: usize, chance: &mut StdRng) -> Vec<usize> {
    let places = events * COPIES;
    let mut copies: Vec<(usize, usize)> = (0..places)
        .map(|place| {
            let number = place / COPIES;
            match chance.random_bool(0.5) {
                true => (place + chance.random_range(0..2 * SENDERS), number),
                false => (chance.random_range(0..places), number),
            }
        })
        .collect();
    copies.sort();
    copies.into_iter().map(|(_, number)| number).collect()
}
