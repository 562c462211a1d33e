//! What a sentence comes to, by the words in it.

use serde_json::{Value, json};

const PAINS: [&str; 3] = ["broken", "cannot", "leaks"];
const OBJECTIONS: [&str; 2] = ["expensive", "price"];
const TASKS: [&str; 3] = ["send", "call me back", "come"];
const MOODS: [(&str, &str); 3] = [
    ("thank", "positive"),
    ("angry", "negative"),
    ("expensive", "mixed"),
];

pub fn analysis(transcript: &str) -> Value {
    let sentences: Vec<&str> = transcript
        .split_inclusive(['.', '?', '!'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect();
    let with = |words: &[&str]| -> Vec<&str> {
        let has = |sentence: &&&str| {
            let sentence = sentence.to_lowercase();
            words.iter().any(|word| sentence.contains(word))
        };
        sentences.iter().filter(has).copied().collect()
    };
    let tasks = with(&TASKS)
        .into_iter()
        .map(|task| json!({"task": task, "assignee": null, "priority": "medium", "dueDate": null}));
    let lower = transcript.to_lowercase();
    let mood = MOODS.iter().find(|(word, _)| lower.contains(word));
    json!({
        "summary": sentences.first().copied().unwrap_or_default(),
        "keyPoints": sentences,
        "painPoints": with(&PAINS),
        "objections": with(&OBJECTIONS),
        "actionItems": tasks.collect::<Vec<_>>(),
        "sentiment": mood.map_or("neutral", |(_, mood)| mood),
    })
}
