//! Recordings: what was said in a call, as a list, as a row and as audio. A real MP3, silent to the ear: where a
//! recording of a call has sound, these frames have their own place written in them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{PhoneCall, Twilio, errors, listing, phone_log::day};
use crate::sandbox::wire::{Reply, Request};

/// A recording that is over.
#[derive(Debug, Clone, Serialize)]
pub struct Recording {
    pub sid: String,
    pub account_sid: String,
    pub call_sid: String,
    pub seconds: u32,
    pub made_at: DateTime<Utc>,
    /// What is heard in it.
    pub says: String,
}

/// MPEG-2.5, layer III, 32 kbit/s, 8 kHz, mono: 288 bytes for 72 ms.
const HEADER: [u8; 4] = [0xff, 0xe3, 0x48, 0xc0];
const FRAME_BYTES: usize = 288;
const FRAME_MS: u32 = 72;
/// What a decoder needs to know of a mono frame: that there is nothing in it.
const SIDE_BYTES: usize = 9;
/// Stands before the recording's id and the frame's number.
const MARK: &[u8] = b"frame of ";

impl Recording {
    fn json(&self) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": self.account_sid,
            "call_sid": self.call_sid,
            "status": "completed",
            "duration": self.seconds.to_string(),
            "channels": 1,
            "source": "RecordVerb",
            "start_time": self.made_at.to_rfc2822(),
            "date_created": self.made_at.to_rfc2822(),
            "price": null,
            "price_unit": "USD",
            "api_version": "2010-04-01",
        })
    }

    fn frames(&self) -> u32 {
        (self.seconds * 1000).div_ceil(FRAME_MS).max(1)
    }

    /// The whole of it.
    pub fn mp3(&self) -> Vec<u8> {
        (0..self.frames())
            .flat_map(|nth| {
                let mut frame = [&HEADER[..], &[0; SIDE_BYTES], MARK, self.sid.as_bytes()].concat();
                frame.extend(nth.to_be_bytes());
                frame.resize(FRAME_BYTES, 0);
                frame
            })
            .collect()
    }

    /// What is heard in these frames: its words are spread evenly over the whole.
    fn heard(&self, frames: std::ops::RangeInclusive<u32>) -> String {
        let words: Vec<&str> = self.says.split_whitespace().collect();
        let count = words.len() as u64;
        let frame_of = |at: usize| (at as u64 * u64::from(self.frames()) / count.max(1)) as u32;
        let heard = words.iter().enumerate();
        let heard = heard.filter(|(at, _)| frames.contains(&frame_of(*at)));
        let heard: Vec<&str> = heard.map(|(_, word)| *word).collect();
        heard.join(" ")
    }
}

impl Twilio {
    /// A call was recorded, and this was said.
    pub fn take_recording(
        &mut self,
        call: &PhoneCall,
        seconds: u32,
        says: &str,
        now: DateTime<Utc>,
    ) -> Recording {
        let recording = Recording {
            sid: self.new_sid("RE"),
            account_sid: call.account_sid.clone(),
            call_sid: call.sid.clone(),
            seconds,
            made_at: now,
            says: says.to_owned(),
        };
        self.recordings.push(recording.clone());
        self.heard.push(recording.clone());
        recording
    }

    /// Those that were not deleted.
    pub fn recordings(&self) -> Vec<Recording> {
        self.recordings.clone()
    }

    /// What is heard in this piece of an MP3, by the places that are written in it. None: it is none of ours.
    pub fn heard_in(&self, mp3: &[u8]) -> Option<String> {
        let mut places = (0..mp3.len().saturating_sub(MARK.len()))
            .filter(|at| mp3[*at..].starts_with(MARK))
            .filter_map(|at| {
                let (sid, rest) = mp3[at + MARK.len()..].split_at_checked(34)?;
                Some((sid, u32::from_be_bytes(rest.first_chunk().copied()?)))
            });
        let (sid, first) = places.next()?;
        let last = places.next_back().map_or(first, |(_, last)| last);
        let mut known = self.heard.iter();
        let recording = known.find(|recording| recording.sid.as_bytes() == sid)?;
        Some(recording.heard(first..=last))
    }

    pub(super) fn list_recordings(
        &self,
        account: usize,
        request: &Request,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let since = day(request, "DateCreated>");
        let rows = self.recordings.iter().rev().filter(|recording| {
            recording.account_sid == *account_sid
                && since.is_none_or(|since| recording.made_at.date_naive() >= since)
        });
        let rows = rows.map(Recording::json).collect();
        Ok(listing::page(request, "recordings", rows))
    }

    pub(super) fn one_recording(
        &mut self,
        method: &str,
        account: usize,
        name: &str,
        request: &Request,
    ) -> Result<Reply, Reply> {
        let account_sid = &self.accounts[account].sid;
        let (sid, is_media) = match name.strip_suffix(".mp3") {
            Some(sid) => (sid, true),
            None => (name, false),
        };
        let mut all = self.recordings.iter();
        let position = all.position(|one| one.sid == sid && one.account_sid == *account_sid);
        let position = position.ok_or_else(|| errors::not_found(&request.path))?;
        match (method, is_media) {
            ("GET", true) => Ok(Reply::media("audio/mpeg", self.recordings[position].mp3())),
            ("GET", false) => Ok(Reply::done(200, self.recordings[position].json())),
            ("DELETE", false) => {
                self.recordings.remove(position);
                Ok(Reply::empty(204))
            }
            _ => Err(errors::not_found(&request.path)),
        }
    }
}
