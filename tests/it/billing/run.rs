//! A run by hand: what is seen first is what is done, and what the customer was shown before.

use chrono::{DateTime, Months, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tollkeeper::{
    billing::{
        self, Rules,
        run::{self, BATCH_MAX, Order, Planned, Run},
    },
    queue::operate::By,
};
use uuid::Uuid;

use crate::support::{
    log::Log,
    proof::{all_held, seed, size},
    service::Service,
};

const BY: By<'_> = By {
    who: "ann",
    why: "the month is over",
};

/// Accounts whose period ended a while ago, with random plans and usage.
struct Ended {
    service: Service,
    ends_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Ended {
    async fn new(accounts: usize, seed: u64) -> Ended {
        let service = Service::new().await;
        let now = service.ctx.clock.now();
        let ends_at = now - TimeDelta::minutes(30);
        let ended = Ended {
            service,
            ends_at,
            now,
        };
        let mut dice = StdRng::seed_from_u64(seed);
        let (mut tiers, mut uses) = (Vec::new(), Vec::new());
        for nth in 0..accounts {
            let tier = ["ai_secretary", "ai_project_manager", "ai_cto"][dice.random_range(0..3)];
            tiers.push(tier);
            for _ in 0..dice.random_range(0..6) {
                let feature = ["voice_minutes", "sms"][dice.random_range(0..2)];
                let whole = dice.random_range(1..900) * 1_000_000;
                let part = match feature {
                    "voice_minutes" => dice.random_range(0..1_000_000),
                    _ => 0,
                };
                uses.push((nth as i64, feature, whole + part));
            }
        }
        ended.store(&tiers, &uses).await;
        ended
    }

    async fn store(&self, tiers: &[&str], uses: &[(i64, &str, i64)]) {
        let db = &self.service.db;
        let starts_at = self.ends_at - Months::new(1);
        sqlx::query(
            "with tiers as (select nth - 1 as nth, tier from unnest($1::text[]) with ordinality as t (tier, nth)),
                  owners as (insert into accounts (account_id) select 'a' || nth from tiers returning account_id)
             insert into subscriptions (subscription_ref, account_id, customer_ref, status, tier, created_at, synced_at,
                                        period_starts_at, period_ends_at, anchor_at)
             select 'sub_' || nth, 'a' || nth, 'cus_' || nth, 'active', tier, $2, $4, $2, $3, $3
             from tiers, (select count(*) from owners) as stored",
        )
        .bind(tiers)
        .bind(starts_at)
        .bind(self.ends_at)
        .bind(self.now)
        .execute(db)
        .await
        .unwrap();
        sqlx::query(
            "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at,
                                       received_at, per, window_starts_at, day_starts_at, tier)
             select gen_random_uuid(), 'a' || nth, feature, 'app', gen_random_uuid(), quantity,
                    $4 + (random() * 27) * interval '1 day', $4, 'cycle', $4, $4, 'x'
             from unnest($1::bigint[], $2::text[], $3::bigint[]) as used (nth, feature, quantity)",
        )
        .bind(uses.iter().map(|one| one.0).collect::<Vec<_>>())
        .bind(uses.iter().map(|one| one.1).collect::<Vec<_>>())
        .bind(uses.iter().map(|one| one.2).collect::<Vec<_>>())
        .bind(starts_at)
        .execute(db)
        .await
        .unwrap();
        // Their periods, as they were before the end.
        let accounts: Vec<String> = (0..tiers.len()).map(|nth| format!("a{nth}")).collect();
        let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let mut tx = db.begin().await.unwrap();
        let before = self.ends_at - TimeDelta::seconds(1);
        billing::align(&mut tx, &self.service.ctx.catalogue, &accounts, before)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    fn rules(&self) -> Rules<'_> {
        Rules::of(&self.service.ctx)
    }

    async fn due(&self) -> Vec<Uuid> {
        let mut conn = self.service.db.acquire().await.unwrap();
        run::due(&mut conn, self.rules(), None, self.now)
            .await
            .unwrap()
    }

    async fn dry(&self) -> Run {
        let due = self.due().await;
        let mut conn = self.service.db.acquire().await.unwrap();
        let mut run = Run::default();
        for batch in due.chunks(BATCH_MAX) {
            let batch = run::dry(&mut conn, self.rules(), batch, self.now).await;
            run.append(batch.unwrap());
        }
        run
    }

    async fn carry_out(&self, plan: &[Planned]) -> Run {
        self.try_to_carry_out(plan).await.unwrap()
    }

    async fn try_to_carry_out(&self, plan: &[Planned]) -> sqlx::Result<Run> {
        let due: Vec<Uuid> = plan.iter().map(|one| one.period_id).collect();
        let mut conn = self.service.db.acquire().await.unwrap();
        let order = Order {
            by: BY,
            plan: Some((Uuid::nil(), plan)),
        };
        let mut run = Run::default();
        for batch in due.chunks(BATCH_MAX) {
            run.append(run::carry_out(&mut conn, self.rules(), batch, order, self.now).await?);
        }
        Ok(run)
    }

    async fn charged(&self) -> i64 {
        self.service
            .value("select coalesce(sum(amount_minor), 0)::bigint from charges")
            .await
    }
}

