//! No credential opens another tenant's account: every route, two tenants, every kind of credential,
//! every way to name a user.
//!
//! A cross read is looked for by the other tenant's markers in the answer, a cross write in the whole
//! database: the rows of the tenant that the request was not about are the same before and after.

mod callbacks;
mod credentials;
mod routes;
pub mod tenants;

use futures_util::future::join_all;
use rand::seq::IndexedRandom;
use reqwest::Response;

use self::{
    credentials::{Credential, Opens},
    routes::{Naming, Route, Who},
    tenants::{Camera, TENANTS, changed, forget, furnish, strip},
};
use crate::support::{
    proof::{all_held, is_soak},
    source::Source,
    web::Web,
};

/// What must become of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Refused(u16),
    /// It is carried out for this tenant, and for nobody else.
    About(usize),
}

fn expected(route: &Route, credential: &Credential, naming: &Naming, own: usize) -> Expected {
    let named = route.named(naming);
    let index = |who: &Who| if *who == Who::Own { own } else { 1 - own };
    match (&credential.opens, named.as_slice()) {
        (Opens::Nothing, _) => Expected::Refused(401),
        (Opens::Scopes(held), _) if !held.iter().any(|scope| scope.covers(route.needs)) => {
            Expected::Refused(403)
        }
        // What users may not do for themselves they may not do for anybody.
        (Opens::Account(_), _) if !route.needs.is_open_to_users() => Expected::Refused(403),
        _ if is_ambiguous(naming) => Expected::Refused(400),
        (_, [_, _, ..]) => Expected::Refused(400),
        (Opens::Scopes(_), []) => Expected::Refused(400),
        (Opens::Scopes(_), [who]) => Expected::About(index(who)),
        (Opens::Account(account), []) => Expected::About(*account),
        (Opens::Account(account), [who]) if index(who) == *account => Expected::About(*account),
        (Opens::Account(_), [_]) => Expected::Refused(403),
    }
}

/// Whether one header or parameter stands twice with two users, wherever the operation looks.
fn is_ambiguous(naming: &Naming) -> bool {
    naming.iter().enumerate().any(|(at, (way, who))| {
        naming[..at]
            .iter()
            .any(|(before, other)| before == way && other != who)
    })
}

/// Requests at a time.
const AT_ONCE: usize = 16;

/// The ways to name the user. In the short form what is refused whoever is named is tried as a client would do it.
fn namings_of(route: &Route, credential: &Credential, own: usize) -> Vec<Naming> {
    let plain = route.named_plainly();
    let opens_nothing = match expected(route, credential, &plain, own) {
        Expected::Refused(401) => true,
        Expected::Refused(403) => matches!(credential.opens, Opens::Scopes(_)),
        _ => false,
    };
    match opens_nothing && !is_soak() {
        true => vec![plain],
        false => route.namings(),
    }
}

/// In the short form the plain one, and one more, drawn anew: a write costs two looks at all there is.
fn some_of(namings: Vec<Naming>, plain: &Naming) -> Vec<Naming> {
    if is_soak() {
        return namings;
    }
    let drawn = namings.choose(&mut rand::rng()).cloned();
    let mut some: Vec<Naming> = namings.into_iter().filter(|one| one == plain).collect();
    some.extend(drawn.filter(|drawn| drawn != plain));
    some
}

/// What is wrong with the cells that were looked at, and how many those were.
struct Matrix {
    web: Web,
    camera: Camera,
    cells: usize,
    faults: Vec<String>,
}

impl Matrix {
    fn cell(&mut self, fault: Option<String>) {
        self.cells += 1;
        self.faults.extend(fault);
    }

    /// All cells of one route and tenant.
    async fn ask(&mut self, route: &Route, credentials: &[&Credential], own: usize) {
        let namings = |credential: &&Credential| namings_of(route, credential, own);
        let all = credentials.iter().map(|one| (*one, namings(one)));
        let is_about = |credential: &Credential, naming: &Naming| {
            let expected = expected(route, credential, naming, own);
            matches!(expected, Expected::About(_))
        };
        let (mut writes, mut others) = (Vec::new(), Vec::new());
        for (credential, namings) in all {
            let (allowed, rest): (Vec<_>, Vec<_>) = namings
                .into_iter()
                .partition(|naming| route.is_write() && is_about(credential, naming));
            others.extend(rest.into_iter().map(|naming| (credential, naming)));
            let drawn = some_of(allowed, &route.named_plainly());
            writes.extend(drawn.into_iter().map(|naming| (credential, naming)));
        }

        // Refused or only read: nobody's rows change.
        let before = self.picture().await;
        for some in others.chunks(AT_ONCE) {
            let faults = some.iter().map(|(credential, naming)| {
                answer_fault(&self.web, route, credential, naming, own)
            });
            for fault in join_all(faults).await {
                self.cell(fault);
            }
        }
        let changed = changed(&before, &self.picture().await);
        if !changed.is_empty() {
            self.faults
                .push(format!("{}: changed {changed:?}", route.id));
        }

        for (credential, naming) in writes {
            let fault = self.write_fault(route, credential, &naming, own).await;
            self.cell(fault);
        }
    }

