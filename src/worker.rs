//! The register of jobs, and the apalis workers that carry them out: one per lane.

pub mod gauges;

use std::{collections::HashMap, io, pin::Pin, sync::Arc, time::Duration};

use apalis::{layers::WorkerBuilderExt, layers::tracing::TraceLayer};
use apalis_core::{
    monitor::Monitor,
    task::{Task, data::Data},
    worker::{builder::WorkerBuilder, ext::parallelize::ParallelizeExt},
};
use tokio_util::sync::CancellationToken;
use tollkeeper_jobs::{
    AnalyseTranscript, AnnounceNotification, AnnounceUpcomingInvoice, ApplyDispute, ApplyRefund,
    AttachCharges, CheckBilling, CloseDuePeriods, ClosePeriod, CloseUsageWindows, CompareInvoice,
    CompareUsage, CompareUsageRecords, DeleteRecording, DeliverNotification, FetchRecording,
    FinalizeInvoice, HandleStripeEvent, HandleTwilioCallback, HandleVoipmsCallback, Lane,
    NotifyCustomer, OpenPeriod, PlaceCall, PollInvoiceDrafts, PollStripeEvents, ProvisionNumber,
    ProvisionSubaccount, PruneHistory, RaiseUsageInvoice, ReactivateTelephony, ReconcileAccount,
    ReconcileInvoices, ReconcilePhoneLog, ReconcilePhoneLogs, ReconcileVoipmsLog, RecordInvoice,
    RecountUsage, ReleaseNumber, RetryPolicy, SendMessage, SuspendTelephony, SweepCharges,
    SweepExpiredLeases, SweepProviderResources, SweepRecordings, SyncSubscription,
    TranscribeRecording,
};
use tracing::Span;

use crate::{
    context::Context,
    crash::{self, Moment},
    queue::{Claimed, Failure, Gate, Outcome, Queue, Ticket, history},
    work::Work,
};

/// For a lane that no job is in.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

type Run = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send>>;

/// How one kind is carried out.
#[derive(Clone, Copy)]
struct Entry {
    version: i16,
    lane: Lane,
    retry: RetryPolicy,
    timeout: Duration,
    run: fn(Arc<Claimed>, Arc<Performer>) -> Run,
}

/// Every kind of job this program knows.
#[derive(Clone, Default)]
pub struct Register {
    entries: HashMap<&'static str, Entry>,
}

impl Register {
    /// All jobs of the service. A job that is missing here is a job that never runs: a test names it.
    pub fn all() -> Register {
        Register::default()
            .with::<AnnounceNotification>()
            .with::<AnnounceUpcomingInvoice>()
            .with::<ApplyDispute>()
            .with::<ApplyRefund>()
            .with::<AttachCharges>()
            .with::<CheckBilling>()
            .with::<CloseDuePeriods>()
            .with::<ClosePeriod>()
            .with::<CompareInvoice>()
            .with::<CompareUsage>()
            .with::<CompareUsageRecords>()
            .with::<DeliverNotification>()
            .with::<FinalizeInvoice>()
            .with::<HandleStripeEvent>()
            .with::<HandleTwilioCallback>()
            .with::<HandleVoipmsCallback>()
            .with::<ReconcilePhoneLogs>()
            .with::<ReconcilePhoneLog>()
            .with::<ReconcileVoipmsLog>()
            .with::<NotifyCustomer>()
            .with::<OpenPeriod>()
            .with::<PlaceCall>()
            .with::<PollInvoiceDrafts>()
            .with::<PollStripeEvents>()
            .with::<ProvisionNumber>()
            .with::<ProvisionSubaccount>()
            .with::<PruneHistory>()
            .with::<CloseUsageWindows>()
            .with::<RecountUsage>()
            .with::<ReactivateTelephony>()
            .with::<RaiseUsageInvoice>()
            .with::<ReconcileAccount>()
            .with::<ReconcileInvoices>()
            .with::<RecordInvoice>()
            .with::<ReleaseNumber>()
            .with::<SendMessage>()
            .with::<SweepCharges>()
            .with::<SuspendTelephony>()
            .with::<SweepExpiredLeases>()
            .with::<SweepProviderResources>()
            .with::<SyncSubscription>()
            .with::<FetchRecording>()
            .with::<TranscribeRecording>()
            .with::<AnalyseTranscript>()
            .with::<DeleteRecording>()
            .with::<SweepRecordings>()
    }

    pub fn with<W: Work>(mut self) -> Register {
        let entry = Entry {
            version: W::VERSION,
            lane: W::LANE,
            timeout: W::TIMEOUT,
            retry: W::RETRY,
            run: |claimed, performer| Box::pin(run::<W>(claimed, performer)),
        };
        self.entries.insert(W::KIND, entry);
        self
    }

    /// How long one run in this lane may take: as long as its slowest job asks for.
    fn timeout(&self, lane: Lane) -> Duration {
        let of_lane = self.entries.values().filter(|entry| entry.lane == lane);
        of_lane
            .map(|entry| entry.timeout)
            .max()
            .unwrap_or(TIMEOUT_DEFAULT)
    }

    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }
}

