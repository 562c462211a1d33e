//! Every operation of the API, read from the specification as it is served, and every way in which
//! a request to it can name a user.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tollkeeper::http::auth::Scope;

use super::tenants::TENANTS;
use crate::support::{proof::size, web::Web};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Path,
    Query,
    Body,
    Header,
}

const WAYS: [Way; 4] = [Way::Path, Way::Query, Way::Body, Way::Header];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The tenant the request is about.
    Own,
    Other,
}

/// Who is named, and where. A way that stands twice is given twice.
pub type Naming = Vec<(Way, Who)>;

/// One operation.
#[derive(Debug)]
pub struct Route {
    pub id: String,
    pub method: Method,
    path: String,
    /// Where it looks for its user, as it says itself; the header is looked at everywhere.
    pub read: Vec<Way>,
    body: Option<Value>,
    pub needs: Scope,
    is_read: bool,
}

/// Stands in a body for what belongs to the tenant that is named.
const HOLD: &str = "the tenant's hold";
const EVENT: &str = "the tenant's event";
const NUMBER: &str = "the tenant's number";

/// Operations that are posted and change nothing.
const READS: [&str; 6] = [
    "validateAccess",
    "checkLimits",
    "billingUsageByPost",
    "estimateChange",
    "searchNumbers",
    "searchPhoneNumbers",
];

/// Operations whose answer is Twilio's, who is not there: once it is settled for whom they ask, they are told to come back.
const ASK_TWILIO: [&str; 4] = [
    "searchNumbers",
    "searchPhoneNumbers",
    "searchPhones",
    "phoneDetails",
];

/// Operations that order the telephony a plan includes.
const ORDERS: [&str; 3] = ["provisionTwilio", "provisionSubaccount", "provisionPhone"];

/// What an operation needs that its specification does not say: the scope, and what a good body is.
fn known(operation: &str) -> (Scope, Option<Value>) {
    let order = json!({ "email": "x@example.com", "subscriptionTier": "repx1" });
    match operation {
        "provisionTwilio" => (Scope::TelephonyWrite, Some(order)),
        "twilioConfig" | "subaccount" | "numbers" | "calls" | "messages" | "phoneNumbers"
        | "conversations" => (Scope::TelephonyRead, None),
        "recordings" | "callRecordings" | "phoneCall" | "callTranscription" | "callSummary"
        | "transcriptions" | "transcription" => (Scope::TelephonyRead, None),
        "deleteTranscription" => (Scope::TelephonyWrite, None),
        "subscription" | "usageStats" => (Scope::SubscriptionRead, None),
        "billingUsage" | "billingUsageByPost" | "billingHistory" | "upcomingInvoice" => {
            (Scope::SubscriptionRead, None)
        }
        "estimateChange" => (
            Scope::SubscriptionRead,
            Some(json!({ "target_tier": "repx1" })),
        ),
        "phoneSettings" | "phoneUsageSummary" | "phoneUsageDetails" => (Scope::TelephonyRead, None),
        "putPhoneSettings" => (Scope::TelephonyWrite, Some(json!({ "greeting": "Hello." }))),
        "deletePhoneSettings" => (Scope::TelephonyWrite, None),
        "provisionSubaccount" | "releasePhone" | "makePrimary" => (Scope::TelephonyWrite, None),
        "provisionPhone" => (Scope::TelephonyWrite, Some(json!({}))),
        "purchaseNumber" | "provisionPhoneNumber" => (
            Scope::TelephonyWrite,
            Some(json!({ "phoneNumber": "+14155550177" })),
        ),
        "releaseNumber" => (Scope::TelephonyWrite, Some(json!({ "phoneSid": NUMBER }))),
        "searchNumbers" | "searchPhoneNumbers" => (Scope::TelephonyRead, Some(json!({}))),
        "searchPhones" | "phoneDetails" => (Scope::TelephonyRead, None),
        "validateAccess" => (Scope::SubscriptionRead, Some(json!({ "feature": "calls" }))),
        "checkLimits" => (Scope::SubscriptionRead, Some(json!({}))),
        "trackUsage" | "reserveUsage" => (Scope::UsageWrite, Some(json!({ "feature": "calls" }))),
        "renewReservation" => (
            Scope::UsageWrite,
            Some(json!({ "reservationId": HOLD, "ttlSeconds": 86400 })),
        ),
        "settleReservation" => (
            Scope::UsageWrite,
            Some(json!({ "reservationId": HOLD, "quantity": 1 })),
        ),
        "releaseReservation" => (Scope::UsageWrite, Some(json!({ "reservationId": HOLD }))),
        "correctUsage" => (
            Scope::UsageAdmin,
            Some(json!({ "eventId": EVENT, "reason": "a test" })),
        ),
        "setTimeZone" => (
            Scope::UsageAdmin,
            Some(json!({ "timeZone": "Europe/Berlin" })),
        ),
        "makeCall" | "initiateCall" => (
            Scope::TelephonyWrite,
            Some(json!({ "to": "+14155550177", "message": "hello" })),
        ),
        "sendSms" | "sendPhoneSms" | "sendMessage" => (
            Scope::TelephonyWrite,
            Some(json!({ "to": "+14155550177", "body": "hello", "message": "hello" })),
        ),
        new => {
            panic!("say here which scope the operation {new} needs, and what a good body of it is")
        }
    }
}

