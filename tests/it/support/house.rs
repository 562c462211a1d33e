//! The service with real workers, and a sandbox that shares its clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tollkeeper::{
    clock::Clock,
    config::{Config, EndpointConfig, SpeechConfig, VoipmsApiConfig},
    http::api::Options,
    queue,
    sandbox::{
        Fault, Provider, Rule, Sandbox, Settings, When,
        stripe::{ApiVersion, SignUp, SignedUp},
    },
    worker::Register,
};
use tollkeeper_jobs::{HandleStripeEvent, SweepProviderResources};
use uuid::Uuid;

use super::{
    api::{Api, JWT_SECRET},
    service::{Service, Worker},
    until,
    web::{self, Web},
};

pub const PRICE: &str = "price_repx1";
/// The plans that bill usage.
pub const SECRETARY: &str = "price_ai_secretary";
pub const MANAGER: &str = "price_ai_project_manager";
/// What the main account signs with.
pub const MASTER_TOKEN: &str = "00000000000000000000000000000002";
pub const TO_NUMBERS: &str = "IncomingPhoneNumbers";

/// The service with real workers, and a sandbox that shares its clock.
pub struct House {
    pub service: Service,
    pub sandbox: Sandbox,
    pub worker: Worker,
}

impl House {
    pub async fn new() -> House {
        House::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> House {
        House::beside(Settings::default(), change).await
    }

    /// Beside a sandbox with other keys.
    pub async fn beside(settings: Settings, change: impl FnOnce(&mut Config)) -> House {
        let clock = Clock::default();
        let sandbox = Sandbox::start(Settings {
            clock: clock.clone(),
            subaccounts_max: 10_000,
            ..settings
        })
        .await
        .unwrap();
        sandbox.add_price(PRICE, 9700);
        sandbox.add_price("price_nobody_knows", 1);
        sandbox.add_price(SECRETARY, 4000);
        sandbox.add_price(MANAGER, 28000);
        let mut service = Service::with(|config| {
            config.stripe.api_base = sandbox.stripe_base();
            config.stripe.secret_key = "sk_test_sandbox".into();
            config.twilio.api_base = sandbox.twilio_base();
            config.twilio.auth_tokens = vec![MASTER_TOKEN.into()];
            config.jwt.secret = Some(JWT_SECRET.to_owned().into());
            config.speech = speech(&sandbox);
            config.voipms.api = Some(voipms(&sandbox));
            for (setting, price) in [
                ("STRIPE_REPX1_MONTHLY_PRICE_ID", PRICE),
                ("STRIPE_PRICE_AI_SECRETARY", SECRETARY),
                ("STRIPE_PRICE_AI_PROJECT_MANAGER", MANAGER),
                // The prices of the recorded webhooks.
                ("STRIPE_REPX2_MONTHLY_PRICE_ID", "price_1SPro2900month"),
                ("STRIPE_REPX3_MONTHLY_PRICE_ID", "price_1SBiz9900month"),
            ] {
                config
                    .price_ids
                    .insert(setting.to_owned(), price.to_owned());
            }
            change(config);
        })
        .await;
        service.ctx.clock = clock;
        let worker = service.work(Register::all());
        House {
            service,
            sandbox,
            worker,
        }
    }

    pub fn sign_up(&self, user: &str) -> SignedUp {
        self.sign_up_to(user, PRICE)
    }

    pub fn sign_up_to(&self, user: &str, price: &str) -> SignedUp {
        self.sandbox
            .sign_up(&SignUp {
                user_id: user.into(),
                email: format!("{user}@example.com"),
                price_id: price.into(),
                ..SignUp::default()
            })
            .unwrap()
    }

    /// The API beside the workers; a request waits so long for them.
    pub fn api(&self, wait: Duration) -> Api {
        let service = Service {
            ctx: self.service.ctx.clone(),
            db: self.service.db.clone(),
        };
        let options = Options {
            provision_wait: wait,
            ..web::options()
        };
        Api::of(service, options)
    }

    /// The web role beside the workers.
    pub fn web(&self) -> Web {
        Web::over(Service {
            ctx: self.service.ctx.clone(),
            db: self.service.db.clone(),
        })
    }

    /// What the receiver does with an event that was verified, the signature apart.
    pub async fn take_in(&self, event_id: &str) {
        let event = self
            .sandbox
            .signed_event(event_id, ApiVersion::New, "whsec")
            .unwrap();
        let mut tx = self.service.db.begin().await.unwrap();
        let stored: Option<Uuid> = sqlx::query_scalar(
            "insert into webhooks (id, provider, event_key, kind, endpoint, headers, body, state)
             values ($1, 'stripe', $2, 'an event', 'test', '{}', $3, 'stored')
             on conflict (provider, event_key) do nothing returning id",
        )
        .bind(Uuid::now_v7())
        .bind(event_id)
        .bind(event.body.as_bytes())
        .fetch_optional(&mut *tx)
        .await
        .unwrap();
        if let Some(webhook_id) = stored {
            let job = HandleStripeEvent { webhook_id };
            queue::enqueue(&mut tx, &job).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.service.ctx.wake.ring();
    }

    /// Every event there is, in the order it came about.
    pub async fn take_in_all(&self) {
        for event in self.sandbox.events() {
            self.take_in(&event.id).await;
        }
        self.settle().await;
    }

    /// Wait until nothing is left to do by the house's own clock. What is due within a minute is let come: the clock moves.
    pub async fn settle(&self) {
        until("nothing is due", async || {
            let now = self.sandbox.now();
            let (busy, next): (i64, Option<DateTime<Utc>>) = sqlx::query_as(
                "select count(*) filter (where state <> 'waiting'), min(run_at) filter (where state = 'waiting')
                 from queue.jobs where state in ('ready', 'running') or (state = 'waiting' and run_at < $1)",
            )
            .bind(now + TimeDelta::minutes(1))
            .fetch_one(&self.service.db)
            .await
            .unwrap();
            if let Some(next) = next.filter(|next| busy == 0 && *next > now) {
                self.sandbox.advance(next - now);
                self.service.ctx.wake.ring();
            }
            busy == 0 && next.is_none()
        })
        .await;
    }

    pub async fn pass(&self, time: TimeDelta) {
        self.sandbox.advance(time);
        self.settle().await;
    }

    pub async fn sweep(&self) {
        let tick_at: chrono::DateTime<chrono::Utc> = self.sandbox.now();
        self.service
            .enqueue(&SweepProviderResources { tick_at })
            .await;
        self.settle().await;
    }

    pub async fn standing(&self, user: &str) -> String {
        sqlx::query_scalar("select status from telephony where account_id = $1")
            .bind(user)
            .fetch_optional(&self.service.db)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    pub async fn findings(&self) -> Vec<String> {
        sqlx::query_scalar("select kind from findings where closed_at is null order by kind")
            .fetch_all(&self.service.db)
            .await
            .unwrap()
    }

    /// Jobs that gave up, and why.
    pub async fn dead(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select kind || ': ' || coalesce(note, '') from queue.jobs where state = 'dead'",
        )
        .fetch_all(&self.service.db)
        .await
        .unwrap()
    }

    /// See [`held`].
    pub fn held(&self) -> (usize, usize, usize, usize) {
        held(&self.sandbox)
    }

    /// See [`doubles`].
    pub fn doubles(&self) -> Vec<String> {
        doubles(&self.sandbox)
    }

    pub fn strike(&self, method: &str, path: &str, when: When, fault: Fault) {
        let twilio = Provider::Twilio;
        let rule = Rule::on(twilio, method, path, when, fault);
        self.sandbox.add_rules(vec![rule]);
    }
}

/// Speech and analysis by the sandbox.
pub fn speech(sandbox: &Sandbox) -> SpeechConfig {
    let endpoint = |path: &str| EndpointConfig {
        url: sandbox.speech_base() + path,
        api_key: "sk_speech_sandbox".into(),
        model: "whisper-1".into(),
        timeout: Duration::from_secs(30),
    };
    SpeechConfig {
        transcription: Some(endpoint("/v1/audio/transcriptions")),
        analysis: Some(endpoint("/v1/chat/completions")),
        language: None,
    }
}

/// The one account of VoIP.ms at the sandbox.
pub fn voipms(sandbox: &Sandbox) -> VoipmsApiConfig {
    VoipmsApiConfig {
        username: "sandbox@example.com".into(),
        password: "voipms_sandbox".into(),
        url: sandbox.voipms_base(),
        requests_per_second: 0,
        pop: Some(1),
        routing: "sys:noservice".into(),
    }
}

/// Subaccounts there are, subaccounts ever made, numbers held, numbers ever bought.
pub fn held(sandbox: &Sandbox) -> (usize, usize, usize, usize) {
    let subaccounts = sandbox.subaccounts();
    let open = subaccounts
        .iter()
        .filter(|account| format!("{:?}", account.status).to_lowercase() != "closed");
    (
        open.count(),
        subaccounts.len(),
        sandbox.numbers().len(),
        sandbox.numbers_ever_bought().len(),
    )
}

/// Accounts that were ever given a second subaccount or a second number.
pub fn doubles(sandbox: &Sandbox) -> Vec<String> {
    let mut names: Vec<String> = sandbox
        .subaccounts()
        .into_iter()
        .map(|account| account.friendly_name)
        .collect();
    let bought = sandbox.numbers_ever_bought();
    names.extend(
        bought
            .into_iter()
            .map(|number| format!("number of {}", number.account_sid)),
    );
    names.sort();
    names
        .chunk_by(|a, b| a == b)
        .filter(|same| same.len() > 1)
        .map(|same| same[0].clone())
        .collect()
}
