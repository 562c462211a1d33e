//! The client of the mail server: one mail, one connection, one answer. The only code that knows SMTP.
//!
//! A mail has no idempotency: who got no answer cannot ask what became of it. So a repeat is the same mail
//! to the last byte (`Message-ID`, `Date`), by which a reader's program can know it. What a server says is
//! never passed on but for its numbers: it may quote the address.

mod answer;
mod letter;
mod server;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use lettre::{
    Address,
    message::Mailbox,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use secrecy::ExposeSecret;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use self::{
    answer::{at_the_end, later, refused_or_later},
    letter::{address, mailbox},
};
use crate::config::MailConfig;

pub use answer::MailError;
pub use letter::{Letter, is_mailbox};
pub use server::{Security, Server};

/// How long a server may take for its farewell: the mail is accepted by then.
const FAREWELL: Duration = Duration::from_secs(2);
/// One in so many of the lane's slots is for mails, at most: a server that hangs leaves the others alone.
const PART_OF_LANE: usize = 4;

/// One for each process; clones share it.
#[derive(Clone)]
pub struct Mailer {
    shared: Arc<Shared>,
}

struct Shared {
    server: Server,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    timeout: Duration,
    places: Arc<Semaphore>,
    /// Made for the first mail: most processes send none.
    tls: OnceLock<TlsParameters>,
}

/// A mail that is on its way.
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Mailer {
    /// `slots` is how many jobs of the lane run at once. The error names the setting that does not fit.
    pub fn new(config: &MailConfig, slots: usize) -> Result<Mailer, String> {
        let server = Server::parse(config.server.expose_secret());
        let server = server.map_err(|why| format!("SMTP_URL: {why}"))?;
        let named = |name: &str, text: &str| {
            mailbox(text).ok_or_else(|| format!("{name}: is not an e-mail address"))
        };
        let reply_to = config.reply_to.as_deref();
        let shared = Shared {
            server,
            from: named("EMAIL_FROM", &config.from)?,
            reply_to: reply_to
                .map(|text| named("EMAIL_REPLY_TO", text))
                .transpose()?,
            timeout: config.timeout,
            places: Arc::new(Semaphore::new((slots / PART_OF_LANE).max(1))),
            tls: OnceLock::new(),
        };
        Ok(Mailer {
            shared: Arc::new(shared),
        })
    }

    /// A place for a mail, held until it is dropped. None: as many as may be are on their way.
    pub fn admit(&self) -> Option<Place> {
        let permit = self.shared.places.clone().try_acquire_owned();
        permit.ok().map(|_permit| Place { _permit })
    }

    /// Send it once. Ok: the server has accepted it, and delivers it or tells the sender.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), MailError> {
        let to = address(letter.to).ok_or_else(|| MailError::Refused {
            why: "the address is none that mail can be sent to".to_owned(),
        })?;
        let Shared {
            from,
            reply_to,
            timeout: limit,
            ..
        } = &*self.shared;
        let message = letter.message(from, reply_to.as_ref(), &to)?;
        let mut conn = within(*limit, self.shared.begin(to)).await?;
        let handed_over = timeout(*limit, conn.message(&message)).await;
        let outcome = match handed_over {
            Ok(answer) => answer.map(drop).map_err(|error| at_the_end(&error)),
            Err(_) => Err(MailError::Unknown {
                why: "no answer in time",
            }),
        };
        if outcome.is_ok() {
            // Accepted is accepted, whatever it says now.
            let _ = timeout(FAREWELL, conn.quit()).await;
        }
        outcome
    }
}

impl Shared {
    /// To the point at which the server waits for the mail itself.
    async fn begin(&self, to: Address) -> Result<AsyncSmtpConnection, MailError> {
        let mut conn = self.connect().await?;
        let sender = Mail::new(Some(self.from.email.clone()), Vec::new());
        // Whoever the mail is for, it is refused alike: a matter of the settings.
        let answer = conn.command(sender).await;
        answer.map_err(|error| later("refuses the sender (EMAIL_FROM)", &error))?;
        let recipient = conn.command(Rcpt::new(to, Vec::new())).await;
        recipient.map_err(|error| refused_or_later("refuses the address", &error))?;
        let data = conn.command(Data).await;
        data.map_err(|error| refused_or_later("refuses the mail", &error))?;
        Ok(conn)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let Server { host, port, .. } = &self.server;
        let security = self.server.security;
        let from_the_first_byte = match security {
            Security::Wrapped => Some(self.tls()?),
            _ => None,
        };
        // Some servers turn those away who call themselves by an address of their own network.
        let hello = ClientId::Domain(self.from.email.domain().to_owned());
        let address = (host.as_str(), *port);
        let limit = Some(self.timeout);
        let mut conn =
            AsyncSmtpConnection::connect_tokio1(address, limit, &hello, from_the_first_byte, None)
                .await
                .map_err(|error| later("cannot be reached", &error))?;
        let is_needed = security == Security::Required;
        if is_needed || security == Security::Opportunistic && conn.can_starttls() {
            let begun = conn.starttls(self.tls()?, &hello).await;
            begun.map_err(|error| later("does not encrypt (STARTTLS)", &error))?;
        }
        if let Some(login) = &self.server.login {
            let password = login.password.expose_secret().to_owned();
            let user = login.user.expose_secret().to_owned();
            let credentials = Credentials::new(user, password);
            let known = conn.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
            let known = known.await;
            known.map_err(|error| later("refuses the login (SMTP_URL)", &error))?;
        }
        Ok(conn)
    }

    fn tls(&self) -> Result<TlsParameters, MailError> {
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let made = TlsParameters::new(self.server.host.clone());
        let made = made.map_err(|error| later("cannot be asked by TLS", &error))?;
        Ok(self.tls.get_or_init(|| made).clone())
    }
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, MailError>>,
) -> Result<T, MailError> {
    let in_time = timeout(limit, step).await;
    in_time.unwrap_or_else(|_| {
        Err(MailError::TryLater {
            why: "did not answer in time".to_owned(),
        })
    })
}
