//! Recordings at Twilio: the list, one of them, its audio, and its end.
//!
//! Audio is asked for at the configured base by ids alone. Where that answers with another address, nobody goes there.

use std::time::Duration;

use chrono::NaiveDate;
use reqwest::Response;
use serde::Deserialize;
use tollkeeper_jobs::telephony::recordings::{Report, Status};

use super::{API, PROVIDER, Twilio, json, refusal, shapes::time};
use crate::clients::{
    ClientError,
    audio::{Audio, NotSaved, Saving},
    call, found,
    stripe::joined,
};

/// How long all of a recording's audio may take. Each piece of it has to come within the time of an exchange.
const MEDIA_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
struct Listed {
    sid: String,
    call_sid: Option<String>,
    status: String,
    /// Seconds, as a text; -1 while it is not known.
    duration: Option<String>,
    start_time: Option<String>,
}

impl Twilio {
    /// The recordings of an account that were made on this day (GMT) or later. None: Twilio knows no such account.
    pub async fn recordings_since(
        &self,
        account: &str,
        day: NaiveDate,
    ) -> Result<Option<Vec<Report>>, ClientError> {
        let path = [API, "Accounts", account, "Recordings.json"];
        // As Twilio writes `DateCreated>=`.
        let query = [("DateCreated>", &*day.to_string()), ("PageSize", "1000")];
        let listed = found(self.all(&path, &query, "recordings").await)?;
        Ok(listed.map(|listed| listed.into_iter().map(report).collect()))
    }

    /// What Twilio says of a recording. None: it knows no such.
    pub async fn recording(
        &self,
        account: &str,
        recording: &str,
    ) -> Result<Option<Report>, ClientError> {
        let path = [API, "Accounts", account, "Recordings", &json(recording)];
        Ok(found(self.get(&path, &[]).await)?.map(report))
    }

    /// Its audio as MP3, of which nothing was read yet. None: it is not there, or not yet.
    ///
    /// MP3 and not WAV: an hour is 14 MB of it instead of 58, so next to nothing has to be handed over in parts.
    pub async fn recording_media(
        &self,
        account: &str,
        recording: &str,
    ) -> Result<Option<Media>, ClientError> {
        let path = [
            API,
            "Accounts",
            account,
            "Recordings",
            &format!("{recording}.mp3"),
        ];
        let request = self
            .http
            .get(joined(&self.base, &path))
            .timeout(MEDIA_TIMEOUT);
        let response = call::begin(PROVIDER, &self.breaker, self.signed(request)?).await?;
        match response.status().as_u16() {
            200..=299 => Ok(Some(Media(response))),
            404 => Ok(None),
            _ => Err(refusal(&call::answer(PROVIDER, response).await?)),
        }
    }

    /// Delete a recording. One that is gone already counts as deleted.
    pub async fn delete_recording(
        &self,
        account: &str,
        recording: &str,
    ) -> Result<(), ClientError> {
        let path = [API, "Accounts", account, "Recordings", &json(recording)];
        let request = self.http.delete(joined(&self.base, &path));
        found(self.send(request).await).map(|_| ())
    }

    /// Where its audio lies. Only who has the account's token is given it there.
    pub fn recording_url(&self, account: &str, recording: &str) -> String {
        let path = [
            API,
            "Accounts",
            account,
            "Recordings",
            &format!("{recording}.mp3"),
        ];
        joined(&self.base, &path)
    }
}

/// A recording's audio as it comes.
pub struct Media(Response);

impl Media {
    /// How many bytes it is, where that is told.
    pub fn bytes(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// Read it to its end into a file, and find out where that may be cut.
    pub async fn save(mut self, bytes_max: u64, part_bytes_max: u64) -> Result<Audio, NotSaved> {
        let mut saving = Saving::begin(bytes_max, part_bytes_max)?;
        while let Some(chunk) = self
            .0
            .chunk()
            .await
            .map_err(|error| call::lost(PROVIDER, error))?
        {
            saving.write(&chunk).await?;
        }
        saving.finish().await
    }
}

fn report(listed: Listed) -> Report {
    Report {
        recording_ref: listed.sid,
        call_ref: listed.call_sid,
        status: Status::of(&listed.status),
        seconds: listed.duration.and_then(|seconds| seconds.parse().ok()),
        at: listed.start_time.as_deref().and_then(time),
    }
}
