//! The first argument of every API operation: nothing else of a request is read before it.

use std::{collections::BTreeSet, sync::Arc};

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{AccountId, Authenticator, Principal, Scope};
use crate::http::{
    problem::Problem,
    rate_limits::{Class, Tally},
};

const SCHEME: &str = "key_or_token";
const USER_HEADER: &str = "x-user-id";
/// The second is what clients of the phone system call it.
const USER_PARAMETERS: [&str; 2] = ["userId", "clientId"];

/// Who asks, and the user named in the `X-User-Id` header.
pub struct Caller {
    principal: Principal,
    named_by_header: Option<String>,
    /// One header or parameter twice, with two users: whoever reads the first and whoever reads the
    /// last would not mean the same one.
    is_ambiguous: bool,
    tally: Arc<Tally>,
}

impl Caller {
    /// The account this request is about. It is the user's own, or the one an app names (in
    /// `named`, from the path, the query or the body, or in `X-User-Id`).
    ///
    /// 403 without the scope or for another user's account; 429 when the caller has used up what
    /// they may ask about it; 400 with `missing` when an app names nobody.
    pub fn account(
        &self,
        scope: Scope,
        named: Option<&str>,
        missing: impl FnOnce() -> Problem,
    ) -> Result<AccountId, Problem> {
        self.require(scope)?;
        let named = named.filter(|text| !text.is_empty());
        let by_header = self.named_by_header.as_deref();
        let differ = |(one, other)| one != other;
        if self.is_ambiguous || named.zip(by_header).is_some_and(differ) {
            return Err(Problem::bad_request(
                "CONFLICTING_USER_IDS",
                "The request names different users",
            ));
        }
        let named = named.or(by_header);
        let account = match &self.principal {
            Principal::Service { .. } => named.ok_or_else(missing).and_then(|named| {
                AccountId::parse(named).map_err(|why| Problem::bad_request("INVALID_USER_ID", why))
            }),
            Principal::User { account_id, .. }
                if named.is_none_or(|id| id == account_id.as_str()) =>
            {
                Ok(account_id.clone())
            }
            Principal::User { .. } => {
                return Err(Problem::not_your_own());
            }
        };
        // A request that names nobody counts against the asker alone.
        self.count(account.as_ref().ok(), Class::Api)?;
        account
    }

    /// Count an order that may buy telephony: 429 when the caller has used up theirs. To be asked
    /// before anything is written.
    pub fn count_order(&self, account: &AccountId) -> Result<(), Problem> {
        self.count(Some(account), Class::Phone)
    }

    /// Count a question about bills: 429 when the caller has used up theirs.
    pub fn count_billing(&self, account: &AccountId) -> Result<(), Problem> {
        self.count(Some(account), Class::Billing)
    }

    /// Whether the `X-User-Id` header names a user.
    pub fn is_named_by_header(&self) -> bool {
        self.named_by_header.is_some()
    }

    /// Whether it is an app that asks: what it says about its users is believed.
    pub fn is_service(&self) -> bool {
        matches!(self.principal, Principal::Service { .. })
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    fn count(&self, account: Option<&AccountId>, class: Class) -> Result<(), Problem> {
        self.tally.count(&self.principal, account, class)
    }

    /// 403 without the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        let is_allowed = match &self.principal {
            Principal::Service { scopes, .. } => scopes.iter().any(|held| held.covers(scope)),
            Principal::User { .. } => scope.is_open_to_users(),
        };
        if is_allowed {
            return Ok(());
        }
        Err(Problem::forbidden(
            "MISSING_SCOPE",
            format!("This needs a key with the scope {scope}"),
        ))
    }
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "A service key (`tk_live_…`) or a user's JWT. A service key names the user it \
                     acts for in the request's own parameter or in the `X-User-Id` header; a JWT \
                     sees its own account only.",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Caller> {
        let authenticator = request
            .data::<Arc<Authenticator>>()
            .expect("the API's routes carry their authenticator");
        let tally = request
            .data::<Arc<Tally>>()
            .expect("the API's requests carry their tally");
        let principal = authenticator.authenticate(request.headers()).await?;
        Ok(Caller {
            principal,
            named_by_header: user_header(request)?,
            is_ambiguous: names_two_users(request),
            tally: tally.clone(),
        })
    }
}

fn user_header(request: &Request) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(USER_HEADER) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        Problem::bad_request("INVALID_USER_ID", "The X-User-Id header is not UTF-8")
    })?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn names_two_users(request: &Request) -> bool {
    let headers: BTreeSet<_> = request.headers().get_all(USER_HEADER).iter().collect();
    let query = request.uri().query().unwrap_or_default();
    let parameters: BTreeSet<_> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| USER_PARAMETERS.contains(&&**name))
        .map(|(_, user)| user)
        .collect();
    headers.len() > 1 || parameters.len() > 1
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(account_id: &str) -> Principal {
        let account_id = AccountId::parse(account_id).unwrap();
        Principal::User {
            account_id,
            email: None,
        }
    }

    fn app(scope: Scope) -> Principal {
        Principal::Service {
            key_id: Uuid::nil(),
            app: "crm".to_owned(),
            scopes: vec![scope],
        }
    }

    /// `header` and `named` may be empty; the answer is the account or the code of the refusal.
    fn check(principal: Principal, header: &str, named: &str, expected: Result<&str, &str>) {
        let named_by_header = (!header.is_empty()).then(|| header.to_owned());
        let caller = Caller {
            principal,
            named_by_header,
            is_ambiguous: false,
            tally: Arc::default(),
        };
        let missing = || Problem::bad_request("MISSING_PARAMETER", "userId is required");

        let found = caller.account(Scope::TelephonyRead, Some(named), missing);

        assert_eq!(
            found.as_ref().map(AccountId::as_str).map_err(|p| p.code),
            expected
        );
    }

    #[test]
    fn a_user_has_their_own_account_and_no_other() {
        check(user("a"), "", "", Ok("a"));
        check(user("a"), "a", "a", Ok("a"));
        check(user("a"), "", "b", Err("FORBIDDEN"));
        check(user("a"), "b", "", Err("FORBIDDEN"));
        check(user("a"), "b", "a", Err("CONFLICTING_USER_IDS"));
    }

    #[test]
    fn an_app_names_the_user_it_acts_for() {
        check(app(Scope::TelephonyRead), "", "b", Ok("b"));
        check(app(Scope::All), "b", "", Ok("b"));
        check(app(Scope::All), "", "", Err("MISSING_PARAMETER"));
        check(app(Scope::All), "", "b\n", Err("INVALID_USER_ID"));
        check(app(Scope::TelephonyWrite), "", "b", Err("MISSING_SCOPE"));
    }
}
