//! The last page: who has what, that nothing was bought twice, and where to go from here.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use tollkeeper_jobs::plans::Catalogue;

use super::{
    cast::{self, Customer, End},
    paper::{Paper, say},
    proof::{Books, Entry},
    words,
};
use crate::{cli::keys, http::auth::Scope};

const KEY_DAYS: i64 = 30;

/// Where everything listens.
pub struct Places {
    pub service: String,
    /// The port of the settings, if somebody else has it.
    pub taken_port: Option<u16>,
    pub sandbox: String,
    pub database: String,
}

/// A key for the printed request.
pub async fn key(conn: &mut PgConnection, now: DateTime<Utc>) -> anyhow::Result<String> {
    let scopes = [Scope::SubscriptionRead, Scope::TelephonyRead];
    let expires_at = Some(now + TimeDelta::days(KEY_DAYS));
    let key = keys::create(conn, "demo", &scopes, expires_at, now).await?;
    Ok(key.secret.expose_secret().to_owned())
}

pub fn print(paper: &Paper, catalogue: &Catalogue, cast: &[Customer], books: &Books) {
    paper.scene("What came of it");
    say!(
        "  {:6}{:22}{:>6}  {:18}{:10}Today",
        "",
        "Plan",
        "Month",
        "Number",
        "Bought"
    );
    for (customer, entry) in cast.iter().zip(&books.entries).take(cast::NAMED) {
        let tier = catalogue.tier_of_price(&customer.price_id);
        let price = tier.and_then(|tier| {
            let mut prices = tier.prices.iter();
            prices.find(|price| price.price_ref.as_deref() == Some(customer.price_id.as_str()))
        });
        let amount = price
            .and_then(|price| price.amount_minor)
            .map(words::dollars)
            .unwrap_or_default();
        let times = match entry.bought.len() {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let today = match customer.end {
            End::HasNumber => "in use",
            End::GaveItBack => "returned after 8 days",
        };
        say!(
            "  {:6}{:22}{amount:>6}  {:18}{times:10}{today}",
            customer.name,
            tier.map_or("", |tier| tier.name.as_str()),
            entry
                .bought
                .first()
                .map(|number| words::number(number))
                .unwrap_or_default(),
        );
    }
    print_crowd(&books.entries[cast::NAMED..]);
    say!("");
    print_figures(books);
    if books.faults.is_empty() {
        say!(
            "  {}",
            paper.good(
                "✓ No number was bought twice, and nobody is without the number they pay for."
            )
        );
    }
    for fault in &books.faults {
        say!("  {}", paper.trouble(&format!("✗ {fault}")));
    }
}

fn print_crowd(entries: &[Entry]) {
    let bought: usize = entries.iter().map(|entry| entry.bought.len()).sum();
    let served = entries.iter().filter(|entry| entry.held.len() == 1).count();
    say!(
        "  and {} more, {bought} numbers bought, {served} of them have exactly one",
        entries.len()
    );
}

fn print_figures(books: &Books) {
    say!(
        "  Stripe   {} events, {} came more than once, {} never: each is stored once and dealt with",
        books.events,
        books.doubled,
        books.lost
    );
    say!(
        "  Jobs     {} runs, {} of them to be repeated; none failed for good",
        books.runs,
        books.retried
    );
    let troubles: Vec<String> = books
        .troubles
        .iter()
        .map(|(name, times)| format!("{times} × {}", words::trouble_in_short(name)))
        .collect();
    let wrong: usize = books.troubles.values().sum();
    say!("  Calls    {}, {wrong} went wrong on purpose:", books.calls);
    say!("           {}", troubles.join(" · "));
    let bought: usize = books.entries.iter().map(|entry| entry.bought.len()).sum();
    say!(
        "  Twilio   sold {bought} numbers to {} customers, by its own list",
        books.entries.len()
    );
}

pub fn print_ways_on(paper: &Paper, places: &Places, account_id: &str, key: &str, stays: bool) {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "tollkeeper".to_owned());
    let ask = |url: &str| format!("curl -H 'Authorization: Bearer {key}' {url}");
    let step = |why: &str, what: &str| say!("  {}\n    {what}", paper.dim(why));
    let ann = format!("{}/api/subscription/{account_id}", places.service);

    paper.scene("How to go on");
    step(
        "What was done, and each job with all its runs",
        &format!("{program} jobs list --sandbox"),
    );
    if stays {
        step("What an app asks: Ann's plan", &ask(&ann));
        step(
            "The API to try, in a browser",
            &format!("{}/docs", places.service),
        );
        step("The figures", &format!("{}/metrics", places.service));
        step(
            "What the stand-ins hold",
            &format!("{}/sandbox/state", places.sandbox),
        );
        step("The database", &format!("psql '{}'", places.database));
        say!("\n  It runs until Ctrl-C. Its clock is eight days ahead.");
    } else {
        step(
            "The same again, and it stays: with the API to try in a browser",
            &format!("{program} demo --stay"),
        );
        let up = format!("{program} up --sandbox");
        let port = places.service.rsplit(':').next().unwrap_or_default();
        let up = match places.taken_port {
            None => up,
            Some(_) => format!("PORT={port} {up}"),
        };
        step("The service alone, over this database", &up);
        step("and what an app then asks: Ann's plan", &ask(&ann));
    }
}
