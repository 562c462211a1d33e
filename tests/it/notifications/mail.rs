//! From the announcement to the customer's mailbox.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use tollkeeper::{config::MailConfig, worker::Register};
use tollkeeper_jobs::{
    AnnounceNotification, NewNotification, NotifyCustomer,
    billing_notices::{
        cancellation_scheduled, downgraded, invoice_upcoming, payment_failed, receipt, trial_ending,
    },
    usage::Span,
};
use uuid::Uuid;

use super::{Teller, threshold};
use crate::support::{
    mail_server::{MailServer, Received},
    service::Service,
    until,
};

pub const ADDRESS: &str = "ann@customers.test";

/// A service that mails to its customers, and its mail server.
pub struct Office {
    pub teller: Teller,
    pub server: Arc<MailServer>,
}

impl Office {
    pub async fn new() -> Office {
        Office::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut MailConfig)) -> Office {
        let server = MailServer::start().await;
        let mut mail = MailConfig {
            server: server.url().into(),
            from: "Billing <billing@example.org>".to_owned(),
            reply_to: None,
            timeout: std::time::Duration::from_secs(30),
        };
        change(&mut mail);
        let teller = Teller::with(|config| config.mail = Some(mail)).await;
        teller.has_customer("ann", Some(ADDRESS)).await;
        Office { teller, server }
    }

    /// Announce it, and wait until nothing is left to do.
    pub async fn tell(&self, told: NewNotification) -> Uuid {
        let worker = self.teller.service.work(Register::all());
        let id = self.teller.announce(&[told]).await[0];
        self.teller.service.drain().await;
        worker.stop().await;
        id
    }
}

impl Teller {
    pub async fn has_customer(&self, account_id: &str, email: Option<&str>) {
        let row = "insert into accounts (account_id, email) values ($1, $2)
                   on conflict (account_id) do update set email = excluded.email";
        let row = sqlx::query(row).bind(account_id).bind(email);
        row.execute(&self.service.db).await.unwrap();
    }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn trial() -> NewNotification {
    trial_ending("ann", "sub_1", at("2026-12-03T10:00:00Z"))
}

/// One of each kind that is mailed, and its subject.
fn all_kinds() -> [(NewNotification, &'static str); 6] {
    let (begin, end) = (at("2026-10-20T10:00:00Z"), at("2026-11-20T10:00:00Z"));
    let period = Span {
        starts_at: begin,
        ends_at: end,
    };
    let lines = [("SMS overage: 20 messages @ $0.0075/msg".to_owned(), 15)];
    [
        (trial(), "Your trial ends on 3 December 2026"),
        (
            invoice_upcoming("ann", "sub_1", period, end, 15, "usd", &lines),
            "Your next invoice is due on 20 November 2026",
        ),
        (
            payment_failed("ann", "in_1", 1, 9700, "usd", None, None),
            "Your payment of 97.00 USD failed",
        ),
        (
            receipt("ann", "in_2", Some("AB-1"), 9700, "usd", end, None),
            "Receipt for invoice AB-1",
        ),
        (
            cancellation_scheduled("ann", "sub_1", end),
            "Your subscription ends on 20 November 2026",
        ),
        (
            downgraded("ann", "sub_1", "ai_cto", "ai_secretary", end),
            "Your plan is now AI Secretary",
        ),
    ]
}

#[tokio::test]
async fn each_kind_is_mailed_once_though_announced_twice_and_though_its_jobs_run_twice() {
    let office = Office::new().await;
    let service = &office.teller.service;
    let worker = service.work(Register::all());
    let all = all_kinds().map(|(told, _)| told);

    let ids = office.teller.announce(&all).await;
    let again = office.teller.announce(&all).await;
    service.drain().await;
    for &notification_id in &ids {
        service
            .enqueue(&AnnounceNotification { notification_id })
            .await;
        service.enqueue(&NotifyCustomer { notification_id }).await;
    }
    service.drain().await;
    worker.stop().await;

    assert_eq!((ids.len(), again.len()), (6, 0));
    let received = office.server.received();
    let told = |of: fn(&Received) -> String| {
        let all: Vec<String> = received.iter().map(of).collect();
        assert_eq!(all.len(), 6, "{all:?}");
        all.into_iter().collect::<BTreeSet<String>>()
    };
    let subjects = all_kinds().map(|(_, subject)| subject.to_owned());
    assert_eq!(told(|mail| mail.header("Subject")), subjects.into());
    let message_ids = ids.iter().map(|id| format!("<{id}@example.org>"));
    assert_eq!(
        told(|mail| mail.header("Message-ID")),
        message_ids.collect()
    );
    assert_eq!(told(|mail| mail.to.clone()), [ADDRESS.to_owned()].into());
    let mailed: i64 = service
        .value("select count(*) from notifications where mailed_at is not null")
        .await;
    assert_eq!(mailed, 6);
    let skipped: Vec<String> =
        sqlx::query_scalar("select distinct note from queue.finished_jobs where state = 'skipped'")
            .fetch_all(&service.db)
            .await
            .unwrap();
    assert_eq!(skipped, ["it was mailed before"]);
}

#[tokio::test]
async fn a_mail_says_who_sends_it_to_whom_and_what() {
    let office = Office::with(|mail| mail.reply_to = Some("help@example.org".into())).await;

    office.tell(trial()).await;

    let received = office.server.received();
    assert_eq!(received.len(), 1);
    let mail = &received[0];
    assert_eq!(
        (mail.from.as_str(), mail.to.as_str()),
        ("billing@example.org", ADDRESS)
    );
    assert_eq!(mail.header("From"), "Billing <billing@example.org>");
    assert_eq!(mail.header("To"), ADDRESS);
    assert_eq!(mail.header("Reply-To"), "help@example.org");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("Content-Type"), "text/plain; charset=utf-8");
    let sent_at = DateTime::parse_from_rfc2822(&mail.header("Date")).unwrap();
    let age = office.teller.service.ctx.clock.now() - sent_at.to_utc();
    assert!(age.num_minutes() < 10, "{age}");
    assert_eq!(
        mail.body(),
        "Your trial ends on 3 December 2026, 10:00 UTC.\n\n\
         Your paid subscription begins then. If you do not want it, cancel before that.\n"
    );
}

#[tokio::test]
async fn nobody_is_mailed_without_a_mail_server() {
    let teller = Teller::new().await;
    teller.has_customer("ann", Some(ADDRESS)).await;
    let app = teller.app(&[]).await;
    let worker = teller.service.work(Register::all());

    teller.announce(&all_kinds().map(|(told, _)| told)).await;
    teller.service.drain().await;
    worker.stop().await;

    assert_eq!(app.subscriber.told().len(), 6, "apps are told by webhook");
    let jobs: i64 = teller
        .service
        .value(
            "select (select count(*) from queue.jobs) +
                    (select count(*) from queue.finished_jobs where kind = 'notify_customer')",
        )
        .await;
    assert_eq!(jobs, 0);
}

#[tokio::test]
async fn apps_are_told_the_same_whether_or_not_the_customer_is() {
    let office = Office::new().await;
    let app = office.teller.app(&["trial.ending"]).await;

    office.tell(trial()).await;

    assert_eq!(office.server.received().len(), 1);
    let told = app.subscriber.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].json()["data"], trial().data);
}