/// Every operation. Fails with the name of one that cannot be asked as it wants to be asked.
pub async fn served(web: &Web) -> Vec<Route> {
    let answer = web.get("/openapi.json").send().await.unwrap();
    let spec: Value = answer.json().await.unwrap();
    let mut routes = Vec::new();
    for (path, methods) in spec["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // Knows its callers by a key in the body, and no user at all.
            if operation["operationId"] != "clearCache" {
                routes.push(route(&spec, path, method, operation));
            }
        }
    }
    routes
}

fn route(spec: &Value, path: &str, method: &str, operation: &Value) -> Route {
    let id = operation["operationId"].as_str();
    let id = id
        .unwrap_or_else(|| panic!("{method} {path} has no operation_id"))
        .to_owned();
    let (needs, body) = known(&id);
    let mut read = vec![Way::Header];
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        match (
            parameter["in"].as_str().unwrap(),
            parameter["name"].as_str().unwrap(),
        ) {
            ("path", "user_id") => read.push(Way::Path),
            ("query", "userId") => read.push(Way::Query),
            ("header", "Idempotency-Key") => {}
            // One of the user's numbers: whose it is, is looked at.
            ("path", "number") => {}
            // What is looked for.
            ("query", "phone_number" | "area_code" | "country") => {}
            ("query", "period" | "from" | "to") => {}
            // Of the list that is shown: whose it is, is settled before.
            ("query", "phoneNumber" | "limit" | "cursor" | "offset" | "status") => {}
            ("query", "startDate" | "endDate" | "type") => {}
            // Another word for `userId`, of its own test: `calls_and_messages::usage`.
            ("query", "clientId") => {}
            // Of what is the tenant's.
            ("path", "call_sid" | "transcription_id") => {}
            // Another way to name a user, of its own tests: `usage::access`.
            ("query", "email") => {}
            (place, name) => {
                panic!("{id} takes {name} in its {place}: say here whether that names a user")
            }
        }
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let schema = content.values().next().unwrap()["schema"]["$ref"]
            .as_str()
            .unwrap();
        let schema = &spec["components"]["schemas"][schema.rsplit('/').next().unwrap()];
        assert!(
            body.is_some(),
            "{id} takes a body: say here what a good one is"
        );
        if schema["properties"].get("userId").is_some() {
            read.push(Way::Body);
        }
    }
    Route {
        is_read: method == "get" || READS.contains(&id.as_str()),
        id,
        method: method.to_uppercase().parse().unwrap(),
        path: path.to_owned(),
        read,
        body,
        needs,
    }
}

impl Route {
    pub fn is_write(&self) -> bool {
        !self.is_read
    }

    /// Whether it orders telephony, which has something to do only where there is none.
    pub fn is_order(&self) -> bool {
        ORDERS.contains(&self.id.as_str())
    }

    pub fn asks_twilio(&self) -> bool {
        ASK_TWILIO.contains(&self.id.as_str())
    }

