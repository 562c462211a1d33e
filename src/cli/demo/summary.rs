//! The last page: who has what, that nothing was bought twice, and where to go from here.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use sqlx::PgConnection;
use tollkeeper_jobs::plans::Catalogue;

use super::{
    cast::{Customer, End},
    paper::Paper,
    proof::Books,
    words,
};
use crate::{cli::keys, http::auth::Scope};

const KEY_DAYS: i64 = 30;

/// Where everything listens.
pub struct Places {
    pub service: String,
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
    println!(
        "  {:6}{:22}{:>6}  {:18}{:10}Today",
        "", "Plan", "Month", "Number", "Bought"
    );
    for (customer, entry) in cast.iter().zip(&books.entries) {
        let tier = catalogue.tier_of_price(customer.price_id);
        let price = tier.and_then(|tier| {
            let mut prices = tier.prices.iter();
            prices.find(|price| price.price_ref.as_deref() == Some(customer.price_id))
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
        println!(
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
    println!();
    let bought: usize = books.entries.iter().map(|entry| entry.bought.len()).sum();
    println!(
        "  Stripe had {} to tell and delivered {} times; each is stored once.",
        words::count(books.events, "event"),
        books.deliveries
    );
    println!(
        "  {} of jobs, {} of them repeated.",
        words::count(books.runs, "run"),
        books.retried
    );
    let troubles: Vec<String> = books
        .troubles
        .iter()
        .map(|(name, times)| format!("{times} × {name}"))
        .collect();
    println!(
        "  Went wrong at Twilio, on purpose: {}.",
        troubles.join(", ")
    );
    println!(
        "  By Twilio's own list {} numbers were sold to {} customers.",
        bought,
        books.entries.len()
    );
    if books.faults.is_empty() {
        println!("  {}", paper.good("✓ No number was bought twice."));
    }
    for fault in &books.faults {
        println!("  {}", paper.trouble(&format!("✗ {fault}")));
    }
}

pub fn print_ways_on(paper: &Paper, places: &Places, account_id: &str, key: &str, stays: bool) {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "tollkeeper".to_owned());
    paper.scene("How to go on");
    println!("  {program} jobs list --sandbox");
    if stays {
        println!("  {}/docs", places.service);
        println!("  {}/sandbox/state", places.sandbox);
        println!("  psql '{}'", places.database);
    } else {
        println!("  {program} demo --stay");
    }
    println!(
        "  curl -H 'Authorization: Bearer {key}' {}/api/subscription/{account_id}",
        places.service
    );
}
