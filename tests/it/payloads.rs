//! Stored payloads: a job that was stored once must parse for ever.

use serde_json::Value;
use tollkeeper_jobs::{
    AnalyseTranscript, AnnounceNotification, AnnounceUpcomingInvoice, ApplyDispute, ApplyRefund,
    AttachCharges, CheckBilling, CloseDuePeriods, ClosePeriod, CompareInvoice, CompareUsage,
    CompareUsageRecords, DeleteRecording, DeliverNotification, FetchRecording, FinalizeInvoice,
    HandleStripeEvent, HandleTwilioCallback, HandleVoipmsCallback, Job, NotifyCustomer, OpenPeriod,
    PlaceCall, PollInvoiceDrafts, PollStripeEvents, ProvisionNumber, ProvisionSubaccount,
    RaiseUsageInvoice, ReactivateTelephony, ReconcileAccount, ReconcileInvoices, ReconcilePhoneLog,
    ReconcilePhoneLogs, ReconcileVoipmsLog, RecordInvoice, ReleaseNumber, SendMessage,
    SuspendTelephony, SweepCharges, SweepProviderResources, SweepRecordings, SyncSubscription,
    TranscribeRecording,
};

/// The stored payload parses, and is what would be stored today.
fn check<J: Job>(key: &str) {
    let path = format!(
        "{}/tests/it/golden/jobs/{}.json",
        env!("CARGO_MANIFEST_DIR"),
        J::KIND
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let stored: Value = serde_json::from_str(&text).unwrap();
    let job: J = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&job).unwrap(), stored, "{}", J::KIND);
    assert_eq!(job.key(), key, "{}", J::KIND);
}

#[test]
fn every_payload_that_was_ever_stored_parses() {
    let id = "0198c0de-7c3a-7000-8000-000000000001";
    check::<AnnounceNotification>(id);
    check::<DeliverNotification>(&format!("{id}:0198c0de-7c3a-7000-8000-000000000002"));
    check::<HandleStripeEvent>(id);
    check::<HandleTwilioCallback>(id);
    check::<HandleVoipmsCallback>(id);
    check::<NotifyCustomer>(id);
    check::<SyncSubscription>("sub_1SFixture0000000001");
    check::<ProvisionSubaccount>("user_42");
    check::<ProvisionNumber>("user_42");
    check::<SuspendTelephony>("user_42");
    check::<ReactivateTelephony>("user_42");
    check::<ReleaseNumber>(id);
    check::<SweepProviderResources>("");
    check::<PollStripeEvents>("");
    check::<AnnounceUpcomingInvoice>("sub_1SFixture0000000001");
    check::<ApplyRefund>("ch_3SFixture01");
    check::<ApplyDispute>("du_1SFixture01");
    check::<OpenPeriod>("user_42");
    check::<ClosePeriod>(id);
    check::<CloseDuePeriods>("all");
    check::<AttachCharges>("in_1SFixtureCycle01");
    check::<RaiseUsageInvoice>("user_42");
    check::<CompareInvoice>(id);
    check::<FinalizeInvoice>(id);
    check::<RecordInvoice>("in_1SFixtureCycle01");
    check::<SweepCharges>("all");
    check::<PollInvoiceDrafts>("all");
    check::<ReconcileInvoices>("all");
    check::<ReconcileAccount>("user_42");
    check::<PlaceCall>(id);
    check::<SendMessage>(id);
    check::<ReconcilePhoneLogs>("all");
    check::<ReconcilePhoneLog>("user_42");
    check::<ReconcileVoipmsLog>("user_42");
    check::<CompareUsageRecords>("all");
    check::<CompareUsage>("user_42");
    check::<CheckBilling>("sample");
    let recording = "user_42:RE00000000000000000000000000000004";
    check::<FetchRecording>(recording);
    check::<TranscribeRecording>(recording);
    check::<AnalyseTranscript>(recording);
    check::<DeleteRecording>(recording);
    check::<SweepRecordings>("all");
}
