//! What apps are shown of transcripts and analyses, opened for their account.

use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret;
use tollkeeper_jobs::telephony::analysis::{self, Analysis, Priority};

use crate::{
    db::recordings::StoredRecording,
    http::problem::Problem,
    sealed::{Keyring, Place},
};

/// What is sealed in a recording's row.
#[derive(Default)]
pub struct Opened {
    pub transcript: Option<String>,
    pub analysis: Option<Analysis>,
}

impl Opened {
    pub fn of(keyring: &Keyring, row: &StoredRecording) -> Result<Opened, Problem> {
        let open = |column, sealed: &Option<String>| {
            let Some(sealed) = sealed else {
                return Ok(None);
            };
            let place = Place::of_recording(column, &row.account_id, &row.recording_ref);
            match keyring.open(sealed, place) {
                Ok(text) => Ok(Some(text.expose_secret().to_owned())),
                Err(error) => {
                    tracing::error!(%error, account.id = row.account_id, column, "a text does not open");
                    Err(Problem::internal())
                }
            }
        };
        let analysis = open("analysis_sealed", &row.analysis_sealed)?;
        Ok(Opened {
            transcript: open("transcript_sealed", &row.transcript_sealed)?,
            analysis: analysis.and_then(|text| analysis::read(&text).ok()),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Sentiment {
    Positive,
    Neutral,
    Negative,
    Mixed,
}

impl From<analysis::Sentiment> for Sentiment {
    fn from(sentiment: analysis::Sentiment) -> Sentiment {
        match sentiment {
            analysis::Sentiment::Positive => Sentiment::Positive,
            analysis::Sentiment::Neutral => Sentiment::Neutral,
            analysis::Sentiment::Negative => Sentiment::Negative,
            analysis::Sentiment::Mixed => Sentiment::Mixed,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ActionItem {
    task: String,
    assignee: Option<String>,
    /// low, medium or high.
    priority: String,
    /// As it was said.
    due_date: Option<String>,
}

impl From<analysis::ActionItem> for ActionItem {
    fn from(item: analysis::ActionItem) -> ActionItem {
        let priority = match item.priority {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        };
        ActionItem {
            task: item.task,
            assignee: item.assignee,
            priority: priority.to_owned(),
            due_date: item.due_date,
        }
    }
}

/// What a model made of a transcript. It is read by people, and nothing is done because of it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CallAnalysis {
    summary: String,
    key_points: Vec<String>,
    pain_points: Vec<String>,
    objections: Vec<String>,
    action_items: Vec<ActionItem>,
    sentiment: Sentiment,
}

impl CallAnalysis {
    pub fn of(analysis: Analysis) -> CallAnalysis {
        CallAnalysis {
            summary: analysis.summary,
            key_points: analysis.key_points,
            pain_points: analysis.pain_points,
            objections: analysis.objections,
            action_items: analysis.action_items.into_iter().map(Into::into).collect(),
            sentiment: analysis.sentiment.into(),
        }
    }
}

/// The same in the words of the call clients.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Summary {
    executive_summary: String,
    key_points: Vec<String>,
    action_items: Vec<ActionItem>,
    sentiment_analysis: SentimentAnalysis,
    /// The tasks of the action items.
    next_steps: Vec<String>,
}

#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SentimentAnalysis {
    overall: Sentiment,
    /// 1, 0 or -1, by the word.
    score: i8,
    /// Always empty: nobody is asked for them.
    emotions: Vec<String>,
    /// Always empty.
    key_moments: Vec<String>,
}

impl Summary {
    pub fn of(analysis: Analysis) -> Summary {
        let overall = Sentiment::from(analysis.sentiment);
        let tasks = analysis.action_items.iter().map(|item| item.task.clone());
        Summary {
            next_steps: tasks.collect(),
            executive_summary: analysis.summary,
            key_points: analysis.key_points,
            action_items: analysis.action_items.into_iter().map(Into::into).collect(),
            sentiment_analysis: SentimentAnalysis {
                overall,
                score: match overall {
                    Sentiment::Positive => 1,
                    Sentiment::Neutral | Sentiment::Mixed => 0,
                    Sentiment::Negative => -1,
                },
                emotions: Vec::new(),
                key_moments: Vec::new(),
            },
        }
    }
}