    /// Whom this request names where the operation looks: nobody, one, or both.
    pub fn named(&self, naming: &Naming) -> Vec<Who> {
        let read = || naming.iter().filter(|(way, _)| self.read.contains(way));
        let is_named = |wanted: &Who| read().any(|(_, who)| who == wanted);
        [Who::Own, Who::Other]
            .into_iter()
            .filter(is_named)
            .collect()
    }

    /// The ways to name the tenant, or nobody; alone, together, twice and against each other. In the
    /// short form the ways that the operation does not look at are used one at a time.
    pub fn namings(&self) -> Vec<Naming> {
        let is_free = |way: &Way| *way != Way::Path || self.read.contains(&Way::Path);
        let free: Vec<Way> = WAYS.into_iter().filter(is_free).collect();
        let combined = size(self.read.clone(), free.clone());
        let mut all = combinations(&combined);
        for way in free.iter().filter(|way| !combined.contains(way)) {
            let mut plain = self.named_plainly();
            plain.push((*way, Who::Other));
            all.push(plain);
            all.push(vec![(*way, Who::Own)]);
        }
        for way in [Way::Query, Way::Header] {
            for (one, two) in [
                (Who::Own, Who::Other),
                (Who::Other, Who::Own),
                (Who::Own, Who::Own),
            ] {
                let rest = self
                    .named_plainly()
                    .into_iter()
                    .filter(|(other, _)| *other == Way::Path);
                all.push(rest.chain([(way, one), (way, two)]).collect());
            }
        }
        all.retain(|naming| {
            let has_path = naming.iter().any(|(way, _)| *way == Way::Path);
            let is_about_own = naming.is_empty() || naming.iter().any(|(_, who)| *who == Who::Own);
            is_about_own && has_path == self.read.contains(&Way::Path)
        });
        all
    }

    /// As a client does it.
    pub fn named_plainly(&self) -> Naming {
        let own = self.read.iter().filter(|way| **way != Way::Header);
        own.map(|way| (*way, Who::Own)).collect()
    }

    /// `about` is whose hold, use, call or transcription it is about, where it is about one.
    pub fn request(&self, web: &Web, naming: &Naming, own: usize, about: usize) -> RequestBuilder {
        let id = |who: &Who| match who {
            Who::Own => TENANTS[own].id,
            Who::Other => TENANTS[1 - own].id,
        };
        let of = |wanted: Way| {
            naming
                .iter()
                .filter(move |(way, _)| *way == wanted)
                .map(|(_, who)| id(who))
        };
        let about = &TENANTS[about];
        let number = format!("PN{}", about.id);
        let path = self
            .path
            .replace("{number}", &number)
            .replace("{call_sid}", about.call)
            .replace("{transcription_id}", about.transcription);
        let path = of(Way::Path).fold(path, |path, id| path.replace("{user_id}", id));
        let url = format!("http://{}{path}", web.address);
        let query: Vec<(&str, &str)> = of(Way::Query).map(|id| ("userId", id)).collect();
        let mut request = web.client.request(self.method.clone(), url).query(&query);
        for id in of(Way::Header) {
            request = request.header("x-user-id", id);
        }
        let mut body = self.body.clone();
        for id in of(Way::Body) {
            body.get_or_insert_with(|| json!({}))["userId"] = id.into();
        }
        for (name, placeholder, id) in [
            ("reservationId", HOLD, about.hold),
            ("eventId", EVENT, about.event),
            ("phoneSid", NUMBER, &number),
        ] {
            if let Some(body) = &mut body
                && body[name] == placeholder
            {
                body[name] = id.into();
            }
        }
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    }
}

/// Every way left out, naming the one or naming the other.
fn combinations(ways: &[Way]) -> Vec<Naming> {
    ways.iter().fold(vec![Vec::new()], |all: Vec<Naming>, way| {
        let with = |who| {
            let one_more = (*way, who);
            all.iter()
                .map(move |naming| [naming.clone(), vec![one_more]].concat())
        };
        let (own, other) = (with(Who::Own), with(Who::Other));
        own.chain(other).chain(all.iter().cloned()).collect()
    })
}
