//! Rows for spreadsheets, as RFC 4180 says.

/// A row without its end of line. A cell that a spreadsheet would carry out as a formula is prefixed with an apostrophe, which
/// shows it as the text it is; a whole number carries out nothing.
pub fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",")
}

fn cell(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok() && !text.starts_with('+');
    let may_act = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let shown = match may_act && !is_number {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match shown.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", shown.replace('"', "\"\"")),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(row([text, "x"]), format!("{shown},x"));
    }

    #[test]
    fn a_cell_is_never_carried_out() {
        for text in ["=1+1", "+14155550100", "@SUM(A1)", "-2+3", "\tx", "-", "+5"] {
            check(text, &format!("'{text}"));
        }
        check("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\"");
    }

    #[test]
    fn numbers_and_words_stay_as_they_are() {
        for text in [
            "-69",
            "580",
            "",
            "SMS overage: 20 messages @ $0.0075/msg",
            "a'b",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn what_would_end_a_cell_is_quoted() {
        check("a,b", "\"a,b\"");
        check("say \"a\"", "\"say \"\"a\"\"\"");
        check("a\nb", "\"a\nb\"");
    }
}
