//! Nothing secret, no number, no address and no text of a person leaves the place it belongs in.
//!
//! Every input carries a canary: the settings, each header, path, parameter and field of a request,
//! what the providers answer. Afterwards they are searched for in every log line, on the pages of
//! figures and in every column of every table.

mod app;
mod customer;
mod nest;
mod senders;

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::PgPool;
use tollkeeper::{
    cli::keys,
    http::auth::Scope,
    sandbox::{Sandbox, Settings},
};

use self::{nest::Nest, senders::Senders};
use crate::support::{
    cluster,
    mail_server::MailServer,
    process::{Process, Program},
    proof::{all_held, size},
    tables, until,
};

/// Where something of it may be, and why.
const ALLOWED: [(&str, &str, &str); 8] = [
    (
        "public.webhooks",
        "body",
        "the webhook as it was signed, kept whole for the jobs that read it",
    ),
    (
        "public.accounts",
        "email",
        "what the account is reached by; it is the fact, not a copy",
    ),
    (
        "public.phone_numbers",
        "phone_number",
        "the number that is bought; it is the fact, not a copy",
    ),
    (
        "public.phone_numbers",
        "friendly_name",
        "the number as Twilio writes it",
    ),
    (
        "public.phone_numbers",
        "refused",
        "numbers that Twilio would not sell: the next candidate is another",
    ),
    (
        "public.usage_events",
        "metadata",
        "what an app adds to a use, kept as it is for the app",
    ),
    (
        "public.notification_endpoints",
        "url",
        "where an app listens; it is the fact, not a copy",
    ),
    (
        "public.notifications",
        "data",
        "what apps and customers are told, kept as it is for the next attempt",
    ),
];

const SID: &str = "AC00000000000000000000000000000001";

/// The settings of a whole service, a canary in each that is a secret.
fn program(
    database: &sqlx::postgres::PgConnectOptions,
    sandbox: &Sandbox,
    mail: &MailServer,
    nest: &Nest,
) -> Program {
    let login = format!("c4n4ry:{}@", nest.of("the password of the mail server"));
    Program::over(
        &database
            .clone()
            .password(nest.of("the database's password")),
        sandbox,
    )
    .with("STRIPE_SECRET_KEY", nest.of("the key of Stripe"))
    .with(
        "STRIPE_WEBHOOK_SECRET",
        nest.of("the secret of Stripe's webhooks"),
    )
    .with("TWILIO_AUTH_TOKEN", nest.of("the token of Twilio"))
    .with("VOIPMS_CALLBACK_TOKENS", nest.of("the token of VoIP.ms"))
    .with("VOIPMS_USERNAME", nest.of("the account at VoIP.ms"))
    .with("VOIPMS_API_PASSWORD", nest.of("the password of VoIP.ms"))
    .with("ENCRYPTION_KEY", nest.of("the sealing key"))
    .with("JWT_SECRET", nest.of("the secret of tokens"))
    .with("ADMIN_KEY", nest.of("the administrators' key"))
    .with("PROVIDER_QUIET_TIME", "100ms")
    .with("NOTIFY_ALLOW_PRIVATE", "true")
    .with("SMTP_URL", &mail.url_of(&login))
    .with("EMAIL_FROM", "billing@example.org")
}

fn planted() -> Nest {
    let mut nest = Nest::default();
    for (what, text) in [
        ("the database's password", "Pa55word-C4n4ry-of-Postgres"),
        ("the key of Stripe", "sk_test_C4n4ryOfStripe0000000001"),
        (
            "the secret of Stripe's webhooks",
            "whsec_C4n4ryOfWebhooks000000000001",
        ),
        ("the token of Twilio", "ca0000000000000000000000000007a1"),
        ("the token of VoIP.ms", "c4n4ry-of-the-callback-url-0001"),
        ("the account at VoIP.ms", "account@c4n4ry.test"),
        ("the password of VoIP.ms", "Pa55word-C4n4ry-of-VoIP.ms"),
        (
            "the sealing key",
            "ca1100000000000000000000000000000000000000000000000000000000ba5e",
        ),
        (
            "the administrators' key",
            "c4n4ry-of-the-administrators-0001",
        ),
        (
            "the password of the mail server",
            "c4n4ry-of-the-mail-server-0001",
        ),
        (
            "the secret of tokens",
            "a-c4n4ry-that-signs-the-tokens-of-users",
        ),
    ] {
        nest.plant(what, text);
    }
    nest
}