fn total(one: &Planned) -> i64 {
    one.charges.iter().map(|charge| charge.amount_minor).sum()
}

#[tokio::test]
async fn preview_dry_run_and_run_agree_to_the_cent() {
    let count = size(20, 10_000);
    let ended = Ended::new(count, seed("billing_run")).await;

    let dry = ended.dry().await;
    assert_eq!(ended.charged().await, 0, "a dry run stores nothing");
    let mut previews = Vec::new();
    for one in &dry.planned {
        let mut conn = ended.service.db.acquire().await.unwrap();
        let catalogue = &ended.service.ctx.catalogue;
        let before = ended.ends_at - TimeDelta::seconds(1);
        let running = billing::statement(&mut conn, catalogue, &one.account_id, before).await;
        previews.push(running.unwrap().statement.total_minor);
    }
    let done = ended.carry_out(&dry.planned).await;

    assert_eq!((&done.planned.len(), &done.moved.len()), (&count, &0));
    assert_eq!(done.sha256().len(), 64);
    let mut agree = 0;
    for (planned, preview) in dry.planned.iter().zip(previews) {
        let stored: i64 = sqlx::query_scalar(
            "select coalesce(sum(amount_minor), 0)::bigint from charges where account_id = $1",
        )
        .bind(&planned.account_id)
        .fetch_one(&ended.service.db)
        .await
        .unwrap();
        agree += usize::from(stored == total(planned) && stored == preview);
    }
    assert!(ended.charged().await > 0);
    all_held(
        "preview, dry run and run agree to the cent",
        agree,
        "accounts",
        count,
    );
}

#[tokio::test]
async fn a_plan_is_left_alone_where_its_inputs_moved_and_carried_out_elsewhere() {
    let ended = Ended::new(6, 7).await;
    let plan = ended.dry().await.planned;
    let moved = &plan[2];
    sqlx::query(
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         values (gen_random_uuid(), $1, 'sms', 'app', 'late', 9000000000, $2, $2, 'cycle', $2, $2, 'x')",
    )
    .bind(&moved.account_id)
    .bind(moved.starts_at)
    .execute(&ended.service.db)
    .await
    .unwrap();
    // Without included units beyond which it could cost, nothing moves: this one has a plan that bills.
    sqlx::query("update billing_periods set terms = jsonb_set(terms, '{meters,sms}', '{\"included\": 0, \"rates\": [{\"up_to\": null, \"rate\": 7500}]}') where period_id = $1")
        .bind(moved.period_id)
        .execute(&ended.service.db)
        .await
        .unwrap();

    let done = ended.carry_out(&plan).await;
    assert_eq!(done.moved, [moved.period_id]);
    assert_eq!(done.planned.len(), plan.len() - 1);
    let again = ended.carry_out(&plan).await;
    assert_eq!(again.moved.len(), plan.len(), "a plan is carried out once");
    let expected: i64 = plan.iter().filter(|one| one != &moved).map(total).sum();
    assert_eq!(ended.charged().await, expected);
}

#[tokio::test]
async fn no_charge_of_a_run_by_hand_is_without_its_author() {
    let ended = Ended::new(3, 7).await;
    let plan = ended.dry().await.planned;
    // Whatever ends the run before its author is written down.
    let refuse =
        "alter table queue.operator_actions add constraint gone check (action <> 'run_billing')";
    ended.service.execute(refuse).await;
    ended.try_to_carry_out(&plan).await.unwrap_err();
    assert_eq!(ended.charged().await, 0);

    ended
        .service
        .execute("alter table queue.operator_actions drop constraint gone")
        .await;
    ended.carry_out(&plan).await;
    assert!(ended.charged().await > 0);
    let orphans: i64 = ended
        .service
        .value(
            "select count(*) from charges where not exists (
                 select 1 from queue.operator_actions
                 where who = 'ann' and action = 'run_billing' and target->'periods' ? period_id::text)",
        )
        .await;
    assert_eq!(orphans, 0);
}

#[tokio::test]
async fn a_dry_run_tells_the_log_of_no_park_that_it_takes_back() {
    let ended = Ended::new(1, 7).await;
    for sql in [
        "insert into usage_events (event_id, account_id, feature, source, source_id, quantity, occurred_at, received_at,
                                   per, window_starts_at, day_starts_at, tier)
         select gen_random_uuid(), account_id, 'sms', 'app', 'much', 9000000000000000, starts_at, starts_at,
                'cycle', starts_at, starts_at, 'x'
         from billing_periods where subscription_ref is not null",
        "update billing_periods set terms = jsonb_set(terms, '{meters,sms}',
         '{\"included\": 0, \"rates\": [{\"up_to\": null, \"rate\": 9000000000000000000}]}')",
    ] {
        ended.service.execute(sql).await;
    }
    let (log, _here) = Log::kept();

    let plan = ended.dry().await.planned;
    assert!(!log.text().contains("parked"), "{}", log.text());
    let parked = "select count(*) from billing_parks";
    assert_eq!(ended.service.value::<i64>(parked).await, 0);
    ended.carry_out(&plan).await;
    assert!(log.text().contains("AMOUNT_TOO_LARGE"), "{}", log.text());
    assert_eq!(ended.service.value::<i64>(parked).await, 1);
}
