//! Crash anywhere: whatever place a process dies at, every chapter of a customer's story ends as if
//! it had not.

mod apps;
mod calls;
mod outcome;
mod payments;
mod story;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Mutex,
};

use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tollkeeper::{crash::Moment, worker::Register};
use tollkeeper_jobs::timetable::TIMETABLE;

use crate::support::{
    proof::{all_held, is_soak, seed, size},
    source::Source,
};
use outcome::{Told, Untold};
use story::{CHAPTERS, Chapter, Story};

/// So many stories are told at a time.
const AT_ONCE: usize = 6;
/// A point that chance kept a chapter from passing is tried in so many stories.
const TRIES: usize = 4;
/// Where money is spent: in every run of the tests.
const MONEY_PATH: [(Chapter, &str); 6] = [
    (
        Chapter::SignUp,
        "Answered twilio create_subaccount provision_subaccount",
    ),
    (
        Chapter::SignUp,
        "Answered twilio buy_number provision_number",
    ),
    (
        Chapter::Upkeep,
        "WrittenAhead twilio close_double sweep_provider_resources",
    ),
    (
        Chapter::Cancellation,
        "Stored customer.subscription.deleted",
    ),
    (
        Chapter::Return,
        "Answered twilio set_subaccount_status provision_subaccount",
    ),
    (
        Chapter::Leave,
        "Answered twilio release_number release_number",
    ),
];
/// What the story does not come to: callbacks that say nothing or what is not so, findings, Stripe's no, a subaccount that others took away,
/// recordings that nobody can transcribe or analyse, what the timetable finds of cycles that end a month after it,
/// and an invoice that is looked at before its subscription, which is so by chance. What stands before these commits is
/// in no chapter, or not in each.
const NOT_TOLD: [&str; 19] = [
    "Plan::Ignore => {",
    "&SyncSubscription { subscription_ref }).await?",
    "billing::close(&mut tx, rules, &ids, ctx.clock.now())",
    "Plan::Park(differences)",
    "Plan::Delete(surplus)",
    "charges::take_off(&mut tx",
    "parks::park(",
    "charges::accounts_unfinished(&mut tx",
    "bought_number_lost",
    "/// Its provider knows the number no longer",
    "webhooks::keep(&mut tx",
    "provisioning_refused",
    "findings::open(&mut tx, ORDER_REFUSED",
    "subaccounts::note_status(",
    "it was bought after all",
    "findings::open(&mut tx, REFUSES",
    "recordings::failed(&mut tx",
    "// There will be no analysis",
    "/// No message comes of it",
];

/// What only the end of a cycle comes to, a month after the story: [`super::renewal_crashes`] crashes where a draft is
/// filled, [`super::billing_kills`] anywhere before it.
const A_MONTH_LATER: [&str; 2] = ["attach_charges", "delete_invoice_item"];

type Chapters = BTreeMap<Chapter, Told>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_anywhere_changes_nothing() {
    let mut dice = StdRng::seed_from_u64(seed("crash_anywhere"));
    let (reference, other) = tokio::join!(told(), told());
    for (chapter, told) in &reference {
        assert_eq!(
            told.state, other[chapter].state,
            "{chapter:?} without a crash"
        );
    }
    for told in [&reference, &other] {
        let missing = missing(told);
        assert_eq!(missing, Vec::<String>::new(), "not passed by the story");
    }

    // What passes by chance alone cannot be crashed at for sure.
    let mut points: Vec<(Chapter, String)> = reference
        .iter()
        .flat_map(|(chapter, told)| {
            let both = told.reached.intersection(&other[chapter].reached);
            both.map(|point| (*chapter, point.clone()))
        })
        .collect();
    points.shuffle(&mut dice);
    if !is_soak() {
        // Two in each chapter.
        let of_chance = CHAPTERS[1..].iter().filter_map(|chapter| {
            let mut of_chapter = points.iter().filter(|(of, _)| of == chapter);
            of_chapter.next().cloned()
        });
        let of_chance: Vec<_> = of_chance.collect();
        points = MONEY_PATH
            .map(|(chapter, point)| (chapter, point.to_owned()))
            .to_vec();
        points.extend(of_chance);
    }
    let asked = points.len();

    let plan = Plan::new(points);
    join_all((0..size(2, AT_ONCE)).map(|_| plan.carry_out(&reference))).await;

    let changed = plan.changed.into_inner().unwrap();
    for what in &changed {
        println!("{what}");
    }
    all_held(
        "crash_anywhere",
        asked - changed.len(),
        "crash points",
        asked,
    );
}

/// The story without a crash.
async fn told() -> Chapters {
    let mut story = Story::begin().await;
    let mut chapters = Chapters::new();
    for chapter in CHAPTERS {
        let told = story.tell(chapter, None).await;
        chapters.insert(
            chapter,
            told.unwrap_or_else(|why| panic!("{chapter:?}: {why}")),
        );
    }
    chapters
}

/// The points that are still to be crashed at, and what a crash changed.
struct Plan {
    ahead: Mutex<BTreeMap<Chapter, VecDeque<(String, usize)>>>,
    changed: Mutex<Vec<String>>,
}

