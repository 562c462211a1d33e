//! kill -9 at any moment of a billing run: workers die again and again while renewals are billed, and Stripe's books are
//! ours to the cent.

use std::{collections::BTreeMap, time::Duration};

use chrono::{Months, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper::sandbox::{Call, Provider, stripe::BookedInvoice};
use tollkeeper_jobs::{
    CloseDuePeriods, PollInvoiceDrafts, SweepCharges, billing::matching::CHARGE_KEY,
};

use crate::{
    billing::{
        MESSAGES, MINUTES,
        histories::{charged, rated},
        report,
    },
    support::{
        proof::{all_held, seed, size},
        service::Service,
        until,
        works::Works,
    },
};

const WORKERS: usize = 3;
/// So long before the end of their month everybody signs up, as many seconds later as there are to be served.
const BEFORE_THE_END: TimeDelta = TimeDelta::seconds(6);

struct Run {
    works: Works,
    /// The customer at Stripe of each account.
    customers: BTreeMap<String, String>,
}

impl Run {
    /// So many customers whose month is over, all of it used and none of it billed.
    async fn due(count: usize, dice: &mut StdRng) -> Run {
        let now = Utc::now();
        let long_ago = now - Months::new(1) + BEFORE_THE_END + TimeDelta::seconds(count as i64);
        let works = Works::behind(now - long_ago, WORKERS, |program| {
            program.with("BILLING_SETTLES_FOR", "1s")
        })
        .await;
        let service = Service::over(works.db.clone(), |_| {});
        let mut customers = BTreeMap::new();
        for nth in 0..count {
            let user = format!("user-{nth:03}");
            sqlx::query("insert into accounts (account_id) values ($1)")
                .bind(&user)
                .execute(&works.db)
                .await
                .unwrap();
            for (feature, units) in [
                (MINUTES, dice.random_range(1..400)),
                (MESSAGES, dice.random_range(1..300)),
            ] {
                let at = now - TimeDelta::days(dice.random_range(1..25));
                report(&service, &user, feature, units, &user, at).await;
            }
            customers.insert(user, String::new());
        }
        Run { works, customers }
    }

    async fn sign_up_everybody(&mut self) {
        for (user, customer) in &mut self.customers {
            *customer = self.works.sign_up_for_usage(user).customer_id;
        }
        self.works.sandbox.all_delivered().await;
        let count = self.customers.len() as i64;
        until("everybody is served, and the month is over", async || {
            let served = "select count(*) from telephony where status = 'active'";
            let over = "select count(*) from billing_periods
                        where subscription_ref is not null and ends_at < now() - interval '1 second'";
            self.works.value::<i64>(served).await == count
                && self.works.value::<i64>(over).await == count
        })
        .await;
    }

    /// Stripe says of each account: our lines on its invoices, and what was paid and not given back.
    fn at_stripe(&self) -> BTreeMap<String, (i64, i64)> {
        let books = self.works.sandbox.books();
        let of = |customer: &String| {
            let invoices = books.iter().filter(|invoice| invoice.customer == *customer);
            let sums = invoices.map(|invoice| (ours(invoice), invoice.paid - invoice.refunded));
            sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let customers = self.customers.iter();
        customers
            .map(|(user, customer)| (user.clone(), of(customer)))
            .collect()
    }

    async fn ledger(&self) -> BTreeMap<String, i64> {
        let cash = "select account_id, sum(debit_minor - credit_minor)::bigint from ledger_entries
                    where ledger_account = 'cash' group by account_id";
        let rows: Vec<(String, i64)> = sqlx::query_as(cash)
            .fetch_all(&self.works.db)
            .await
            .unwrap();
        rows.into_iter().collect()
    }

    /// Requests that changed something at Stripe.
    fn changes(&self) -> usize {
        let calls = self.works.sandbox.calls();
        let changing = |call: &&_| is_change(call);
        calls.iter().filter(changing).count()
    }

    async fn look_at_everything(&self) {
        let tick_at = Utc::now();
        self.works.enqueue(&[CloseDuePeriods { tick_at }]).await;
        self.works.enqueue(&[PollInvoiceDrafts { tick_at }]).await;
        self.works.rest().await;
        self.works.enqueue(&[SweepCharges { tick_at }]).await;
        self.works.rest().await;
    }
}

fn is_change(call: &Call) -> bool {
    call.provider == Provider::Stripe && call.method != "GET"
}

fn ours(invoice: &BookedInvoice) -> i64 {
    let lines = invoice.lines.iter().filter(|line| !line.is_deleted);
    let lines = lines.filter(|line| line.metadata.contains_key(CHARGE_KEY));
    lines.map(|line| line.amount).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_during_a_billing_run_bill_everybody_once_to_the_cent() {
    let mut dice = StdRng::seed_from_u64(seed("billing_kills"));
    let (kills, count) = (size(10, 300), size(8, 200));
    let mut run = Run::due(count, &mut dice).await;
    let web = run.works.open_for_events().await;
    run.sign_up_everybody().await;

    // The providers' clock is ours from here on: everybody's renewal begins.
    let tick_at = Utc::now();
    run.works.sandbox.advance(tick_at - run.works.sandbox.now());
    run.works.enqueue(&[CloseDuePeriods { tick_at }]).await;
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..600))).await;
        let worker = &run.works.workers[dice.random_range(0..WORKERS)];
        until("the worker is ready", async || worker.is_ready().await).await;
        // Whoever does not survive a third time is dead, and rightly so: that is another proof.
        until("nobody died twice with the same job", async || {
            let suspects = "select count(*) from queue.jobs where crashes >= 2 and state in ('ready', 'running')";
            run.works.value::<i64>(suspects).await == 0
        })
        .await;
        worker.signal(libc::SIGKILL);
    }
    run.works.rest().await;
    run.look_at_everything().await;
    // Drafts become invoices, and are paid.
    run.works.sandbox.advance(TimeDelta::minutes(75));
    run.works.rest().await;
    run.look_at_everything().await;

    let before = run.changes();
    run.look_at_everything().await;
    assert_eq!(run.changes(), before, "a second run does nothing");
    let crashed: i64 = run
        .works
        .value("select count(*) from queue.job_attempts where outcome = 'crash'")
        .await;
    println!("{kills} kills took {crashed} runs down");
    assert_eq!(run.works.dead().await, Vec::<String>::new());
    let (charged, rated) = (charged(&run.works.db).await, rated(&run.works.db).await);
    let (theirs, cash) = (run.at_stripe(), run.ledger().await);
    let is_right = |user: &&String| {
        let (lines, paid) = theirs[*user];
        let (on, owed) = charged.get(*user).copied().unwrap_or_default();
        let rated = rated.get(*user).copied().unwrap_or_default();
        let is_right = lines == on && owed == 0 && on == rated && cash.get(*user) == Some(&paid);
        if !is_right {
            println!(
                "{user}: Stripe {lines} and {paid} paid, here {on} and {owed} owed, {cash:?} paid, rated {rated}"
            );
        }
        is_right && rated > 0
    };
    let right = run.customers.keys().filter(is_right).count();
    drop(web);
    all_held("billing_kills", right, "accounts billed once", count);
}
