//! Customers whose month is over, all at once, served by worker processes: what the proofs of a renewal are about.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use rand::{RngExt, rngs::StdRng};
use tollkeeper::sandbox::{Call, Provider};
use tollkeeper_jobs::{CloseDuePeriods, PollInvoiceDrafts, SweepCharges};

use crate::{
    billing::{
        MESSAGES, MINUTES,
        histories::{charged, rated},
        ours, report,
    },
    support::{
        kept::Kept,
        process::Program,
        service::Service,
        until,
        works::{WEEKS_OF_USAGE, Works},
    },
};

pub const WORKERS: usize = 3;
/// So long before the end of their month everybody signs up, as many seconds later as there are to be served.
const BEFORE_THE_END: TimeDelta = TimeDelta::seconds(6);

/// Everybody is signed up and served, and renewals begin when the test says so.
pub struct Run {
    pub works: Works,
    /// What apps tell of, in this process.
    pub service: Service,
    /// The customer at Stripe of each account.
    pub customers: BTreeMap<String, String>,
    _web: Kept,
}

impl Run {
    /// So many customers whose month is over, all of it used and none of it billed. `arrange` adds settings.
    pub async fn due(
        count: usize,
        dice: &mut StdRng,
        arrange: impl FnOnce(Program) -> Program,
    ) -> Run {
        let now = Utc::now();
        let long_ago = now - TimeDelta::weeks(WEEKS_OF_USAGE.into())
            + BEFORE_THE_END
            + TimeDelta::seconds(count as i64);
        let works = Works::behind(now - long_ago, WORKERS, |program| {
            arrange(program.with("BILLING_SETTLES_FOR", "1s"))
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
        let mut run = Run {
            _web: works.open_for_events().await,
            works,
            service,
            customers,
        };
        run.sign_up_everybody().await;
        run
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

    /// Everybody's renewal begins: the providers' clock is ours from here on.
    pub async fn begin(&self) {
        let tick_at = Utc::now();
        let sandbox = &self.works.sandbox;
        sandbox.advance(tick_at - sandbox.now());
        self.works.enqueue(&[CloseDuePeriods { tick_at }]).await;
    }

    /// Drafts become invoices, and are paid.
    pub async fn end(&self) {
        self.works.sandbox.advance(TimeDelta::minutes(75));
        self.works.rest().await;
        self.look_at_everything().await;
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
    pub fn changes(&self) -> usize {
        let calls = self.works.sandbox.calls();
        let changing = |call: &&_| is_change(call);
        calls.iter().filter(changing).count()
    }

    pub async fn look_at_everything(&self) {
        let tick_at = Utc::now();
        self.works.enqueue(&[CloseDuePeriods { tick_at }]).await;
        self.works.enqueue(&[PollInvoiceDrafts { tick_at }]).await;
        self.works.rest().await;
        self.works.enqueue(&[SweepCharges { tick_at }]).await;
        self.works.rest().await;
    }

    /// How many are billed as they should be: Stripe has what is charged, what is charged is what was used, and what is
    /// paid is in the ledger.
    pub async fn right(&self) -> usize {
        let (charged, rated) = (charged(&self.works.db).await, rated(&self.works.db).await);
        let (theirs, cash) = (self.at_stripe(), self.ledger().await);
        let is_right = |user: &&String| {
            let (lines, paid) = theirs[*user];
            let (on, owed) = charged.get(*user).copied().unwrap_or_default();
            let rated = rated.get(*user).copied().unwrap_or_default();
            let entered = cash.get(*user).copied().unwrap_or_default();
            let is_right = lines == on && owed == 0 && on == rated && entered == paid;
            if !is_right {
                println!(
                    "{user}: Stripe {lines} and {paid} paid, here {on} and {owed} owed, {entered} paid, rated {rated}"
                );
            }
            is_right && rated > 0
        };
        self.customers.keys().filter(is_right).count()
    }
}

fn is_change(call: &Call) -> bool {
    call.provider == Provider::Stripe && call.method != "GET"
}
