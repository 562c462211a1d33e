//! The effect on recordings: delete.

use sqlx::PgConnection;
use tollkeeper_jobs::outside::Discipline;
use uuid::Uuid;

use super::PROVIDER;
use crate::{
    clients::ClientError,
    context::Context,
    db::recordings,
    journal::{Effect, Found, Permission, nothing_more},
    queue::Failure,
};

/// Delete a recording at Twilio.
pub struct RemoveRecording<'a> {
    pub account_id: &'a str,
    pub recording_ref: &'a str,
    /// The provider's account that it lies in.
    pub held_by_ref: &'a str,
    pub transcription_id: Uuid,
}

impl Effect for RemoveRecording<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "delete_recording";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        self.transcription_id.to_string()
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        format!("{} {}", self.held_by_ref, self.recording_ref)
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let recording = recordings::load(tx, self.account_id, self.recording_ref).await?;
        let may_go = |transcript: &str| matches!(transcript, "completed" | "deleted");
        Ok(match recording {
            Some(recording) if may_go(&recording.transcript) => Permission::Granted,
            _ => Permission::NotWanted("it is not transcribed"),
        })
    }

    /// What is looked for is its absence.
    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        let recording = ctx
            .twilio
            .recording(self.held_by_ref, self.recording_ref)
            .await?;
        Ok(match recording {
            Some(_) => None,
            None => Some(nothing_more(self.recording_ref.to_owned())),
        })
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        ctx.twilio
            .delete_recording(self.held_by_ref, self.recording_ref)
            .await?;
        Ok(nothing_more(self.recording_ref.to_owned()))
    }
}
