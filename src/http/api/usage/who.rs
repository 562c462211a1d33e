//! Whose usage it is about: by user id, or by e-mail address as older clients name users.

use sha2::{Digest, Sha256};

use super::{super::user_id::UserId, Shared};
use crate::{
    db::accounts,
    http::{
        auth::{AccountId, Caller, Principal, Scope},
        problem::Problem,
    },
};

/// A user as a request names them. The id counts where both are given.
pub struct Who {
    pub user_id: Option<UserId>,
    pub email: Option<String>,
}

const EMAIL_LENGTH_MAX: usize = 320;

fn missing_user() -> Problem {
    Problem::bad_request("MISSING_PARAMETERS", "userId or email is required")
}

impl Shared {
    /// The account a request is about.
    ///
    /// An address that nobody is known by has an account of its own: its use is recorded and limited like that
    /// of any user nobody knows. A user with a token is who they are: any address but their own is refused.
    pub(super) async fn account(
        &self,
        caller: &Caller,
        scope: Scope,
        who: &Who,
    ) -> Result<AccountId, Problem> {
        let named = who.user_id.as_ref().map(|id| id.0.as_str());
        let email = who.email.as_deref().map(str::trim).unwrap_or_default();
        let is_by_email =
            named.is_none_or(str::is_empty) && !caller.is_named_by_header() && !email.is_empty();
        if !is_by_email {
            return caller.account(scope, named, missing_user);
        }
        let found = self.by_email(email).await;
        if let Principal::User { account_id } = caller.principal() {
            // Whose any other address is, and whether it is anybody's, is told to apps alone.
            let is_own = matches!(found, Ok(Some(own)) if own == account_id.as_str());
            return match is_own {
                true => caller.account(scope, None, missing_user),
                false => Err(Problem::not_your_own()),
            };
        }
        // The scope comes first: a key without it learns nothing of addresses.
        let unknown = unknown(email);
        caller.account(scope, Some(&unknown), missing_user)?;
        let named = found?.unwrap_or(unknown);
        caller.account(scope, Some(&named), missing_user)
    }

    async fn by_email(&self, email: &str) -> Result<Option<String>, Problem> {
        if email.len() > EMAIL_LENGTH_MAX || email.chars().any(char::is_control) {
            return Err(Problem::bad_request(
                "INVALID_EMAIL",
                "email is not an e-mail address",
            ));
        }
        let mut conn = self.pool.acquire().await?;
        let mut found = accounts::by_email(&mut conn, email).await?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Problem::bad_request(
                "AMBIGUOUS_EMAIL",
                "Several users have this address: name the user by userId",
            )),
        }
    }
}

/// The account of an address that nobody is known by. Its digest: an id stands in logs.
fn unknown(email: &str) -> String {
    let digest = Sha256::digest(email.to_lowercase());
    format!("email:{}", hex::encode(&digest[..16]))
}
