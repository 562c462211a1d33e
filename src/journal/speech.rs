//! What is asked of speech and analysis endpoints. Nothing changes there, but every answer is paid for: it is kept the
//! moment it comes, sealed, and a later run takes the kept one.
//!
//! They keep no keys and cannot be asked what they answered. So what is looked for is the kept answer, and where none
//! is, a repeat adds nothing but its price: an answer that was lost on its way is asked for again.

use std::ops::Range;

use secrecy::SecretString;
use sqlx::PgConnection;
use tollkeeper_jobs::{outside::Discipline, telephony::analysis::Message};
use uuid::Uuid;

use super::{Effect, Found, Permission, nothing_more};
use crate::{
    clients::{
        ClientError,
        audio::Audio,
        speech::{Analyst, Transcriber},
    },
    context::Context,
    db::{self, accounts, recordings, speech_answers},
    queue::Failure,
    sealed::Place,
};

const PROVIDER: &str = "speech";

/// Have one part of a recording written down.
pub struct TranscribePart<'a> {
    pub account_id: &'a str,
    pub recording_ref: &'a str,
    pub transcription_id: Uuid,
    pub transcriber: &'a Transcriber,
    pub audio: &'a Audio,
    /// The bytes of it.
    pub part: &'a Range<u64>,
}

impl Effect for TranscribePart<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "transcribe_part";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        let Range { start, end } = self.part;
        format!("{}:{start}-{end}", self.transcription_id)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    fn request(&self) -> String {
        self.subject()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let recording = recordings::load(tx, self.account_id, self.recording_ref).await?;
        Ok(match recording {
            Some(recording) if recording.is_open() => Permission::Granted,
            _ => Permission::NotWanted("its transcript is there, or not wanted any more"),
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        look(ctx, self.account_id, self.subject()).await
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let text = self.transcriber.transcribe(self.audio, self.part).await?;
        let of = (self.account_id, self.recording_ref);
        keep(ctx, of, self.subject(), text).await
    }
}

/// Ask about a transcript. The second try is a question of its own.
pub struct AskAnalyst<'a> {
    pub account_id: &'a str,
    pub recording_ref: &'a str,
    pub transcription_id: Uuid,
    pub nth: u32,
    pub analyst: &'a Analyst,
    pub messages: &'a [Message],
}

impl Effect for AskAnalyst<'_> {
    const PROVIDER: &'static str = PROVIDER;
    const KIND: &'static str = "ask_analyst";
    const DISCIPLINE: Discipline = Discipline::Exact;

    fn subject(&self) -> String {
        format!("{}:analysis:{}", self.transcription_id, self.nth)
    }

    fn account_id(&self) -> &str {
        self.account_id
    }

    /// Without the words: they may be put better one day.
    fn request(&self) -> String {
        self.subject()
    }

    async fn permission(
        &self,
        _ctx: &Context,
        tx: &mut PgConnection,
    ) -> Result<Permission, Failure> {
        let recording = recordings::load(tx, self.account_id, self.recording_ref).await?;
        Ok(match recording {
            Some(recording) if recording.is_to_be_analysed() => Permission::Granted,
            _ => Permission::NotWanted("its analysis is there, or not wanted any more"),
        })
    }

    async fn look(&self, ctx: &Context) -> Result<Option<Found>, ClientError> {
        look(ctx, self.account_id, self.subject()).await
    }

    async fn send(&self, ctx: &Context, _key: &str) -> Result<Found, ClientError> {
        let answer = self.analyst.ask(self.messages).await?;
        let of = (self.account_id, self.recording_ref);
        keep(ctx, of, self.subject(), answer).await
    }
}

/// The answer to one of these effects. None: it was made use of, or is not wanted any more.
pub async fn answer(ctx: &Context, effect: &impl Effect) -> Result<Option<SecretString>, Failure> {
    let (account_id, subject) = (effect.account_id(), effect.subject());
    let mut conn = ctx.pools.work.acquire().await?;
    let Some(sealed) = speech_answers::kept(&mut conn, account_id, &subject).await? else {
        return Ok(None);
    };
    let place = Place::speech_answer(account_id, &subject);
    let opened = ctx.keyring.open(&sealed, place);
    let answer = opened.map_err(|error| Failure::Retry(format!("a kept answer: {error}")))?;
    Ok(Some(answer))
}

async fn look(
    ctx: &Context,
    account_id: &str,
    subject: String,
) -> Result<Option<Found>, ClientError> {
    let kept = async {
        let mut conn = ctx.pools.work.acquire().await?;
        speech_answers::kept(&mut conn, account_id, &subject).await
    };
    let is_kept = kept.await.map_err(not_kept)?.is_some();
    Ok(is_kept.then(|| nothing_more(subject)))
}

/// Whichever run it came to: it is an answer to what was asked. Of a recording that was deleted meanwhile nothing is kept:
/// whoever deletes it later has it forgotten.
async fn keep(
    ctx: &Context,
    (account_id, recording_ref): (&str, &str),
    subject: String,
    answer: String,
) -> Result<Found, ClientError> {
    let place = Place::speech_answer(account_id, &subject);
    let sealed = ctx.keyring.seal(&SecretString::from(answer), place);
    let kept = async {
        let mut tx = db::begin(&ctx.pools.work).await?;
        // Before its recording, as everybody does: what is kept names the account.
        accounts::lock(&mut tx, account_id).await?;
        let recording = recordings::lock(&mut tx, account_id, recording_ref).await?;
        if recording.is_some_and(|recording| recording.transcript != "deleted") {
            speech_answers::keep(&mut tx, account_id, &subject, &sealed, ctx.clock.now()).await?;
        }
        tx.commit().await
    };
    kept.await.map_err(not_kept)?;
    Ok(nothing_more(subject))
}

fn not_kept(error: sqlx::Error) -> ClientError {
    ClientError::Unknown {
        provider: PROVIDER,
        status: None,
        why: format!("its answer cannot be kept: {error}"),
    }
}
