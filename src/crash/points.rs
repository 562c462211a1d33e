//! The points of a test build.
//!
//! The folder that `TOLLKEEPER_CRASH_FOLDER` names holds the order and the record: `armed` says which
//! point is to end the process, as [`Armed`] writes it; an order for one crash is used up by it and
//! becomes `struck`. `reached` has a line for every point that was passed.

use std::{
    fmt::{self, Display},
    fs::{self, OpenOptions},
    io::Write,
    panic::Location,
    path::PathBuf,
    sync::LazyLock,
};

use super::Moment;

static FOLDER: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("TOLLKEEPER_CRASH_FOLDER").map(PathBuf::from));

/// An order to crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// The whole name of a point, as `reached` has it.
    pub point: String,
    /// Only in a run for this account; any when absent.
    pub account_id: Option<String>,
    /// Every time it is passed, not only the first.
    pub is_lasting: bool,
}

impl fmt::Display for Armed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let often = if self.is_lasting { "always" } else { "once" };
        let account_id = self.account_id.as_deref().unwrap_or("*");
        write!(to, "{often}\n{account_id}\n{}", self.point)
    }
}

impl Armed {
    /// What [`Armed`] wrote.
    pub fn parse(text: &str) -> Option<Armed> {
        let [often, account_id, point] =
            text.splitn(3, '\n').collect::<Vec<_>>().try_into().ok()?;
        Some(Armed {
            point: point.to_owned(),
            account_id: (account_id != "*").then(|| account_id.to_owned()),
            is_lasting: often == "always",
        })
    }

    /// Whether it is about this point in a run for this account.
    pub fn is_for(&self, point: &str, account_id: &str) -> bool {
        self.point == point
            && self
                .account_id
                .as_deref()
                .is_none_or(|own| own == account_id)
    }
}

tokio::task_local! {
    /// The kind and the account of the run.
    static RUN: (String, String);
}

/// What is passed inside of `run` is passed by a run of that kind for that account.
pub fn within<F: Future>(
    kind: &str,
    account_id: &str,
    run: F,
) -> impl Future<Output = F::Output> + use<F> {
    RUN.scope((kind.to_owned(), account_id.to_owned()), run)
}

/// Where the caller stands in the code.
#[track_caller]
pub fn place() -> &'static Location<'static> {
    Location::caller()
}

/// Pass a point: it is noted, and the end of the process if it is armed.
///
/// Its name is the moment, what it is about, and the kind of the run it is passed in.
pub fn point<S: Display>(moment: Moment, subject: S) {
    let Some(folder) = &*FOLDER else { return };
    let (kind, account_id) = RUN.try_with(Clone::clone).unwrap_or_default();
    let mut parts = vec![format!("{moment:?}"), subject.to_string(), kind];
    parts.retain(|part| !part.is_empty());
    let name = parts.join(" ");
    note(folder.join("reached"), &name);
    let order = fs::read_to_string(folder.join("armed")).unwrap_or_default();
    let Some(armed) = Armed::parse(&order).filter(|armed| armed.is_for(&name, &account_id)) else {
        return;
    };
    // Of two that pass at once only one strikes.
    if armed.is_lasting || fs::rename(folder.join("armed"), folder.join("struck")).is_ok() {
        die();
    }
}

fn note(file: PathBuf, name: &str) {
    let file = OpenOptions::new().create(true).append(true).open(file);
    let noted = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    noted.expect("the test's folder can be written to");
}

/// As the kernel ends a process: no destructor, no answer, nothing flushed.
fn die() -> ! {
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    loop {
        std::thread::park();
    }
}
