//! The receiver's cells: a callback opens the account whose token signed it and no other, a credential
//! of the API opens none, and what anybody may ask tells nothing of anybody.

use futures_util::{StreamExt, stream};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tollkeeper::{
    http::receiver,
    signature::{stripe, twilio},
};

use super::{
    Matrix,
    credentials::{Credential, Opens, of_a_user},
    tenants::{TENANTS, VOIPMS_TOKEN, changed},
    whole,
};
use crate::support::{
    proof::size,
    web::{STRIPE_SECRET, Web},
};

/// What anybody may ask; nothing of any tenant is in the answers.
pub const OPEN: [&str; 7] = [
    "/api/phone/health",
    "/health",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
];
/// Where the receiver's table becomes routes.
pub const TABLES: [&str; 3] = [
    "src/http/receiver/stripe.rs",
    "src/http/receiver/twilio.rs",
    "src/http/receiver/voipms.rs",
];
const MASTER: &str = "AC00000000000000000000000000000001";
const MASTER_TOKEN: &str = "a-made-up-token";
const NOBODY: &str = "ACffffffffffffffffffffffffffffffff";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Becomes {
    Refused,
    /// Stored; Twilio's under the account that signed it.
    Stored(Option<&'static str>),
}

struct Call {
    name: String,
    request: RequestBuilder,
    becomes: Becomes,
}

/// The calls to make. Each carries its own mark, by which its row is found.
struct Calls<'a> {
    web: &'a Web,
    all: Vec<Call>,
}

pub async fn ask(matrix: &mut Matrix, shared: &[Credential]) {
    let mut calls = Calls {
        web: &matrix.web,
        all: Vec::new(),
    };
    let mut open = Vec::new();
    for own in [0, 1] {
        let users = of_a_user(own);
        let credentials: Vec<&Credential> = shared.iter().chain(&users).collect();
        for path in OPEN.into_iter().chain(["/"]) {
            for credential in credentials.iter().filter(|one| is_worth_a_try(one)) {
                open.push(open_fault(&matrix.web, path, credential).await);
            }
        }
        for (number, path) in receiver::paths().enumerate() {
            for credential in credentials.iter().filter(|one| is_worth_a_try(one)) {
                calls.with_credential(&path, own, credential);
            }
            if path.contains("voipms") {
                calls.of_voipms(&path, own);
            } else if path.contains("stripe") {
                calls.of_stripe(&path, own);
            } else {
                for method in size(vec![Method::POST], vec![Method::POST, Method::GET]) {
                    calls.of_twilio(&path, number, own, method);
                }
            }
        }
    }
    let calls = calls.all;
    open.into_iter().for_each(|fault| matrix.cell(fault));
    judge(matrix, calls).await;
}

/// In the short form one of each kind is enough: the receiver looks at none of them.
fn is_worth_a_try(credential: &Credential) -> bool {
    let is_good = !matches!(&credential.opens, Opens::Nothing);
    let is_typical = ["none", "key *", "own token"].contains(&credential.name.as_str());
    size(is_typical, is_good || is_typical)
}

async fn open_fault(web: &Web, path: &str, credential: &Credential) -> Option<String> {
    let request = web.get(path).bearer_auth(&credential.text);
    let (status, text) = whole(request.send().await.unwrap()).await;
    let traces = TENANTS.each_ref().map(|tenant| tenant.trace_in(&text));
    let is_right = status == 200 && traces == [None, None];
    (!is_right).then(|| format!("{path} with {}: {status}, {traces:?}", credential.name))
}

