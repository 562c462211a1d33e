//! A Stripe: customers, prices, checkout, subscriptions that live with the clock, events and their
//! signed deliveries.

mod adopted;
mod agenda;
mod billing;
mod changes;
mod checkout;
mod customers;
mod endpoints;
pub(super) mod errors;
mod events;
mod filters;
mod idempotency;
mod lifecycle;
mod model;
mod operate;
mod post;
mod prices;
mod shapes;
mod shelf;
mod subscriptions;
mod updates;

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

pub(super) use self::post::{Letter, Parcel};
use self::{
    agenda::Agenda,
    billing::{
        Ask,
        balance::Movement,
        books::Books,
        charges::{Charge, Refund},
        credit_notes::CreditNote,
        disputes::Dispute,
        model::{Invoice, InvoiceItem},
    },
    events::Event,
    idempotency::Idempotency,
    model::{Customer, Ids, Price, Session, Subscription},
    post::Post,
    shelf::Shelf,
};
pub use self::{
    billing::books::{BookedInvoice, BookedLine},
    billing::model::{InvoiceStatus, LineKind},
    events::Standing,
    model::{ApiVersion, Status},
    operate::{EventSummary, SignUp, SignedEvent, SignedUp},
};
use super::{
    settings::{Dunning, Settings},
    wire::{Reply, Request},
};

pub(super) struct Stripe {
    secret_key: String,
    version: ApiVersion,
    ids: Ids,
    customers: Shelf<Customer>,
    prices: Shelf<Price>,
    sessions: Shelf<Session>,
    subscriptions: Shelf<Subscription>,
    invoices: Shelf<Invoice>,
    items: Shelf<InvoiceItem>,
    movements: Shelf<Movement>,
    charges: Shelf<Charge>,
    refunds: Shelf<Refund>,
    disputes: Shelf<Dispute>,
    credit_notes: Shelf<CreditNote>,
    /// By payment intent.
    invoice_of_intent: HashMap<String, String>,
    books: Books,
    agenda: Agenda,
    dunning: Dunning,
    /// Seconds before its end that a period's renewal is announced.
    renewal_notice: i64,
    events: Shelf<Event>,
    post: Post,
    idempotency: Idempotency,
    /// Objects from elsewhere, by id.
    adopted: HashMap<String, Value>,
}

impl Stripe {
    /// The parcels that come out are the courier's to deliver.
    pub fn new(settings: &Settings) -> (Stripe, UnboundedReceiver<Parcel>) {
        let (post, parcels) = Post::new(settings.seed ^ 3, settings.deliveries_max);
        let mut stripe = Stripe {
            secret_key: settings.stripe_secret_key.clone(),
            version: settings.api_version,
            ids: Ids::new(settings.seed ^ 4),
            customers: Shelf::default(),
            prices: Shelf::default(),
            sessions: Shelf::default(),
            subscriptions: Shelf::default(),
            invoices: Shelf::default(),
            items: Shelf::default(),
            movements: Shelf::default(),
            charges: Shelf::default(),
            refunds: Shelf::default(),
            disputes: Shelf::default(),
            credit_notes: Shelf::default(),
            invoice_of_intent: HashMap::new(),
            books: Books::default(),
            agenda: Agenda::new(),
            dunning: settings.dunning.clone(),
            renewal_notice: i64::from(settings.renewal_notice_days) * 24 * 60 * 60,
            events: Shelf::default(),
            post,
            idempotency: Idempotency::default(),
            adopted: HashMap::new(),
        };
        if let Some(target) = &settings.webhook {
            let (url, secret) = (target.url.clone(), target.secret.clone());
            stripe.add_webhook(url, secret, settings.clock.now());
        }
        (stripe, parcels)
    }