async fn run<W: Work>(
    claimed: Arc<Claimed>,
    performer: Arc<Performer>,
) -> Result<Outcome, Failure> {
    let job = W::deserialize(&claimed.payload).map_err(|error| {
        Failure::Stop(format!(
            "the stored payload of {} does not parse: {error}",
            W::KIND
        ))
    })?;
    job.run(&performer.ctx, &claimed.lease).await
}

/// Work until `stop`: then claim nothing more, let runs finish for as long as a drain may take, and
/// give the rest back without charging them an attempt.
pub async fn run_until(
    ctx: Context,
    register: Register,
    stop: CancellationToken,
) -> io::Result<()> {
    ensure_days(&ctx).await;
    let policies = register
        .entries
        .iter()
        .map(|(kind, entry)| (*kind, entry.retry))
        .collect();
    let queue = Queue::open(&ctx, policies, stop.clone());
    tokio::spawn(gauges::keep_measured(
        ctx.pools.console.clone(),
        stop.clone(),
    ));
    tracing::info!(worker = queue.worker(), "working");
    let performer = Arc::new(Performer {
        ctx: ctx.clone(),
        register,
        gate: queue.gate(),
    });
    let monitor = Lane::ALL.into_iter().fold(Monitor::new(), |monitor, lane| {
        let slots = slots(&ctx, lane);
        let timeout = performer.register.timeout(lane);
        let queue = &queue;
        let backend = std::sync::Mutex::new(Some(queue.lane(lane, slots)));
        let (performer, name) = (performer.clone(), format!("{lane}:{}", queue.worker()));
        monitor.register(move |_| {
            let backend = backend.lock().expect("no panic while it is taken").take();
            WorkerBuilder::new(name.clone())
                .backend(
                    backend.expect("a lane's backend never fails, so its worker is built once"),
                )
                .data(performer.clone())
                .concurrency(slots)
                .parallelize(tokio::spawn)
                .timeout(timeout)
                .catch_panic()
                .layer(
                    TraceLayer::new()
                        .make_span_with(span)
                        .on_request(|_: &Task<Ticket>, _: &Span| {})
                        .on_response(())
                        .on_failure(()),
                )
                .build(run_one)
        })
    });
    let asked_to_stop = stop.clone();
    let running = monitor.run_with_signal(async move {
        asked_to_stop.cancelled().await;
        Ok(())
    });
    let drained = tokio::select! {
        ended = running => ended.map_err(io::Error::other),
        () = drain_deadline(&ctx, &stop, &queue) => {
            tracing::warn!("some jobs did not finish in time; giving them back");
            Ok(())
        }
    };
    queue.close().await;
    drained
}

/// Then what still runs is told to stop, while it is still known what that is.
async fn drain_deadline(ctx: &Context, stop: &CancellationToken, queue: &Queue) {
    stop.cancelled().await;
    tokio::time::sleep(ctx.config.worker.drain).await;
    queue.stop_runs();
}

async fn ensure_days(ctx: &Context) {
    let made = async {
        let mut conn = ctx.pools.work.acquire().await?;
        history::ensure_days(&mut conn, ctx.clock.now().date_naive()).await
    };
    if let Err(error) = made.await {
        tracing::warn!(%error, "cannot make the days ahead; the timetable tries again");
    }
}

struct Performer {
    ctx: Context,
    register: Register,
    gate: Gate,
}

async fn run_one(ticket: Ticket, performer: Data<Arc<Performer>>) -> Result<Outcome, Failure> {
    let claimed = &ticket.claimed;
    let run = perform(claimed, &performer);
    crash::within(&claimed.kind, &claimed.account_id, run).await
}

/// Through the gate, then the job, unless the lease is lost on the way.
async fn perform(claimed: &Arc<Claimed>, performer: &Arc<Performer>) -> Result<Outcome, Failure> {
    crash::point(Moment::Claimed, "");
    performer.gate.pass(claimed).await?;
    crash::point(Moment::Started, "");
    let entry = performer.register.entries.get(claimed.kind.as_str());
    let Some(entry) = entry.filter(|entry| entry.version >= claimed.version) else {
        // A newer program stored it during a deploy, and will be there to run it.
        let why = format!(
            "this program does not know version {} of {}",
            claimed.version, claimed.kind
        );
        return Err(Failure::Wait {
            after: Some(Duration::from_secs(30)),
            why,
        });
    };
    let run = (entry.run)(claimed.clone(), performer.clone());
    match claimed.lease.lost.run_until_cancelled(run).await {
        Some(ended) => ended,
        None => Err(Failure::LeaseLost(crate::queue::LeaseLost(
            claimed.lease.job_id,
        ))),
    }
}

fn span(task: &Task<Ticket>) -> Span {
    let claimed = &task.args.claimed;
    tracing::info_span!(
        "job",
        job.kind = %claimed.kind,
        job.id = %claimed.lease.job_id,
        job.attempt = claimed.lease.attempt,
        account.id = %claimed.account_id,
    )
}

fn slots(ctx: &Context, lane: Lane) -> usize {
    let settings = &ctx.config.worker;
    match lane {
        Lane::Money => settings.money,
        Lane::Voice => settings.voice,
        Lane::Default => settings.default,
        Lane::Bulk => settings.bulk,
    }
}
