//! A mail server: enough of SMTP (RFC 5321) to take mails and remember them, and to go wrong at any step of it
//! as it is told to.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What a client asks, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Greeting,
    Hello,
    Login,
    Sender,
    Recipient,
    Data,
    /// All of the mail is there.
    End,
    Farewell,
}

/// What it does there in the place of its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Says(&'static str),
    Hangs,
    BreaksOff,
}

/// A mail as it came, taken or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub from: String,
    pub to: String,
    /// Header and text, the dots of the protocol removed.
    pub message: String,
}

impl Received {
    /// Lines of the header, those that go on put together.
    pub fn headers(&self) -> Vec<(String, String)> {
        let (header, _) = self.message.split_once("\r\n\r\n").unwrap();
        let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
        let lines = unfolded.split("\r\n");
        let pairs = lines.map(|line| line.split_once(": ").unwrap_or((line, "")));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    pub fn header(&self, name: &str) -> String {
        let mut found = self.headers().into_iter().filter(|(own, _)| own == name);
        let value = found.next().map(|(_, value)| value).unwrap_or_default();
        assert_eq!(found.next(), None, "{name} twice");
        value
    }

    /// As it is read, with `\n` at the ends of lines.
    pub fn body(&self) -> String {
        let (_, body) = self.message.split_once("\r\n\r\n").unwrap();
        let body = body.replace("\r\n", "\n");
        match self.header("Content-Transfer-Encoding").as_str() {
            "7bit" => body,
            "quoted-printable" => unquoted(&body.replace("=\n", "")),
            other => panic!("the text is encoded as {other}"),
        }
    }
}

#[derive(Default)]
pub struct MailServer {
    address: Mutex<Option<SocketAddr>>,
    /// Where it does something else; at all other steps it does its part.
    manners: Mutex<BTreeMap<Step, Does>>,
    /// Refused at [`Step::Recipient`].
    unknown: Mutex<Vec<String>>,
    received: Mutex<Vec<Received>>,
    /// How often each step was come to.
    steps: Mutex<BTreeMap<Step, usize>>,
    logins: Mutex<Vec<String>>,
}

impl MailServer {
    pub async fn start() -> Arc<MailServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(MailServer::default());
        *server.address.lock().unwrap() = Some(listener.local_addr().unwrap());
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = own.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        server
    }

    /// As `SMTP_URL`, without a login.
    pub fn url(&self) -> String {
        self.url_of("")
    }

    /// With `user:password@`.
    pub fn url_of(&self, login: &str) -> String {
        let address = self.address.lock().unwrap().unwrap();
        format!("smtp://{login}{address}?tls=none")
    }

    /// From now on.
    pub fn at(&self, step: Step, does: Does) {
        self.manners.lock().unwrap().insert(step, does);
    }

    /// From now on it does its part at every step.
    pub fn recover(&self) {
        self.manners.lock().unwrap().clear();
    }

    /// It takes no mail for this address.
    pub fn knows_not(&self, address: &str) {
        self.unknown.lock().unwrap().push(address.to_owned());
    }

    /// Every mail that came to its end.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn count(&self, step: Step) -> usize {
        let steps = self.steps.lock().unwrap();
        steps.get(&step).copied().unwrap_or_default()
    }

    /// `user password` of each login.
    pub fn logins(&self) -> Vec<String> {
        self.logins.lock().unwrap().clone()
    }

    async fn talk(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        self.answer(&mut stream, Step::Greeting, "220 mail.test at your service")
            .await?;
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = read_line(&mut stream).await?;
            let word = line.split([' ', ':']).next().unwrap_or_default();
            let (step, part) = match word.to_ascii_uppercase().as_str() {
                "EHLO" => (Step::Hello, "250-mail.test\r\n250 AUTH PLAIN".to_owned()),
                "AUTH" => {
                    self.logins.lock().unwrap().push(login(&line));
                    (Step::Login, "235 2.7.0 it is you".to_owned())
                }
                "MAIL" => {
                    from = path(&line);
                    (Step::Sender, "250 2.1.0 ok".to_owned())
                }
                "RCPT" => {
                    to = path(&line);
                    let part = match self.unknown.lock().unwrap().contains(&to) {
                        true => format!("550 5.1.1 <{to}>: no such user here"),
                        false => "250 2.1.5 ok".to_owned(),
                    };
                    (Step::Recipient, part)
                }
                "DATA" => (Step::Data, "354 go on".to_owned()),
                "QUIT" => (Step::Farewell, "221 2.0.0 bye".to_owned()),
                _ => (Step::Hello, "500 5.5.2 what?".to_owned()),
            };
            let is_good = self.answer(&mut stream, step, &part).await?;
            if step == Step::Data && is_good {
                let message = read_message(&mut stream).await?;
                let (from, to) = (from.clone(), to.clone());
                let mail = Received { from, to, message };
                self.received.lock().unwrap().push(mail);
                self.answer(&mut stream, Step::End, "250 2.0.0 taken")
                    .await?;
            }
        }
    }

    /// Whether it went on.
    async fn answer(
        &self,
        stream: &mut BufReader<TcpStream>,
        step: Step,
        part: &str,
    ) -> io::Result<bool> {
        *self.steps.lock().unwrap().entry(step).or_default() += 1;
        let manner = self.manners.lock().unwrap().get(&step).copied();
        let text = match manner {
            None => part,
            Some(Does::Says(text)) => text,
            Some(Does::Hangs) => std::future::pending().await,
            Some(Does::BreaksOff) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        Ok(text.starts_with(['2', '3']))
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// Up to the line with nothing but a dot.
async fn read_message(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut message = String::new();
    loop {
        let line = read_line(stream).await?;
        if line == "." {
            return Ok(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        message.push_str("\r\n");
    }
}

/// `MAIL FROM:<a@b>` gives `a@b`.
fn path(line: &str) -> String {
    let path = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    path.unwrap_or_default().0.to_owned()
}

/// `=C2=B9` gives `¹`.
fn unquoted(text: &str) -> String {
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

fn login(line: &str) -> String {
    let encoded = line.split(' ').nth(2).unwrap_or_default();
    let plain = BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8_lossy(&plain).replace('\0', " ");
    text.trim_start().to_owned()
}
