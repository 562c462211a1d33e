//! What a service key may be used for.

use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    SubscriptionRead,
    TelephonyRead,
    TelephonyWrite,
    UsageWrite,
    UsageAdmin,
    /// Everything, and whatever is added later.
    All,
}

impl Scope {
    pub const ALL: [Scope; 6] = [
        Scope::SubscriptionRead,
        Scope::TelephonyRead,
        Scope::TelephonyWrite,
        Scope::UsageWrite,
        Scope::UsageAdmin,
        Scope::All,
    ];

    /// As stored with the key and as written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::SubscriptionRead => "subscription:read",
            Scope::TelephonyRead => "telephony:read",
            Scope::TelephonyWrite => "telephony:write",
            Scope::UsageWrite => "usage:write",
            Scope::UsageAdmin => "usage:admin",
            Scope::All => "*",
        }
    }

    /// Whether holding this scope allows what `asked` stands for.
    pub fn covers(self, asked: Scope) -> bool {
        self == Scope::All || self == asked
    }

    /// Whether a user may do this for themselves. They may report what they used, as their apps do with their
    /// token: it makes their own bill longer, never shorter. What makes it shorter is for apps alone.
    pub fn is_open_to_users(self) -> bool {
        matches!(
            self,
            Scope::SubscriptionRead
                | Scope::TelephonyRead
                | Scope::TelephonyWrite
                | Scope::UsageWrite
        )
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        Scope::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| {
                let known = Scope::ALL.map(Scope::as_str).join(", ");
                format!("there is no scope {text:?}; the scopes are {known}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_from_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("telephony".parse::<Scope>().is_err());
    }

    #[test]
    fn only_the_star_covers_another_scope() {
        assert!(Scope::All.covers(Scope::UsageAdmin));
        assert!(Scope::TelephonyRead.covers(Scope::TelephonyRead));
        assert!(!Scope::TelephonyWrite.covers(Scope::TelephonyRead));
        assert!(!Scope::TelephonyRead.covers(Scope::All));
    }
}
