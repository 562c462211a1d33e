//! Stand-ins of Stripe, Twilio, VoIP.ms and a speech endpoint: stateful HTTP servers for the demo, for tests, and for whoever
//! wants to see Tollkeeper work without an account anywhere.
//!
//! Real clients talk to them over sockets. They keep the providers' habits that money hangs on
//! (idempotency keys, purchases without any, webhooks twice and out of order), they go wrong by
//! rule, and they keep an account of every effect. Their clock can be moved.

mod audit;
mod books;
mod control;
mod deliveries;
mod faults;
mod front;
mod line;
mod operate;
mod settings;
pub mod speech;
pub mod stripe;
pub mod twilio;
pub mod voipms;
mod wire;
mod world;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    audit::{Call, Effect},
    deliveries::{Delivery, Mischief, MischiefRule, Retries},
    faults::{Fault, Rule, When},
    settings::{Dunning, LastAttempt, Settings, WebhookTarget},
    wire::Provider,
};
use self::{
    faults::Faults,
    front::Front,
    line::{LineAcceptor, Lines},
    speech::Speech,
    stripe::Stripe,
    twilio::Twilio,
    voipms::Voipms,
    world::World,
};
use crate::clock::Clock;

/// How often what fell due is looked for while nobody asks anything.
const TICK: Duration = Duration::from_millis(25);
/// How long a stop waits for calls in progress.
const STOP_AFTER: Duration = Duration::from_millis(500);

/// A running sandbox. Clones are handles to the same one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What the server, the courier and the handles share.
struct Shared {
    world: Mutex<World>,
    clock: Clock,
    receivers_clock: Clock,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .expect("nothing panics while it holds the world")
    }
}

impl Sandbox {
    /// Listen and serve. Fails when the address is taken.
    pub async fn start(settings: Settings) -> io::Result<Sandbox> {
        let lines = Lines::default();
        let acceptor = LineAcceptor::bind(settings.listen, lines.clone()).await?;
        let address = acceptor.address();
        let now = settings.clock.now();
        let (stripe, parcels) = Stripe::new(&settings);
        let twilio = Twilio::new(
            settings.seed ^ 1,
            &settings.twilio_account_sid,
            &settings.twilio_auth_token,
            settings.stock.clone(),
            settings.subaccounts_max,
            now,
        );
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(
                stripe,
                twilio,
                Speech::new(&settings.speech_api_key),
                Voipms::new(
                    &settings.voipms_username,
                    &settings.voipms_password,
                    settings.stock.of_another(),
                ),
                Faults::new(settings.seed ^ 2),
            )),
            receivers_clock: settings
                .receivers_clock
                .unwrap_or_else(|| settings.clock.clone()),
            clock: settings.clock,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let sandbox = Sandbox { shared, address };
        let shared = &sandbox.shared;
        let front = Front {
            sandbox: sandbox.clone(),
            lines,
        };
        let stop = shared.stopping.clone().cancelled_owned();
        shared.tasks.spawn(async move {
            let server = poem::Server::new_with_acceptor(acceptor);
            let ended = server
                .run_with_graceful_shutdown(front, stop, Some(STOP_AFTER))
                .await;
            if let Err(error) = ended {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        });
        shared.tasks.spawn(tick(shared.clone()));
        shared
            .tasks
            .spawn(deliveries::run(shared.clone(), parcels, settings.retries));
        Ok(sandbox)
    }

    /// Stop serving and delivering, and wait for it.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `STRIPE_API_BASE`.
    pub fn stripe_base(&self) -> String {
        format!("http://{}/stripe", self.address)
    }

    /// For `TWILIO_API_BASE`.
    pub fn twilio_base(&self) -> String {
        format!("http://{}/twilio", self.address)
    }

    /// For `SPEECH_API_BASE` and `ANALYSIS_API_BASE`.
    pub fn speech_base(&self) -> String {
        format!("http://{}/speech", self.address)
    }

    /// For `VOIPMS_API_BASE`.
    pub fn voipms_base(&self) -> String {
        format!("http://{}/voipms/rest.php", self.address)
    }
}

/// Time passes, whether somebody asks or not.
async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = ticks.tick() => {
                let now = shared.clock.now();
                shared.world().catch_up(now);
            }
        }
    }
}