impl Calls<'_> {
    /// Whether a row is this call's own can be read off it.
    fn mark(&self) -> String {
        format!("cell-{:06}", self.all.len())
    }

    fn add(&mut self, name: String, request: RequestBuilder, becomes: Becomes) {
        self.all.push(Call {
            name,
            request,
            becomes,
        });
    }

    /// A callback without a signature, with a credential of the API in its place.
    fn with_credential(&mut self, path: &str, own: usize, credential: &Credential) {
        let target = target(path, own, "not-the-token");
        let params = [
            ("AccountSid", TENANTS[own].subaccount),
            ("Cell", &self.mark()),
        ];
        let request = self
            .web
            .post(&target)
            .bearer_auth(&credential.text)
            .form(&params);
        self.add(
            format!("{path}, {} of {own}", credential.name),
            request,
            Becomes::Refused,
        );
    }

    fn of_twilio(&mut self, path: &str, number: usize, own: usize, method: Method) {
        let (mine, other) = (&TENANTS[own], &TENANTS[1 - own]);
        let number = number * 2 + usize::from(method == Method::GET);
        let (to_own, to_other) = (target(path, own, ""), target(path, 1 - own, ""));
        let stored = Becomes::Stored(Some(mine.subaccount));
        let refused = Becomes::Refused;
        let to_named = if to_own == to_other { stored } else { refused };
        for (name, to, sids, token, becomes) in [
            (
                "signed by its own",
                &to_own,
                vec![mine.subaccount],
                mine.token,
                stored,
            ),
            (
                "named otherwise by the path",
                &to_other,
                vec![mine.subaccount],
                mine.token,
                to_named,
            ),
            (
                "signed by the other",
                &to_own,
                vec![mine.subaccount],
                other.token,
                refused,
            ),
            (
                "signed by the master",
                &to_own,
                vec![mine.subaccount],
                MASTER_TOKEN,
                refused,
            ),
            ("as the master", &to_own, vec![MASTER], mine.token, refused),
            ("as nobody", &to_own, vec![NOBODY], mine.token, refused),
            (
                "as both",
                &to_own,
                vec![other.subaccount, mine.subaccount],
                mine.token,
                refused,
            ),
            ("unsigned", &to_own, vec![mine.subaccount], "", refused),
        ] {
            let mark = self.mark();
            // The same call for both tenants: nobody's callback hides another's. A path that names
            // nobody takes two in from each, and a copy would not be stored.
            let first = if name == "signed by its own" {
                "0"
            } else {
                "f"
            };
            let call = format!("CA{first}{number:031x}");
            let mut params: Vec<(String, String)> = sids
                .iter()
                .map(|sid| ("AccountSid".to_owned(), sid.to_string()))
                .collect();
            params.extend(
                [
                    ("CallSid", call),
                    ("CallStatus", "ringing".into()),
                    ("Cell", mark),
                ]
                .map(|(name, value)| (name.to_owned(), value)),
            );
            let request = signed(self.web, &method, to, &params, token);
            self.add(
                format!("{method} {path}, {name}, of {own}"),
                request,
                becomes,
            );
        }
    }

    fn of_stripe(&mut self, path: &str, own: usize) {
        let now = self.web.service.ctx.clock.now().timestamp();
        for (name, secret, becomes) in [
            ("signed", STRIPE_SECRET, Becomes::Stored(None)),
            ("signed by another", "whsec_another", Becomes::Refused),
        ] {
            let customer = format!("cus_{}", TENANTS[own].id);
            let event = json!({
                "id": format!("evt_{}", self.mark()), "type": "customer.subscription.updated",
                "data": { "object": { "id": format!("sub_{}", TENANTS[own].id), "customer": customer } },
            });
            let body = event.to_string();
            let signature = stripe::sign(secret, body.as_bytes(), now);
            let request = self
                .web
                .post(path)
                .header("stripe-signature", signature)
                .body(body);
            self.add(format!("{path}, {name}, of {own}"), request, becomes);
        }
    }

    fn of_voipms(&mut self, path: &str, own: usize) {
        for (name, token, becomes) in [
            ("with its token", VOIPMS_TOKEN, Becomes::Stored(None)),
            ("with another token", "another", Becomes::Refused),
        ] {
            let mark = self.mark();
            let mut query = vec![
                ("from", "+15005550006"),
                ("to", TENANTS[own].number),
                ("message", &mark),
            ];
            if !path.ends_with(":token") {
                query.push(("token", token));
            }
            let request = self.web.get(&target(path, own, token)).query(&query);
            self.add(format!("{path}, {name}, of {own}"), request, becomes);
        }
    }
}

fn target(path: &str, own: usize, token: &str) -> String {
    path.replace(":user_id", TENANTS[own].id)
        .replace(":token", token)
}

fn signed(
    web: &Web,
    method: &Method,
    to: &str,
    params: &[(String, String)],
    token: &str,
) -> RequestBuilder {
    let base = &web.service.ctx.config.public_base_url;
    let is_get = *method == Method::GET;
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish();
    let to = if is_get {
        format!("{to}?{query}")
    } else {
        to.to_owned()
    };
    let signature = match token {
        "" => String::new(),
        // A query is part of the URL that is signed.
        token if is_get => twilio::sign(token, &format!("{base}{to}"), &[]),
        token => twilio::sign(token, &format!("{base}{to}"), params),
    };
    let request = if is_get {
        web.get(&to)
    } else {
        web.post(&to).form(params)
    };
    request.header("x-twilio-signature", signature)
}

/// Make the calls, then look what each has left behind.
async fn judge(matrix: &mut Matrix, calls: Vec<Call>) {
    let before = matrix.picture().await;
    let mut expected = Vec::new();
    let mut requests = Vec::new();
    for call in calls {
        expected.push((call.name, call.becomes));
        requests.push(call.request);
    }
    let answers: Vec<(u16, String)> = stream::iter(requests)
        .map(async |request| whole(request.send().await.unwrap()).await)
        .buffered(16)
        .collect()
        .await;
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select endpoint, coalesce(headers ->> 'target', '') || convert_from(body, 'UTF8') from webhooks",
    )
    .fetch_all(&matrix.web.service.db)
    .await
    .unwrap();

    for (number, ((name, becomes), (status, text))) in expected.iter().zip(&answers).enumerate() {
        let mark = format!("cell-{number:06}");
        let row = rows.iter().find(|(_, text)| text.contains(&mark));
        let is_right = match (becomes, row) {
            (Becomes::Refused, None) => (400..500).contains(status),
            (Becomes::Stored(None), Some(_)) => *status == 200,
            (Becomes::Stored(Some(sid)), Some((endpoint, _))) => *status == 200 && endpoint == sid,
            _ => false,
        };
        let traces = TENANTS.each_ref().map(|tenant| tenant.trace_in(text));
        let fault = (!is_right || traces != [None, None])
            .then(|| format!("{name}: {becomes:?}, but {status}, {traces:?}, stored {row:?}"));
        matrix.cell(fault);
    }
    let mut changed = changed(&before, &matrix.picture().await);
    // Signed events lead to jobs, each in the turn of the account whose customer the event names.
    changed.retain(|(owner, table)| !owner.is_empty() && table != "queue.jobs");
    if !changed.is_empty() {
        matrix.faults.push(format!("callbacks changed {changed:?}"));
    }
    let strangers: i64 = sqlx::query_scalar(
        "select count(*) from queue.jobs job
         left join webhooks webhook on webhook.id::text = job.payload ->> 'webhook_id'
         where job.kind = 'handle_stripe_event' and job.account_id <> ''
           and coalesce(strpos(convert_from(webhook.body, 'UTF8'), 'cus_' || job.account_id), 0) = 0",
    )
    .fetch_one(&matrix.web.service.db)
    .await
    .unwrap();
    if strangers > 0 {
        matrix.faults.push(format!(
            "{strangers} events became jobs of another's account"
        ));
    }
}
