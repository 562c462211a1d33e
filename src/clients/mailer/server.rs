//! The mail server, as `SMTP_URL` says: `smtps://user:password@host:port`, or `smtp://…?tls=…`.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use secrecy::SecretString;

const SUBMISSIONS_PORT: u16 = 465;
const SUBMISSION_PORT: u16 = 587;

#[derive(Debug, Clone)]
pub struct Server {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<Login>,
}

#[derive(Debug, Clone)]
pub struct Login {
    pub user: SecretString,
    pub password: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Wrapped,
    /// STARTTLS, or nothing is sent.
    Required,
    /// STARTTLS where the server offers it: no defence against who sits in between.
    Opportunistic,
    None,
}

impl Server {
    /// The error says what is wrong, and nothing of the URL.
    pub fn parse(url: &str) -> Result<Server, &'static str> {
        let url = Url::parse(url).map_err(|_| "is not a URL, as in smtps://user:password@host")?;
        let security = security(&url)?;
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("names no host");
        }
        if !["", "/"].contains(&url.path()) || url.fragment().is_some() {
            return Err(
                "has more than a host and a port: write / and # in a password as %2F and %23",
            );
        }
        let login = login(&url)?;
        let is_open = matches!(security, Security::None | Security::Opportunistic);
        if login.is_some() && is_open && !is_loopback(&host) {
            return Err(
                "would send the password unencrypted: use smtps://, or smtp:// with ?tls=required",
            );
        }
        let port_default = match security {
            Security::Wrapped => SUBMISSIONS_PORT,
            _ => SUBMISSION_PORT,
        };
        Ok(Server {
            host,
            port: url.port().unwrap_or(port_default),
            security,
            login,
        })
    }
}

fn security(url: &Url) -> Result<Security, &'static str> {
    let asked: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let tls = match asked.as_slice() {
        [] => None,
        [(name, tls)] if name == "tls" => Some(tls.as_str()),
        _ => return Err("has a parameter other than tls: write ? in a password as %3F"),
    };
    match (url.scheme(), tls) {
        ("smtps", None | Some("required")) => Ok(Security::Wrapped),
        ("smtps", _) => Err("has tls=, which is for smtp:// alone: smtps:// is always encrypted"),
        ("smtp", None | Some("required")) => Ok(Security::Required),
        ("smtp", Some("opportunistic")) => Ok(Security::Opportunistic),
        ("smtp", Some("none")) => Ok(Security::None),
        ("smtp", _) => Err("has a tls= that is none of required, opportunistic and none"),
        _ => Err("begins with neither smtps:// nor smtp://"),
    }
}

fn login(url: &Url) -> Result<Option<Login>, &'static str> {
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| "has a user or a password that is not UTF-8")
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", _) | (_, None | Some("")) => {
            Err("has a user without a password, or a password without a user")
        }
        (user, Some(password)) => Ok(Some(Login {
            user: decoded(user)?.into(),
            password: decoded(password)?.into(),
        })),
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check(url: &str, host: &str, port: u16, security: Security) -> Server {
        let server = Server::parse(url).unwrap();
        assert_eq!(
            (server.host.as_str(), server.port, server.security),
            (host, port, security),
            "{url}"
        );
        server
    }

    #[test]
    fn a_server_is_encrypted_unless_it_is_said_that_it_is_not() {
        use Security::*;
        check("smtps://mail.example.com", "mail.example.com", 465, Wrapped);
        check("smtps://m.test:2465/?tls=required", "m.test", 2465, Wrapped);
        check("smtp://mail.example.com", "mail.example.com", 587, Required);
        check("smtp://m.test:25?tls=required", "m.test", 25, Required);
        check(
            "smtp://m.test?tls=opportunistic",
            "m.test",
            587,
            Opportunistic,
        );
        check("smtp://relay:25?tls=none", "relay", 25, None);
        check("smtp://[::1]:25?tls=none", "::1", 25, None);
    }

    #[test]
    fn a_password_may_hold_any_character() {
        let url = "smtps://ann%40example.com:p%2F%3F%23%20%C3%A9+@mail.example.com";
        let login = Server::parse(url).unwrap().login.unwrap();
        assert_eq!(login.user.expose_secret(), "ann@example.com");
        assert_eq!(login.password.expose_secret(), "p/?# é+");
    }

    #[test]
    fn a_password_goes_unencrypted_to_this_machine_alone() {
        for host in [
            "localhost",
            "LocalHost:25",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]:25",
        ] {
            for tls in ["none", "opportunistic"] {
                let url = format!("smtp://ann:secret@{host}?tls={tls}");
                assert!(Server::parse(&url).is_ok(), "{url}");
            }
        }
        for host in [
            "mail.example.com",
            "10.0.0.1",
            "localhost.example.com",
            "[::2]",
        ] {
            for tls in ["none", "opportunistic"] {
                let url = format!("smtp://ann:secret@{host}?tls={tls}");
                let why = Server::parse(&url).unwrap_err();
                assert!(why.contains("unencrypted"), "{url}: {why}");
            }
            assert!(Server::parse(&format!("smtp://ann:secret@{host}")).is_ok());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "",
            "mail.example.com",
            "https://mail.example.com",
            "smtp://",
            "smtps://:465",
            "smtp://m.test?tls=maybe",
            "smtps://m.test?tls=none",
            "smtp://m.test?tsl=none",
            "smtp://m.test?tls=none&tls=required",
            "smtp://m.test/name",
            "smtp://m.test#part",
            "smtps://ann@m.test",
            "smtps://:secret@m.test",
            "smtps://ann:%FF@m.test",
            "smtps://m.test:65536",
        ] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }
}
