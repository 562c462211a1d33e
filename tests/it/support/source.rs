//! Reads the project's own sources, for the tests that hold its structure.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file, its path relative to the project with `/` between the parts.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Every Rust and SQL file of the project.
    pub fn all() -> Vec<Source> {
        let mut sources = Vec::new();
        for folder in ["src", "jobs", "tests", "benches", "migrations"] {
            collect(&root().join(folder), &mut sources);
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    pub fn is_under(&self, place: &str) -> bool {
        self.path == place
            || self.path.starts_with(&format!("{place}/"))
            || self.path == format!("{place}.rs")
    }

    /// Only compiled for tests and measurements, all of it.
    pub fn is_test(&self) -> bool {
        self.is_under("tests")
            || self.is_under("benches")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// The code that ships: without comments and without the tests at the end.
    pub fn code(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let shipped = match self.text.find("#[cfg(test)]\nmod ") {
            Some(start) => &self.text[..start],
            None => &self.text,
        };
        shipped
            .lines()
            .map(|line| format!("{}\n", without_comment(line)))
            .collect()
    }

    /// The modules of the service that the code names: the first step of every `crate::` path.
    pub fn names(&self) -> Vec<String> {
        let code = self.code();
        let mut names = Vec::new();
        for root in ["crate::", "tollkeeper::"] {
            for (at, _) in code
                .match_indices(root)
                .filter(|(at, _)| !ends_in_word(&code[..*at]))
            {
                names.extend(first_steps(&code[at + root.len()..]));
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the word stands in the code, and not as a part of a longer one.
pub fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let starts = !word.starts_with(is_word) || !ends_in_word(&code[..at]);
        let ends = !word.ends_with(is_word) || !code[at + word.len()..].starts_with(is_word);
        starts && ends
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(is_word)
}

/// `a::b` gives `a`; `{a::b, c::{d, e}}` gives `a` and `c`.
fn first_steps(path: &str) -> Vec<String> {
    let step = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![step(path)];
    };
    let mut steps = vec![step(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => steps.push(step(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    steps.retain(|step| !step.is_empty());
    steps
}

/// A `//` that belongs to a URL starts no comment.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "sql")
        {
            let relative = path
                .strip_prefix(root())
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            sources.push(Source {
                path: relative,
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}
