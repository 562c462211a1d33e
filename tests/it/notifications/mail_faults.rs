//! What becomes of a mail that the server does not take, or does not say it took.

use std::{collections::BTreeSet, time::Duration};

use tollkeeper::{queue::operate, worker::Register};
use tollkeeper_jobs::{NewNotification, billing_notices::payment_failed};
use uuid::Uuid;

use super::{
    BY,
    mail::{ADDRESS, Office, trial},
};
use crate::support::{
    mail_server::{Does, MailServer, Step},
    until,
};

impl Office {
    /// How the job ended, or how it stands.
    async fn job(&self) -> (String, String, i32) {
        sqlx::query_as(
            "select state, coalesce(note, ''), attempt from queue.jobs where kind = 'notify_customer'
             union all
             select state, coalesce(note, ''), attempt from queue.finished_jobs where kind = 'notify_customer'",
        )
        .fetch_one(&self.teller.service.db)
        .await
        .unwrap()
    }

    async fn open_findings(&self) -> Vec<(String, String, String)> {
        sqlx::query_as(
            "select kind, account_id, detail ->> 'why' from findings where closed_at is null",
        )
        .fetch_all(&self.teller.service.db)
        .await
        .unwrap()
    }

    /// Tell it while the server goes wrong at a step, until it was come to so often; then it is well.
    async fn tell_through(&self, told: NewNotification, step: Step, does: Does, times: usize) {
        self.server.at(step, does);
        let worker = self.teller.service.work(Register::all());
        self.teller.announce(&[told]).await;
        let before = self.server.count(step);
        until("it went wrong often enough", async || {
            self.server.count(step) >= before + times
        })
        .await;
        self.server.recover();
        self.teller.service.drain().await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_refused_address_is_asked_once_and_a_person_is_told() {
    for (step, says, why) in [
        (
            Step::Recipient,
            "550 5.1.1 <ann@customers.test>: no such user",
            "the server refuses the address: 550 5.1.1",
        ),
        (
            Step::Data,
            "554 no valid recipients",
            "the server refuses the mail: 554",
        ),
        (
            Step::End,
            "552-5.3.4 too large\r\n552 5.3.4 for ann@customers.test",
            "the server refuses the mail: 552 5.3.4",
        ),
    ] {
        let office = Office::new().await;
        office.server.at(step, Does::Says(says));

        office.tell(trial()).await;

        assert_eq!(office.server.count(Step::Recipient), 1);
        let why = why.to_owned();
        assert_eq!(
            office.open_findings().await,
            [("customer_mail_refused".into(), "ann".into(), why.clone())]
        );
        let refused = format!("the mail is refused: {why}");
        let (state, note, attempts) = office.job().await;
        assert_eq!((state.as_str(), attempts), ("dead", 1));
        assert!([why, refused].contains(&note), "{note}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_asking() {
    let office = Office::new().await;
    let address = "ann@customers.test>\r\nRCPT TO:<ben@customers.test";
    office.teller.has_customer("ann", Some(address)).await;

    office.tell(trial()).await;

    assert_eq!(office.server.count(Step::Greeting), 0);
    assert_eq!(office.open_findings().await.len(), 1);
    assert_eq!(office.job().await.0, "dead");
}

#[tokio::test]
async fn once_the_address_is_right_an_operator_sends_the_mail_and_the_finding_closes() {
    let office = Office::new().await;
    let service = &office.teller.service;
    office.server.knows_not("ann@typo.test");
    office
        .teller
        .has_customer("ann", Some("ann@typo.test"))
        .await;
    office.tell(trial()).await;
    assert_eq!(office.open_findings().await.len(), 1);

    office.teller.has_customer("ann", Some(ADDRESS)).await;
    let job_id: Uuid = service.value("select id from queue.jobs").await;
    let mut conn = service.db.acquire().await.unwrap();
    operate::retry(&mut conn, job_id, BY).await.unwrap();
    let worker = service.work(Register::all());
    service.drain().await;
    worker.stop().await;

    assert_eq!(office.server.received().len(), 1);
    assert_eq!(office.server.received()[0].to, ADDRESS);
    assert_eq!(office.open_findings().await, []);
    assert_eq!(office.job().await.0, "done");
}

#[tokio::test]
async fn a_server_that_wants_it_later_gets_it_later() {
    for (step, says) in [
        (Step::Greeting, "421 4.3.2 busy"),
        (Step::Hello, "421 4.7.0 later"),
        (Step::Sender, "451 4.3.0 later"),
        (Step::Recipient, "450 4.2.0 greylisted"),
        (Step::Data, "451 4.3.0 later"),
        (Step::End, "452 4.3.1 full"),
    ] {
        let office = Office::new().await;

        office
            .tell_through(trial(), step, Does::Says(says), 3)
            .await;

        let (state, _, attempts) = office.job().await;
        assert_eq!(state, "done", "{step:?}");
        assert!(attempts >= 4, "{step:?}: {attempts}");
        assert_eq!(office.open_findings().await, [], "{step:?}");
        assert!(!office.server.received().is_empty());
    }
}

/// What the server has against us is in the settings: no customer's address is to blame.
#[tokio::test]
async fn a_server_that_refuses_us_refuses_no_customer() {
    for (step, says, note) in [
        (
            Step::Greeting,
            "554 5.7.1 go away",
            "cannot be reached: 554 5.7.1",
        ),
        (
            Step::Login,
            "535 5.7.8 wrong password",
            "refuses the login (SMTP_URL): 535 5.7.8",
        ),
        (
            Step::Sender,
            "553 5.7.1 not your address",
            "refuses the sender (EMAIL_FROM): 553 5.7.1",
        ),
        (
            Step::Recipient,
            "530 5.7.0 who are you?",
            "refuses the address: 530 5.7.0",
        ),
    ] {
        let server = MailServer::start().await;
        let url = server.url_of("ann:secret@");
        let mut office = Office::with(|mail| mail.server = url.into()).await;
        office.server = server;
        office.server.at(step, Does::Says(says));
        let service = &office.teller.service;

        let worker = service.work(Register::all());
        office.teller.announce(&[trial()]).await;
        until("it was tried twice", async || {
            service
                .value::<i64>("select count(*) from queue.jobs where kind = 'notify_customer' and failures >= 2")
                .await
                == 1
        })
        .await;
        let note_now: String = service
            .value("select note from queue.jobs where kind = 'notify_customer'")
            .await;
        office.server.recover();
        service.drain().await;
        worker.stop().await;

        assert_eq!(note_now, format!("the mail server {note}"));
        assert_eq!(office.job().await.0, "done");
        assert_eq!(office.open_findings().await, [], "{step:?}");
    }
}

#[tokio::test]
async fn a_server_that_must_encrypt_and_does_not_is_told_nothing() {
    let server = MailServer::start().await;
    let url = server.url_of("ann:secret@");
    for (url, why) in [
        (
            url.replace("tls=none", "tls=required"),
            "does not encrypt (STARTTLS): it does not offer that",
        ),
        (
            url.replace("smtp:", "smtps:").replace("?tls=none", ""),
            "cannot be reached: its certificate or its TLS does not fit",
        ),
    ] {
        let office = Office::with(|mail| mail.server = url.into()).await;
        let service = &office.teller.service;
        let worker = service.work(Register::all());

        office.teller.announce(&[trial()]).await;
        until("it was tried twice", async || {
            let tried = "select count(*) from queue.jobs where failures >= 2";
            service.value::<i64>(tried).await == 1
        })
        .await;
        worker.stop().await;

        let (_, note, _) = office.job().await;
        assert_eq!(note, format!("the mail server {why}"));
    }
    assert_eq!(server.count(Step::Login) + server.count(Step::Sender), 0);
}

#[tokio::test]
async fn a_mail_whose_answer_is_lost_is_the_same_mail_again() {
    let office = Office::new().await;

    office
        .tell_through(trial(), Step::End, Does::BreaksOff, 2)
        .await;

    let received = office.server.received();
    assert!(received.len() >= 3, "{}", received.len());
    let messages: BTreeSet<&str> = received.iter().map(|mail| mail.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "the same to the last byte: {messages:?}");
    assert_eq!(office.job().await.0, "done");
}

#[tokio::test]
async fn a_server_that_breaks_off_before_is_asked_again() {
    let steps = [
        Step::Greeting,
        Step::Hello,
        Step::Sender,
        Step::Recipient,
        Step::Data,
    ];
    for step in steps {
        let office = Office::new().await;

        office.tell_through(trial(), step, Does::BreaksOff, 2).await;

        assert_eq!(office.job().await.0, "done", "{step:?}");
        assert_eq!(office.server.received().len(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_left_and_asked_again() {
    for step in [Step::Greeting, Step::Recipient, Step::End] {
        let office = Office::with(|mail| mail.timeout = Duration::from_millis(200)).await;
        let service = &office.teller.service;
        office.server.at(step, Does::Hangs);
        let worker = service.work(Register::all());

        office.teller.announce(&[trial()]).await;
        until("it was tried twice", async || {
            let tried =
                "select count(*) from queue.jobs where kind = 'notify_customer' and failures >= 2";
            service.value::<i64>(tried).await == 1
        })
        .await;
        let (_, note, _) = office.job().await;
        worker.stop().await;

        let expected = match step {
            Step::End => "the mail server left the outcome open: no answer in time",
            _ => "the mail server did not answer in time",
        };
        assert_eq!(note, expected, "{step:?}");
    }
}

/// It took the mail: that it does not say goodbye is its own matter.
#[tokio::test]
async fn a_mail_that_was_taken_is_not_sent_again_for_a_farewell_that_never_comes() {
    let office = Office::new().await;
    office.server.at(Step::Farewell, Does::BreaksOff);

    office.tell(trial()).await;

    assert_eq!(office.server.received().len(), 1);
    assert_eq!(office.job().await.0, "done");
}

#[tokio::test]
async fn a_server_that_hangs_keeps_no_other_work_waiting() {
    let server = MailServer::start().await;
    server.at(Step::Greeting, Does::Hangs);
    let teller = super::Teller::with(|config| {
        config.worker.default = 8;
        config.worker.account_max = 8;
        config.worker.drain = Duration::from_millis(10);
        config.mail = Some(tollkeeper::config::MailConfig {
            server: server.url().into(),
            from: "billing@example.org".into(),
            reply_to: None,
            // So long that no mail ends within the test.
            timeout: Duration::from_secs(600),
        });
    })
    .await;
    teller.has_customer("ann", Some(ADDRESS)).await;
    let app = teller.app(&[]).await;
    let worker = teller.service.work(Register::all());

    let many: Vec<NewNotification> = (0..20)
        .map(|attempt| payment_failed("ann", "in_1", attempt, 1, "usd", None, None))
        .collect();
    teller.announce(&many).await;
    until("the app was told everything, beside a mail", async || {
        app.subscriber.told().len() == 20 && server.count(Step::Greeting) > 0
    })
    .await;
    worker.stop().await;

    assert!(server.count(Step::Greeting) <= 2, "a quarter of the lane");
}