impl Plan {
    fn new(points: Vec<(Chapter, String)>) -> Plan {
        let mut ahead: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for (chapter, point) in points {
            ahead.entry(chapter).or_default().push_back((point, 1));
        }
        Plan {
            ahead: Mutex::new(ahead),
            changed: Mutex::default(),
        }
    }

    /// Tell stories, with a crash in every chapter that has a point left, until none has.
    async fn carry_out(&self, reference: &Chapters) {
        while self.is_anything_left() {
            let mut story = Story::begin().await;
            for chapter in CHAPTERS {
                let Some((point, tries)) = self.next(chapter) else {
                    if story.tell(chapter, None).await.is_err() {
                        break;
                    }
                    continue;
                };
                match story.tell(chapter, Some(&point)).await {
                    Ok(told) if told.state == reference[&chapter].state => {}
                    Ok(told) => {
                        let expected = &reference[&chapter].state;
                        self.tell(format!(
                            "{chapter:?}, {point}: {:#?}, not {expected:#?}",
                            told.state
                        ));
                        break;
                    }
                    Err(Untold::NotPassed) if tries < TRIES => {
                        self.again(chapter, point, tries + 1);
                        break;
                    }
                    Err(untold) => {
                        self.tell(format!("{chapter:?}, {point}: {untold}"));
                        break;
                    }
                }
            }
        }
    }

    fn is_anything_left(&self) -> bool {
        let ahead = self.ahead.lock().unwrap();
        ahead.values().any(|points| !points.is_empty())
    }

    fn next(&self, chapter: Chapter) -> Option<(String, usize)> {
        self.ahead.lock().unwrap().get_mut(&chapter)?.pop_front()
    }

    fn again(&self, chapter: Chapter, point: String, tries: usize) {
        let mut ahead = self.ahead.lock().unwrap();
        ahead.entry(chapter).or_default().push_back((point, tries));
    }

    fn tell(&self, what: String) {
        self.changed.lock().unwrap().push(what);
    }
}

/// What the story must pass and does not: a job, an effect, a tick or a commit that is in no chapter
/// would be crashed at by no test.
fn missing(chapters: &Chapters) -> Vec<String> {
    let reached: BTreeSet<&str> = chapters
        .values()
        .flat_map(|told| told.reached.iter().map(String::as_str))
        .collect();
    let mut missing: Vec<String> = Vec::new();
    let mut want = |what: String, is_it: &dyn Fn(&[&str]) -> bool| {
        let is_there = reached
            .iter()
            .any(|point| is_it(&point.split(' ').collect::<Vec<_>>()));
        if !is_there {
            missing.push(what);
        }
    };
    for moment in Moment::ALL.map(|moment| format!("{moment:?}")) {
        want(moment.clone(), &|parts| parts[0] == moment);
    }
    for kind in Register::all().kinds() {
        for moment in ["Claimed", "Started", "Ended", "Acknowledged"] {
            want(format!("{moment} {kind}"), &|parts| {
                parts[0] == moment && parts.last() == Some(&kind)
            });
        }
    }
    for entry in TIMETABLE {
        for moment in ["BeforeTicked", "Ticked"] {
            want(format!("{moment} {}", entry.name), &|parts| {
                parts == [moment, entry.name]
            });
        }
    }
    let sources = Source::all();
    for (provider, kind) in sources
        .iter()
        .filter(|source| source.is_under("src/journal"))
        .flat_map(effects)
    {
        for moment in ["WrittenAhead", "Answered", "Recorded"] {
            want(format!("{moment} {provider} {kind}"), &|parts| {
                parts.starts_with(&[moment, &provider, &kind])
            });
        }
    }
    for place in sources
        .iter()
        .filter(|source| source.is_under("src/work"))
        .flat_map(commits)
    {
        for moment in ["BeforeCommit", "Committed"] {
            want(format!("{moment} {place}"), &|parts| {
                parts[0] == moment && parts[1].starts_with(&place)
            });
        }
    }
    missing.retain(|point| !A_MONTH_LATER.iter().any(|later| point.contains(later)));
    missing
}

/// The effects that a file defines: their provider, by which it is named, and their kinds.
fn effects(source: &Source) -> Vec<(String, String)> {
    let provider = source.path.trim_start_matches("src/journal/");
    let provider = provider.split(['/', '.']).next().unwrap_or_default();
    let kinds = source.text.split("const KIND: &'static str = \"").skip(1);
    kinds
        .filter_map(|rest| Some((provider.to_owned(), rest.split_once('"')?.0.to_owned())))
        .collect()
}

/// Where a file commits, but for what the story does not come to.
fn commits(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let is_told = |at: usize| {
        let before = &lines[at.saturating_sub(16)..at];
        !NOT_TOLD
            .iter()
            .any(|text| before.iter().any(|line| line.contains(text)))
    };
    (0..lines.len())
        .filter(|at| lines[*at].contains(".commit()") && is_told(*at))
        .map(|at| format!("{}:{}:", source.path, at + 1))
        .collect()
}