#[tokio::test]
async fn no_canary_is_found_where_it_does_not_belong() {
    let mut nest = planted();
    let sandbox = Sandbox::start(Settings {
        stripe_secret_key: nest.of("the key of Stripe").to_owned(),
        twilio_account_sid: SID.to_owned(),
        twilio_auth_token: nest.of("the token of Twilio").to_owned(),
        voipms_username: nest.of("the account at VoIP.ms").to_owned(),
        voipms_password: nest.of("the password of VoIP.ms").to_owned(),
        ..Settings::default()
    })
    .await
    .unwrap();
    sandbox.add_price("price_repx1", 9700);
    let database = cluster::fresh_database_options().await;
    let db = PgPool::connect_with(database.clone()).await.unwrap();
    let mail = MailServer::start().await;
    // It quotes the address of the second customer as it refuses it.
    mail.knows_not("c4n4ry1@customers.test");
    let program = program(&database, &sandbox, &mail, &nest);
    let mut conn = db.acquire().await.unwrap();
    let key = keys::create(&mut conn, "an app", &[Scope::All], None, chrono::Utc::now())
        .await
        .unwrap();
    drop(conn);
    nest.plant("a service key", key.secret.expose_secret());
    let app = app::register(&db, &mut nest).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut senders = Senders {
        nest,
        sandbox: &sandbox,
        db: &db,
        client: reqwest::Client::new(),
    };
    let mut seen = Seen::default();
    let logged = [("info", "text"), ("debug", "json"), ("trace", "text")];
    for (number, (level, format)) in logged[..size(2, 3)].iter().enumerate() {
        let program = program
            .clone()
            .with("RUST_LOG", level)
            .with("LOG_FORMAT", format);
        let (web, worker) = (program.ready("web").await, program.ready("worker").await);
        provision(&mut senders, &web, number).await;
        senders.send_everything(&web, number).await;
        app::announce(&db, &app, number).await;
        customer::tell(&db, &mail, &mut senders.nest, number).await;
        settled(&db).await;
        seen.look_at(&format!("web, {level}, {format}"), &web).await;
        seen.look_at(&format!("worker, {level}, {format}"), &worker)
            .await;
    }
    let web = program.ready("web").await;
    let secret = senders
        .nest
        .of("the secret of Stripe's webhooks")
        .to_owned();
    sandbox.add_webhook(&format!("http://{}/stripe/webhook", web.address), &secret);
    senders.be_told_off(&program, &mut seen).await;
    let mut nest = senders.nest;
    for (at, account) in sandbox.subaccounts().into_iter().enumerate() {
        nest.plant(
            &format!("the token of subaccount {at}"),
            &account.auth_token,
        );
    }
    for (at, bought) in sandbox.numbers_ever_bought().into_iter().enumerate() {
        nest.plant(&format!("bought number {at}"), &bought.phone_number);
    }

    seen.tables = tables::rows(&db).await;
    let (places, leaks) = seen.search(&nest);
    for leak in &leaks {
        println!("{leak}");
    }
    all_held(
        "places_without_canaries",
        places - leaks.len(),
        "places",
        places,
    );
}

/// All that came out of the service.
#[derive(Default)]
struct Seen {
    /// Log lines and pages of figures, and whose they are.
    texts: Vec<(String, String)>,
    tables: Vec<(String, Value)>,
}

impl Seen {
    /// What a process has logged and counted so far.
    async fn look_at(&mut self, name: &str, process: &Process) {
        let log = process.log();
        assert!(process.is_alive(), "{name} ended: {log}");
        assert!(log.lines().count() > 3, "{name} logged nothing: {log}");
        let (status, page) = process.get("/metrics").await.unwrap();
        assert_eq!(status, 200);
        let lines = log.lines().chain(page.lines());
        self.texts
            .extend(lines.map(|line| (name.to_owned(), line.to_owned())));
    }

    /// How many places were looked at, and what was found where it does not belong.
    fn search(&self, nest: &Nest) -> (usize, BTreeSet<String>) {
        let (mut places, mut leaks) = (0, BTreeSet::new());
        for (name, line) in &self.texts {
            places += 1;
            let found = nest.in_text(line).into_iter();
            leaks.extend(found.map(|what| format!("{what}, {name}: {line:.500}")));
        }
        for (table, row) in &self.tables {
            for (column, value) in row.as_object().unwrap() {
                places += 1;
                let is_here = |(t, c, _): &(&str, &str, &str)| t == table && c == column;
                if !ALLOWED.iter().any(is_here) {
                    let found = nest.in_value(value).into_iter();
                    leaks.extend(
                        found.map(|what| format!("{what}, {table}.{column}: {value:.500}")),
                    );
                }
            }
        }
        (places, leaks)
    }
}

/// A customer signs up and is given a number, through the webhooks of the sandbox.
async fn provision(senders: &mut Senders<'_>, web: &Process, number: usize) {
    let email = senders.nest.plant(
        &format!("e-mail address {number}"),
        &format!("c4n4ry{number}@customers.test"),
    );
    let secret = senders
        .nest
        .of("the secret of Stripe's webhooks")
        .to_owned();
    senders
        .sandbox
        .add_webhook(&format!("http://{}/stripe/webhook", web.address), &secret);
    let account = format!("user-{number}");
    senders.sign_up(&account, &email);
    until("the number is active", async || {
        let active =
            "select exists (select from phone_numbers where account_id = $1 and status = 'active')";
        let active = sqlx::query_scalar(active)
            .bind(&account)
            .fetch_one(senders.db);
        active.await.unwrap()
    })
    .await;
    // And one at VoIP.ms, which is asked what was written to it.
    let did = format!("+1628555{:04}", 1000 + number);
    sqlx::query(
        "insert into phone_numbers (id, account_id, provider, status, phone_number, number_ref, is_included, purchased_at)
         values (gen_random_uuid(), $1, 'voipms', 'active', $2, 'there ' || $1, false, now() - interval '1 hour')",
    )
    .bind(&account)
    .bind(&did)
    .execute(senders.db)
    .await
    .unwrap();
    senders.sandbox.own_did(&did, None);
    senders.sandbox.take_text(&did, "+16285550199", "hello");
    let token = senders.nest.of("the token of VoIP.ms");
    let url = format!("http://{}/webhooks/voipms/sms/{token}", web.address);
    let told = [("from", "+16285550199"), ("to", &did), ("message", "hello")];
    let answer = senders.client.get(url).query(&told).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    until("the message is known", async || {
        let known =
            "select exists (select from messages where account_id = $1 and provider = 'voipms')";
        let known = sqlx::query_scalar(known).bind(&account);
        known.fetch_one(senders.db).await.unwrap()
    })
    .await;
}

async fn settled(db: &PgPool) {
    until("nothing is left to do", async || {
        let left: i64 = sqlx::query_scalar(
            "select count(*) from queue.jobs where state in ('ready', 'running')",
        )
        .fetch_one(db)
        .await
        .unwrap();
        left == 0
    })
    .await;
}