    /// The answer for a request that is not to be carried out; else its idempotency key is taken
    /// until [`Stripe::settle`].
    pub fn claim(&mut self, request: &Request, now: DateTime<Utc>) -> Option<Reply> {
        // As Stripe takes it: a bearer token, or the user of Basic authentication (`curl -u sk_…:`).
        let basic = BASE64_STANDARD.encode(format!("{}:", self.secret_key));
        let header = request.authorization.as_deref().unwrap_or_default();
        let is_ours = header.strip_prefix("Bearer ") == Some(&self.secret_key)
            || header.strip_prefix("Basic ") == Some(&basic);
        if !is_ours {
            return Some(errors::invalid_api_key());
        }
        if !request.is_form {
            return Some(errors::not_a_form());
        }
        self.idempotency.claim(request, now)
    }

    /// Carry a request out.
    pub fn answer(&mut self, request: &Request, now: DateTime<Utc>) -> Reply {
        match self.route(request, now) {
            Ok(value) => Reply::done(200, value),
            Err(refusal) => refusal,
        }
    }

    /// Keep the answer under its key, and put on it what every answer carries.
    pub fn settle(&mut self, request: &Request, reply: Reply) -> Reply {
        let version = self.version_of(request).name();
        let reply = reply.with_header("Stripe-Version", version);
        self.idempotency.settle(request, &reply);
        self.with_request_id(reply)
    }

    /// Every answer has an id of its own, a replayed one too.
    pub fn with_request_id(&mut self, reply: Reply) -> Reply {
        let id = self.ids.next("req", 14);
        reply.with_header("Request-Id", id)
    }

    fn version_of(&self, request: &Request) -> ApiVersion {
        request
            .stripe_version
            .as_deref()
            .map_or(self.version, ApiVersion::of)
    }

    fn route(&mut self, request: &Request, now: DateTime<Utc>) -> Result<Value, Reply> {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        let version = self.version_of(request);
        if let Some(adopted) = self.fetch_adopted(request, &segments) {
            return Ok(adopted);
        }
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "customers"]) => self.create_customer(request, now),
            ("GET", ["v1", "customers"]) => self.list_customers(request),
            ("GET", ["v1", "customers", id]) => self.get_customer(id),
            ("POST", ["v1", "customers", id]) => self.update_customer(id, request),
            ("DELETE", ["v1", "customers", id]) => self.delete_customer(id, now),
            ("POST", ["v1", "prices"]) => self.create_price(request, now),
            ("GET", ["v1", "prices"]) => self.list_prices(request),
            ("GET", ["v1", "prices", id]) => self.get_price(id),
            ("POST", ["v1", "checkout", "sessions"]) => self.create_session(request, version, now),
            ("GET", ["v1", "checkout", "sessions", id]) => self.get_session(id, version),
            ("POST", ["v1", "subscriptions"]) => self.create_subscription(request, version, now),
            ("GET", ["v1", "subscriptions"]) => self.list_subscriptions(request, version),
            ("GET", ["v1", "subscriptions", id]) => self.get_subscription(id, request, version),
            ("POST", ["v1", "subscriptions", id]) => {
                self.update_subscription(id, request, version, now)
            }
            ("POST", ["v1", "subscriptions", id, "resume"]) => {
                self.resume_subscription(id, version, now)
            }
            ("POST", ["v1", "subscriptions", id, "pause"]) => {
                self.pause_subscription(id, version, now)
            }
            ("DELETE", ["v1", "subscriptions", id]) => {
                self.cancel_subscription(id, request, version, now)
            }
            ("GET", ["v1", "events"]) => self.list_events(request, now),
            ("GET", ["v1", "events", id]) => self.get_event(id),
            ("POST", ["v1", "webhook_endpoints"]) => self.create_endpoint(request, now),
            ("GET", ["v1", "webhook_endpoints"]) => self.list_endpoints(request),
            ("GET", ["v1", "webhook_endpoints", id]) => self.get_endpoint(id),
            ("DELETE", ["v1", "webhook_endpoints", id]) => self.delete_endpoint(id),
            _ => {
                let ask = Ask {
                    params: &request.params,
                    version,
                    at: now.timestamp(),
                };
                self.route_billing(request, &segments, ask)
            }
        }
    }
}
