//! Settings of transcription and analysis: an endpoint of each, or none.

use std::time::Duration;

use crate::config::{EndpointConfig, RecordingConfig, SpeechConfig, reader::Reader};

/// An hour of a recording by a slow model; two of them, and the file, are less than a run may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// The names of an endpoint's settings, and what they are when they are not set.
struct Names {
    base: &'static str,
    path: &'static str,
    path_default: &'static str,
    key: &'static str,
    model: &'static str,
    timeout: &'static str,
    timeout_default: &'static str,
}

pub(super) fn speech(reader: &mut Reader<'_>) -> SpeechConfig {
    let transcription = endpoint(
        reader,
        Names {
            base: "SPEECH_API_BASE",
            path: "SPEECH_API_PATH",
            path_default: "/v1/audio/transcriptions",
            key: "SPEECH_API_KEY",
            model: "SPEECH_MODEL",
            timeout: "SPEECH_TIMEOUT",
            timeout_default: "10m",
        },
    );
    let analysis = endpoint(
        reader,
        Names {
            base: "ANALYSIS_API_BASE",
            path: "ANALYSIS_API_PATH",
            path_default: "/v1/chat/completions",
            key: "ANALYSIS_API_KEY",
            model: "ANALYSIS_MODEL",
            timeout: "ANALYSIS_TIMEOUT",
            timeout_default: "2m",
        },
    );
    let language = reader.optional("SPEECH_LANGUAGE").map(str::to_owned);
    if language
        .as_deref()
        .is_some_and(|language| !is_language(language))
    {
        let what = "is not a language of ISO 639-1, as in en";
        reader.fault("SPEECH_LANGUAGE", what.to_owned());
    }
    SpeechConfig {
        transcription,
        analysis,
        language,
    }
}

pub(super) fn recordings(reader: &mut Reader<'_>) -> RecordingConfig {
    let is_good = |bytes: &u64| *bytes >= 64 * 1024;
    let wanted = "a number of bytes, 65536 or more";
    RecordingConfig {
        bytes_max: reader.value("RECORDING_MAX", 200_000_000, wanted, is_good),
        part_bytes_max: reader.value("RECORDING_PART_MAX", 26_000_000, wanted, is_good),
        is_deleted: reader.value("RECORDING_DELETE", true, "true or false", |_| true),
    }
}

/// None: nothing is set. What a server knows no models of is still to be named: the word is sent and ignored.
fn endpoint(reader: &mut Reader<'_>, names: Names) -> Option<EndpointConfig> {
    let base = reader.optional(names.base);
    let base = base.map(|_| reader.base_url(names.base, ""));
    let model = reader.optional(names.model).map(str::to_owned);
    let api_key = reader.optional(names.key).unwrap_or_default().into();
    let path = reader.text(names.path, names.path_default);
    let timeout = reader.duration(names.timeout, names.timeout_default);
    if !path.starts_with('/') || path.contains(['?', '#']) || path.contains(char::is_whitespace) {
        let what = format!("is not the path of a URL, as in {}", names.path_default);
        reader.fault(names.path, what);
    }
    if timeout > TIMEOUT_MAX || timeout.is_zero() {
        let what = format!("is not between 1ms and {}m", TIMEOUT_MAX.as_secs() / 60);
        reader.fault(names.timeout, what);
    }
    if model.as_deref().is_some_and(|model| !is_model(model)) {
        reader.fault(names.model, "is not the name of a model".to_owned());
    }
    match (base, model) {
        (Some(base), Some(model)) => Some(EndpointConfig {
            url: format!("{base}{path}"),
            api_key,
            model,
            timeout,
        }),
        (Some(_), None) => {
            let what = format!("is not set, and {} is: set both or neither", names.base);
            reader.fault(names.model, what);
            None
        }
        (None, Some(_)) => {
            let what = format!("is not set, and {} is: set both or neither", names.model);
            reader.fault(names.base, what);
            None
        }
        (None, None) => None,
    }
}

fn is_language(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// It is sent as a field of a form: nothing in it may end one.
fn is_model(text: &str) -> bool {
    text.len() <= 200
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
}