    /// A write that is allowed changes rows of its own tenant, and of nobody else.
    async fn write_fault(
        &self,
        route: &Route,
        credential: &Credential,
        naming: &Naming,
        own: usize,
    ) -> Option<String> {
        let Expected::About(about) = expected(route, credential, naming, own) else {
            return Some("not a write".into());
        };
        let tenant = &TENANTS[about];
        if route.is_order() {
            strip(&self.web.service, tenant).await;
        }
        forget(&self.web.service, tenant).await;
        let before = self.picture().await;
        let fault = answer_fault(&self.web, route, credential, naming, own).await;
        let changed = changed(&before, &self.picture().await);
        strip(&self.web.service, tenant).await;
        furnish(&self.web.service, tenant).await;
        let is_its_own = !changed.is_empty() && changed.iter().all(|(owner, _)| owner == tenant.id);
        let crossed = format!(
            "{} {} {naming:?}: changed {changed:?}",
            route.id, credential.name
        );
        fault.or((!is_its_own).then_some(crossed))
    }

    async fn picture(&self) -> tenants::Picture {
        self.camera.picture(&self.web.service.db).await
    }
}

/// Ask, and say what is wrong with the answer.
async fn answer_fault(
    web: &Web,
    route: &Route,
    credential: &Credential,
    naming: &Naming,
    own: usize,
) -> Option<String> {
    let expected = expected(route, credential, naming, own);
    let about = match expected {
        Expected::About(about) => about,
        Expected::Refused(_) => own,
    };
    let mut request = route.request(web, naming, own, about);
    if !credential.text.is_empty() {
        request = request.bearer_auth(&credential.text);
    }
    let (status, text) = whole(request.send().await.unwrap()).await;
    let traces = TENANTS.each_ref().map(|tenant| tenant.trace_in(&text));
    let is_right = match expected {
        Expected::Refused(refusal) => status == refusal && traces == [None, None],
        Expected::About(_) if route.asks_twilio() => status == 503 && traces == [None, None],
        Expected::About(about) => {
            (200..300).contains(&status) && traces[about].is_some() && traces[1 - about].is_none()
        }
    };
    let cell = format!(
        "{} of {}, {}, {naming:?}",
        route.id, TENANTS[own].id, credential.name
    );
    (!is_right).then(|| format!("{cell}: {expected:?}, but {status} with {traces:?}: {text}"))
}

/// Status, and headers and body as one text.
async fn whole(response: Response) -> (u16, String) {
    let (status, headers) = (
        response.status().as_u16(),
        format!("{:?}", response.headers()),
    );
    (status, headers + &response.text().await.unwrap())
}

#[tokio::test]
async fn no_credential_reads_or_writes_another_tenants_account() {
    let web = tenants::house().await;
    let camera = Camera::new(&web.service.db).await;
    let shared = credentials::of_the_house(&web.service).await;
    let routes = routes::served(&web).await;
    let mut matrix = Matrix {
        web,
        camera,
        cells: 0,
        faults: Vec::new(),
    };
    for route in routes {
        for own in [0, 1] {
            let of_user = credentials::of_a_user(own);
            let credentials: Vec<_> = shared.iter().chain(&of_user).collect();
            matrix.ask(&route, &credentials, own).await;
        }
    }
    callbacks::ask(&mut matrix, &shared).await;

    for fault in matrix.faults.iter().take(40) {
        println!("{fault}");
    }
    let held = matrix.cells.saturating_sub(matrix.faults.len());
    all_held(
        "isolation",
        held,
        "route x tenant x credential",
        matrix.cells,
    );
}

/// The matrix reads its routes from the specification and from the receiver's table. A route that is
/// in neither would be in no cell: it is found here, in the code.
#[test]
fn every_route_there_is_stands_in_the_matrix() {
    let mut operations = 0;
    for source in Source::all() {
        let code = source.code();
        if !source.is_under("src/http") || source.path == "src/http/layers.rs" {
            continue;
        }
        operations += code.matches("method = \"").count();
        for (at, call) in [".at(", ".nest("]
            .iter()
            .flat_map(|call| code.match_indices(call))
        {
            let argument = code[at + call.len()..].trim_start();
            let path = argument
                .strip_prefix('"')
                .map(|rest| rest.split('"').next().unwrap());
            let is_known = match path {
                Some("/" | "/api") => true,
                Some(path) => callbacks::OPEN.contains(&path),
                None => {
                    callbacks::TABLES.contains(&source.path.as_str())
                        && argument.starts_with("path,")
                }
            };
            assert!(
                is_known,
                "{}: a route that no cell asks: {call}{path:?}",
                source.path
            );
        }
    }
    let committed = include_str!("../../../../openapi.json");
    assert_eq!(
        committed.matches("\"operationId\"").count(),
        operations,
        "an operation is hidden"
    );
}
