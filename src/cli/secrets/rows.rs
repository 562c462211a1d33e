//! The file of an import: CSV with a heading, or one JSON object a line.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// One subaccount of the older service.
#[derive(Debug)]
pub struct Row {
    /// In the file, from 1.
    pub line: usize,
    pub account_id: String,
    pub subaccount_ref: String,
    pub friendly_name: Option<String>,
    /// As it was stored: encrypted the old way, or in plain.
    pub token: SecretString,
}

/// A field and the names it goes by in the older services' tables.
const ACCOUNT: [&str; 2] = ["account_id", "user_id"];
const SUBACCOUNT: [&str; 4] = [
    "subaccount_sid",
    "subaccount_ref",
    "twilio_subaccount_sid",
    "twilio_account_sid",
];
const TOKEN: [&str; 3] = [
    "auth_token",
    "twilio_auth_token",
    "twilio_subaccount_auth_token_encrypted",
];
const NAME: [&str; 2] = ["friendly_name", "twilio_subaccount_name"];

/// The rows of the file; the error names the line and never quotes it, for it holds a token.
pub fn parse(text: &SecretString) -> Result<Vec<Row>, String> {
    let lines = text.expose_secret().lines().enumerate();
    let mut lines = lines
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
        .peekable();
    let is_json = lines.peek().is_some_and(|(_, line)| line.starts_with('{'));
    let heading = match is_json {
        true => None,
        false => lines.next().map(|(line, text)| split(text).ok_or(line)),
    };
    let heading = heading
        .transpose()
        .map_err(|line| format!("line {line} has a quote that does not end"))?;
    lines
        .map(|(line, text)| {
            let fields = match &heading {
                None => {
                    json_fields(text).ok_or(format!("line {line} is not a JSON object of texts"))?
                }
                Some(heading) => {
                    let values =
                        split(text).ok_or(format!("line {line} has a quote that does not end"))?;
                    if values.len() != heading.len() {
                        return Err(format!(
                            "line {line} has {} fields, the heading {}",
                            values.len(),
                            heading.len()
                        ));
                    }
                    heading.iter().cloned().zip(values).collect()
                }
            };
            row(line, fields)
        })
        .collect()
}

fn row(line: usize, mut fields: BTreeMap<String, String>) -> Result<Row, String> {
    let mut take = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| fields.remove(*name))
            .filter(|value| !value.is_empty())
    };
    let missing = |name: &str| format!("line {line} has no {name}");
    Ok(Row {
        line,
        account_id: take(&ACCOUNT).ok_or_else(|| missing(ACCOUNT[0]))?,
        subaccount_ref: take(&SUBACCOUNT).ok_or_else(|| missing(SUBACCOUNT[0]))?,
        token: take(&TOKEN).ok_or_else(|| missing(TOKEN[0]))?.into(),
        friendly_name: take(&NAME),
    })
}

fn json_fields(line: &str) -> Option<BTreeMap<String, String>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let texts = object
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    Some(texts.collect())
}

/// The fields of one CSV line; none when a quote does not end. No field of ours holds a line break.
fn split(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let field = fields.last_mut()?;
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            _ => field.push(c),
        }
    }
    (!is_quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_line_is_split_as_a_spreadsheet_writes_it() {
        for (line, fields) in [
            ("a,b", Some(vec!["a", "b"])),
            ("a,", Some(vec!["a", ""])),
            (r#""a,b",c"#, Some(vec!["a,b", "c"])),
            (r#""say ""hi""",c"#, Some(vec![r#"say "hi""#, "c"])),
            (r#""a,b"#, None),
        ] {
            let found = split(line);
            assert_eq!(
                found,
                fields.map(|fields| fields.into_iter().map(str::to_owned).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn both_forms_of_a_file_say_the_same() {
        let csv = "user_id,twilio_account_sid,twilio_auth_token\nann,AC1,t0k\n\nbob,AC2,t1k\n";
        let json = r#"{"account_id":"ann","subaccount_sid":"AC1","auth_token":"t0k"}
                      {"account_id":"bob","subaccount_sid":"AC2","auth_token":"t1k","friendly_name":null}"#;
        for text in [csv, json] {
            let rows = parse(&SecretString::from(text)).unwrap();
            let found: Vec<_> = rows
                .iter()
                .map(|row| {
                    (
                        row.account_id.as_str(),
                        row.subaccount_ref.as_str(),
                        row.token.expose_secret(),
                    )
                })
                .collect();
            assert_eq!(found, [("ann", "AC1", "t0k"), ("bob", "AC2", "t1k")]);
        }
    }

    #[test]
    fn a_bad_line_is_named_and_not_quoted() {
        for (text, why) in [
            (
                "user_id,auth_token\nann,t0k\n",
                "line 2 has no subaccount_sid",
            ),
            (
                "user_id,subaccount_sid,auth_token\nann,AC1\n",
                "line 2 has 2 fields, the heading 3",
            ),
            (
                "{\"account_id\":\"ann\",\n",
                "line 1 is not a JSON object of texts",
            ),
        ] {
            assert_eq!(parse(&SecretString::from(text)).unwrap_err(), why);
        }
    }
}
