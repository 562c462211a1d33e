//! `POST /v1/audio/transcriptions`: a part of a recording, from its file.

use std::{io::Cursor, ops::Range};

use reqwest::{Body, header};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::Endpoint;
use crate::{
    clients::{ClientError, audio::Audio, call},
    config::EndpointConfig,
};

const PROVIDER: &str = "speech";

/// Writes down what is said.
#[derive(Clone)]
pub struct Transcriber {
    endpoint: Endpoint,
    language: Option<String>,
}

impl Transcriber {
    pub(super) fn new(config: &EndpointConfig, language: Option<String>) -> Transcriber {
        Transcriber {
            endpoint: Endpoint::new(PROVIDER, config),
            language,
        }
    }

    /// What is said in this part of a recording. Every call is paid for.
    pub async fn transcribe(
        &self,
        audio: &Audio,
        part: &Range<u64>,
    ) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Transcription {
            text: String,
        }
        let request = self.request(audio, part).await.map_err(|error| {
            let why = format!("the file to be sent cannot be read: {error}");
            ClientError::Unreachable {
                provider: PROVIDER,
                why,
            }
        })?;
        let answer = self.endpoint.send(request).await?;
        let said: Transcription = call::parse(PROVIDER, &answer.body)?;
        Ok(said.text)
    }

    /// The form is written out here: its file is a stream of known length, and its fields hold nothing that could end
    /// one. Nothing is sent that some server refuses.
    async fn request(
        &self,
        audio: &Audio,
        part: &Range<u64>,
    ) -> std::io::Result<reqwest::RequestBuilder> {
        let boundary = Uuid::new_v4().simple().to_string();
        let mut fields = vec![
            ("model", self.endpoint.model.as_str()),
            ("response_format", "json"),
        ];
        fields.extend(self.language.as_deref().map(|code| ("language", code)));
        let mut head = String::new();
        for (name, value) in fields {
            head += &format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        // Servers go by the name's ending.
        head += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"recording.mp3\"\r\n\
             Content-Type: audio/mpeg\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + (part.end - part.start) + tail.len() as u64;
        let form = Cursor::new(head)
            .chain(audio.read(part).await?)
            .chain(Cursor::new(tail));
        Ok(self
            .endpoint
            .post()
            .header(
                header::CONTENT_TYPE,
                format!("multipart/form-data; boundary={boundary}"),
            )
            .header(header::CONTENT_LENGTH, length)
            .body(Body::wrap_stream(ReaderStream::new(form))))
    }
}
