//! `GET /api/billing/upcoming`.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use sqlx::PgConnection;
use tollkeeper_jobs::{
    billing::{
        proration::price_minor,
        upcoming::{Line, Renewal, Upcoming, upcoming},
    },
    money::major_text,
    plans::Catalogue,
    stripe::{Preview, Status},
    usage::Span,
};

use super::{AmountSource, Shared, ask, interval, is_live};
use crate::{
    billing::{self, RunningPeriod},
    db::{
        accounts,
        billing::charges,
        subscriptions::{self, Subscription},
    },
    http::{
        auth::AccountId,
        problem::{Problem, timestamp},
    },
};

#[derive(Debug, Object)]
pub struct UpcomingInvoice {
    /// The plan that bills the running period.
    tier: String,
    /// Minor units.
    amount_due: i64,
    /// The same in the major unit.
    amount_dollars: String,
    period_start: String,
    period_end: String,
    /// Null where nothing will be collected by itself.
    next_payment_attempt: Option<String>,
    lines: Vec<UpcomingLine>,
    /// Who answered for the plan's price; what is owed for usage is always our own.
    source: AmountSource,
}

#[derive(Debug, Object)]
struct UpcomingLine {
    description: String,
    /// Minor units; negative for a credit.
    amount: i64,
    /// The same in the major unit.
    amount_dollars: String,
}

/// All that is stored about the next invoice.
struct Facts {
    running: RunningPeriod,
    /// The subscription that pays for the running period.
    subscription: Option<Subscription>,
    /// What is owed for earlier periods and on no invoice yet, and what the running one comes to.
    owed: Vec<Line>,
}

pub async fn of(shared: &Shared, account: &AccountId) -> Result<UpcomingInvoice, Problem> {
    let mut tx = shared.begin(account).await?;
    let facts = facts(&mut tx, &shared.catalogue, account, shared.clock.now()).await?;
    drop(tx);

    let renewing = facts.subscription.as_ref().filter(|one| renews(one));
    let (renewal, source) = match renewing {
        None => (None, AmountSource::Own),
        Some(subscription) => match by_stripe(shared, subscription).await {
            Some(renewal) => (Some(renewal), AmountSource::Stripe),
            None => (
                Some(own(&shared.catalogue, subscription)?),
                AmountSource::Own,
            ),
        },
    };
    let next = upcoming(renewal, facts.owed, facts.running.period.span)?;
    Ok(view(&facts.running, next, source))
}

async fn facts(
    conn: &mut PgConnection,
    catalogue: &Catalogue,
    account: &AccountId,
    now: DateTime<Utc>,
) -> Result<Facts, Problem> {
    let account_id = account.as_str();
    let all = subscriptions::of_account(conn, account_id).await?;
    let is_customer = !all.is_empty() || !accounts::customers(conn, account_id).await?.is_empty();
    if !is_customer {
        return Err(Problem::not_found("No Stripe customer found"));
    }
    let running = billing::statement(conn, catalogue, account_id, now).await?;
    let payer = running.period.payer.as_ref();
    let is_payer = |one: &Subscription| {
        payer.is_some_and(|payer| payer.subscription_ref == one.subscription_ref)
    };
    // Another customer of Stripe's is sent invoices of their own.
    let customer_ref = payer.map(|payer| &payer.customer_ref);
    let currency = &running.statement.currency;
    let unplaced = charges::unplaced(conn, account_id).await?;
    let earlier = unplaced
        .into_iter()
        .filter(|charge| charge.currency == *currency)
        .filter(|charge| customer_ref.is_none() || charge.customer_ref.as_ref() == customer_ref)
        .map(|charge| Line {
            description: charge.description,
            amount_minor: charge.amount_minor,
        });
    Ok(Facts {
        owed: earlier.chain(running.lines.iter().cloned()).collect(),
        subscription: all.into_iter().find(is_payer),
        running,
    })
}

/// Whether it goes on after its period. A pause is no end, and no renewal either.
fn renews(subscription: &Subscription) -> bool {
    let is_paused = Status::from(subscription.status.as_str()) == Status::Paused;
    is_live(subscription) && !is_paused && !subscription.cancel_at_period_end
}

/// None: no answer, or one that does not say all.
async fn by_stripe(shared: &Shared, subscription: &Subscription) -> Option<Renewal> {
    let preview: Preview = ask::upcoming(&shared.stripe, subscription).await?;
    // What is owed for usage is in ours, and amounts of two currencies have no sum.
    if preview.currency != shared.catalogue.currency {
        return None;
    }
    let lines = preview.lines()?.iter().map(|line| Line {
        description: line.description.clone().unwrap_or_default(),
        amount_minor: line.amount,
    });
    Some(Renewal {
        period: Span {
            starts_at: preview.period_start?,
            ends_at: preview.period_end?,
        },
        lines: lines.collect(),
        total_minor: preview.total,
        balance_minor: preview.starting_balance,
        collected_at: preview.next_payment_attempt,
    })
}

/// By the catalogue's price. Where that is agreed with each customer, Stripe alone knows it.
fn own(catalogue: &Catalogue, subscription: &Subscription) -> Result<Renewal, Problem> {
    let period = subscription
        .period_starts_at
        .zip(subscription.period_ends_at);
    let tier = subscription
        .tier
        .as_deref()
        .and_then(|id| catalogue.tier(id));
    let (Some((starts_at, ends_at)), Some(tier)) = (period, tier) else {
        return Err(Problem::unavailable());
    };
    let every = interval(tier, subscription);
    let price = price_minor(tier, every).map_err(|_| Problem::unavailable())?;
    let period = Span { starts_at, ends_at };
    Ok(Renewal::at_price(
        tier,
        price,
        every,
        &catalogue.currency,
        period,
    ))
}

fn view(running: &RunningPeriod, next: Upcoming, source: AmountSource) -> UpcomingInvoice {
    let money = |amount_minor| major_text(amount_minor, &running.statement.currency);
    let lines = next.lines.into_iter().map(|line| UpcomingLine {
        amount_dollars: money(line.amount_minor),
        amount: line.amount_minor,
        description: line.description,
    });
    UpcomingInvoice {
        tier: running.period.terms.tier.clone(),
        amount_due: next.due_minor,
        amount_dollars: money(next.due_minor),
        period_start: timestamp(next.period.starts_at),
        period_end: timestamp(next.period.ends_at),
        next_payment_attempt: next.collected_at.map(timestamp),
        lines: lines.collect(),
        source,
    }
}
