//! Named places at which a test ends the process as kill -9 would, to see that nothing is lost or
//! done twice. In a build without the feature `crash-points` there is nothing of it.

#[cfg(feature = "crash-points")]
mod points;

#[cfg(all(feature = "crash-points", not(debug_assertions)))]
compile_error!("crash points are for tests: a build to be used has none");

#[cfg(feature = "crash-points")]
pub use points::{Armed, place, point, within};

/// Every kind of place, in the order in which a webhook, its job and its effects pass them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Of the receiver, for each kind of webhook in the group: stored, and not yet for good.
    BeforeStored,
    /// Committed, and not yet acknowledged.
    Stored,
    /// Of the timetable, for each entry that is due.
    BeforeTicked,
    Ticked,
    /// Waiting jobs whose time had come are ready.
    Promoted,
    /// Claimed, and not through the start gate.
    Claimed,
    Started,
    /// Around every commit of a run, by its place in the code.
    BeforeCommit,
    Committed,
    /// After an effect of a run that is no commit of its own, said in words.
    Done,
    /// Of the journal, for each kind of effect: it is to be looked for, and nothing is sent.
    Planned,
    /// The row says that the request left, and it has not.
    WrittenAhead,
    /// The request is carried out and answered; the row does not know.
    Answered,
    /// A failure is recorded.
    Failed,
    /// A success is recorded.
    Recorded,
    /// The run ended, and its job does not know.
    Ended,
    /// The end is written.
    Acknowledged,
    /// The runs of dead workers are taken back.
    Swept,
    BeforeGivenBack,
    /// What a stopping worker had claimed is given back.
    GivenBack,
}

impl Moment {
    pub const ALL: [Moment; 20] = [
        Moment::BeforeStored,
        Moment::Stored,
        Moment::BeforeTicked,
        Moment::Ticked,
        Moment::Promoted,
        Moment::Claimed,
        Moment::Started,
        Moment::BeforeCommit,
        Moment::Committed,
        Moment::Done,
        Moment::Planned,
        Moment::WrittenAhead,
        Moment::Answered,
        Moment::Failed,
        Moment::Recorded,
        Moment::Ended,
        Moment::Acknowledged,
        Moment::Swept,
        Moment::BeforeGivenBack,
        Moment::GivenBack,
    ];
}

/// Passes nothing.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point<S>(_: Moment, _: S) {}

/// Nowhere.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn place() -> &'static str {
    ""
}

/// The run itself.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn within<F>(_: &str, _: &str, run: F) -> F {
    run
}
