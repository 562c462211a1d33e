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
        caller.require(scope)?;
        if let Principal::User {
            account_id,
            email: own,
        } = caller.principal()
        {
            // Counted before anything is looked up for them.
            let account = caller.account(scope, None, missing_user)?;
            let is_own = own
                .as_ref()
                .is_some_and(|own| own.eq_ignore_ascii_case(email))
                || self
                    .by_email(email)
                    .await?
                    .iter()
                    .any(|found| found == account_id.as_str());
            // Whose any other address is, and whether it is anybody's, is told to apps alone.
            return match is_own {
                true => Ok(account),
                false => Err(Problem::not_your_own()),
            };
        }
        let found = self.by_email(email).await?;
        match found.as_slice() {
            [] => caller.account(scope, Some(&unknown(email)), missing_user),
            [only] => caller.account(scope, Some(only), missing_user),
            _ => Err(Problem::bad_request(
                "AMBIGUOUS_EMAIL",
                "Several users have this address: name the user by userId",
            )),
        }
    }

    async fn by_email(&self, email: &str) -> Result<Vec<String>, Problem> {
        if email.len() > EMAIL_LENGTH_MAX || email.chars().any(char::is_control) {
            return Err(Problem::bad_request(
                "INVALID_EMAIL",
                "email is not an e-mail address",
            ));
        }
        let mut conn = self.pool.acquire().await?;
        Ok(accounts::by_email(&mut conn, email).await?)
    }
}

/// The account of an address that nobody is known by. Its digest: an id stands in logs. Once the address is known to
/// be a user's, it leads to that user, and what was counted for the address alone stays with it.
fn unknown(email: &str) -> String {
    let digest = Sha256::digest(email.to_lowercase());
    format!("email:{}", hex::encode(&digest[..16]))
}
