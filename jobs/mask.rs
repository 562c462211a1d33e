//! Takes secrets, phone numbers and e-mail addresses out of a text before it is logged or stored.

/// The text with everything masked that must not leave the process, cut to 2,000 characters.
///
/// Masked are: words with a known secret prefix and what follows `Bearer` or `Basic`, digit runs of
/// seven and more (phone numbers, with or without `+` and separators), hexadecimal runs of 32 and more
/// that are no UUID (tokens), and anything with an `@` inside (addresses). A NUL is left out: Postgres stores no
/// text with one, nor anything else of the same statement. Provider ids (`CA…`, `PN…`,
/// `sub_…`) stay readable as far as their own form allows.
pub fn mask(text: &str) -> String {
    let text: Vec<char> = text
        .chars()
        .filter(|c| *c != '\0')
        .take(LENGTH_MAX)
        .collect();
    let mut masked = Masked::default();
    let mut at = 0;
    while at < text.len() {
        let (length, is_number) = written_number(&text[at..]);
        // Not in the middle of a word: an id may end in digits.
        if length > 0 && masked.word.is_empty() {
            if is_number {
                masked.out.push_str("+***");
            } else {
                text[at..at + length].iter().for_each(|c| masked.push(*c));
            }
            at += length;
        } else {
            masked.push(text[at]);
            at += 1;
        }
    }
    masked.end_word();
    masked.out
}

const LENGTH_MAX: usize = 2000;

/// What is masked so far, and the word that has not ended yet.
#[derive(Default)]
struct Masked {
    out: String,
    word: String,
    /// The word before was the name of a kind of credential.
    is_credential_next: bool,
}

impl Masked {
    fn push(&mut self, c: char) {
        if c.is_whitespace() || "\"'`,;:()<>[]{}|&=/?\\".contains(c) {
            self.end_word();
            self.out.push(c);
        } else {
            self.word.push(c);
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if word.is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_credential_next) {
            self.out.push_str("***");
            return;
        }
        self.is_credential_next = ["bearer", "basic"]
            .iter()
            .any(|scheme| word.eq_ignore_ascii_case(scheme));
        push_masked(&mut self.out, &word);
    }
}

/// How many characters a number takes that is written in groups of digits, and whether it is a phone
/// number: one after a `+`, or three, three and four digits. Dates are grouped otherwise.
fn written_number(text: &[char]) -> (usize, bool) {
    let has_plus = text[0] == '+';
    let mut at = usize::from(has_plus || text[0] == '(');
    let (mut end, mut groups) = (0, Vec::new());
    loop {
        let digits = text[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        groups.push(digits);
        end = at + digits;
        let gap = text[end..]
            .iter()
            .take_while(|c| " -.()".contains(**c))
            .count();
        if !(1..=2).contains(&gap) {
            break;
        }
        at = end + gap;
    }
    // One group alone is a word, and has its own rule.
    if groups.len() < 2 || text.get(end).is_some_and(|c| c.is_alphanumeric()) {
        return (0, false);
    }
    let is_long = groups.iter().sum::<usize>() >= 7;
    let is_number = (has_plus && is_long) || groups.windows(3).any(|some| some == [3, 3, 4]);
    (end, is_number)
}

const SECRET_PREFIXES: [&str; 8] = [
    "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "tk_live_", "tk_test_", "eyJ",
];

fn push_masked(out: &mut String, word: &str) {
    if let Some(prefix) = SECRET_PREFIXES
        .iter()
        .find(|prefix| word.starts_with(**prefix) && word.len() > prefix.len())
    {
        out.push_str(prefix);
        out.push_str("***");
    } else if (word.contains('@') && word.len() > 1) || word.contains("%40") {
        out.push_str("***@***");
    } else if is_phone_number(word) {
        out.push_str("+***");
    } else if is_token(word) {
        out.push_str("***");
    } else {
        out.push_str(word);
    }
}

/// `+1 415…` in one word: only digits and separators, at least seven digits. A bare run of digits
/// counts from ten on, so that amounts and counts stay readable.
fn is_phone_number(word: &str) -> bool {
    let word = word
        .trim_end_matches(['.', ':', '!', '?'])
        .replace("%2B", "+");
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let plain = word
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let looks_like_time = word.contains('-') && !word.starts_with('+') && digits == 8;
    plain && !looks_like_time && (digits >= 10 || (digits >= 7 && word.starts_with('+')))
}

fn is_token(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':']);
    word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_text_of_postgres_can_hold_is_left_out() {
        assert_eq!(mask("no such\0 price"), "no such price");
    }

    fn check(text: &str, masked: &str) {
        assert_eq!(mask(text), masked);
    }

    #[test]
    fn what_identifies_a_person_or_opens_a_door_is_masked() {
        check("no number +14155550123 in stock", "no number +*** in stock");
        check("To=%2B14155550123&From=+18005551212", "To=+***&From=+***");
        check("key sk_test_abc123 refused", "key sk_test_*** refused");
        check("token 0123456789abcdef0123456789abcdef", "token ***");
        check("for ann@example.com", "for ***@***");
        check("GET /api/x/ann%40example.com", "GET /api/x/***@***");
        check(
            "Authorization: Bearer abc, Basic YTpi",
            "Authorization: Bearer ***, Basic ***",
        );
        check("[sk_live_a]:{whsec_b}", "[sk_live_***]:{whsec_***}");
        check("AC1:0123456789abcdef0123456789abcdef", "AC1:***");
    }

    #[test]
    fn a_number_is_masked_however_it_is_written() {
        for number in [
            "+14155550123",
            "14155550123",
            "4155550123",
            "+1 415 555 0123",
            "+1 (415) 555-0123",
            "(415) 555-0123",
            "415 555 0123",
            "415-555-0123",
            "1.415.555.0123",
            "+49 30 901820",
        ] {
            check(&format!("to {number}, once"), "to +***, once");
            check(&format!("[{number}]"), "[+***]");
        }
    }

    #[test]
    fn what_an_operator_needs_stays() {
        check(
            "21422 number not available (status 400)",
            "21422 number not available (status 400)",
        );
        check(
            "job 0198c0de-7c3a-7000-8000-000000000001",
            "job 0198c0de-7c3a-7000-8000-000000000001",
        );
        check("at 2026-11-20 14:35:00.123", "at 2026-11-20 14:35:00.123");
        check("3 of 12 (400 ms)", "3 of 12 (400 ms)");
        check("number 12 34", "number 12 34");
        check(
            "subscription sub_1SFixture0000000001",
            "subscription sub_1SFixture0000000001",
        );
    }
}
