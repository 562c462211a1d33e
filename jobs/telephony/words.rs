//! A provider's words for what we have names for, in a table of both.

/// What a word stands for. None: it is none of the table.
pub fn read<T: Copy>(table: &[(T, &'static str)], word: &str) -> Option<T> {
    let found = table.iter().find(|(_, name)| *name == word);
    found.map(|(meaning, _)| *meaning)
}

/// The word for it. Every meaning stands in its table: a test goes over them.
pub fn name<T: Copy + PartialEq>(table: &[(T, &'static str)], meaning: T) -> &'static str {
    let found = table.iter().find(|(of, _)| *of == meaning);
    found.map_or("", |(_, name)| name)
}