#[tokio::test]
async fn what_has_no_text_or_is_nobodys_is_not_mailed() {
    let office = Office::new().await;
    let nobodys = NewNotification {
        account_id: String::new(),
        ..trial()
    };

    office.tell(threshold(80)).await;
    office.tell(nobodys).await;

    assert_eq!(office.server.received(), []);
    let notes: Vec<String> = sqlx::query_scalar("select note from queue.finished_jobs")
        .fetch_all(&office.teller.service.db)
        .await
        .unwrap();
    assert_eq!(notes, ["nobody wants it", "nobody wants it"]);
}

#[tokio::test]
async fn a_customer_without_an_address_is_told_nothing_and_it_says_so() {
    let office = Office::new().await;
    for email in [None, Some("")] {
        office.teller.has_customer("ben", email).await;
        let of_ben = NewNotification {
            account_id: "ben".into(),
            occasion: format!("{email:?}"),
            ..trial()
        };
        office.tell(of_ben).await;
    }
    let of_nobody_known = NewNotification {
        account_id: "carl".into(),
        ..trial()
    };
    office.tell(of_nobody_known).await;

    assert_eq!(office.server.received(), []);
    let skipped: i64 = office
        .teller
        .service
        .value(
            "select count(*) from queue.finished_jobs where kind = 'notify_customer'
             and state = 'skipped' and note = 'no address of the account is known'",
        )
        .await;
    assert_eq!(skipped, 3);
}

#[tokio::test]
async fn what_a_provider_writes_into_a_name_adds_no_header_and_ends_no_mail() {
    let office = Office::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let number = "1\r\nBcc: all@example.com\r\n\r\nA body";
    let url = "https://a.test/\r\n.\r\nMAIL FROM:<x@y.test>";
    let evil = receipt("ann", "in_1", Some(number), 1, "usd", now, Some(url));
    let plain = receipt("ann", "in_2", Some("1"), 1, "usd", now, None);

    office.tell(plain).await;
    office.tell(evil).await;

    let received = office.server.received();
    assert_eq!(received.len(), 2);
    let names = |at: usize| {
        let headers = received[at].headers().into_iter();
        headers.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(1), names(0));
    let subject = "Receipt for invoice 1 Bcc: all@example.com A body";
    assert_eq!(received[1].header("Subject"), subject);
    assert!(
        received[1]
            .body()
            .ends_with("a.test/ . MAIL FROM:<x@y.test>\n"),
        "{}",
        received[1].body()
    );
}

#[tokio::test]
async fn a_login_is_told_to_the_server_as_the_url_has_it() {
    let server = MailServer::start().await;
    let url = server.url_of("ann%40example.org:p%2F%3F%23%20w@");
    let office = Office::with(|mail| mail.server = url.into()).await;

    office.tell(trial()).await;

    assert_eq!(server.received().len(), 1);
    assert_eq!(server.logins(), ["ann@example.org p/?# w"]);
}

/// A worker that is started before its settings have a mail server leaves the mail to one that has it.
#[tokio::test]
async fn a_worker_without_a_mail_server_leaves_the_mail_to_another() {
    let office = Office::new().await;
    let service = &office.teller.service;
    let without = Service {
        ctx: tollkeeper::context::Context {
            mailer: None,
            ..service.ctx.clone()
        },
        db: service.db.clone(),
    };
    let id = office.teller.announce(&[trial()]).await[0];
    service
        .enqueue(&NotifyCustomer {
            notification_id: id,
        })
        .await;

    let worker = without.work(Register::all());
    until("the mail was tried without a server", async || {
        let tried =
            "select count(*) from queue.jobs where kind = 'notify_customer' and failures > 0";
        service.value::<i64>(tried).await == 1
    })
    .await;
    worker.stop().await;
    let worker = service.work(Register::all());
    service.drain().await;
    worker.stop().await;

    assert_eq!(office.server.received().len(), 1);
}
