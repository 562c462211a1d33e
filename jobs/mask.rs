//! Takes secrets, phone numbers and e-mail addresses out of a text before it is logged or stored.

/// The text with everything masked that must not leave the process, cut to 2,000 characters.
///
/// Masked are: words with a known secret prefix, digit runs of seven and more (phone numbers, with
/// or without `+` and separators inside a word), hexadecimal runs of 32 and more that are no UUID
/// (tokens), and anything with an `@` inside (addresses). Provider ids (`CA…`, `PN…`, `sub_…`) stay
/// readable as far as their own form allows.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().take(2000) {
        if c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | ',' | ';' | '(' | ')' | '<' | '>' | '&' | '=' | '/'
            )
        {
            push_masked(&mut out, &word);
            word.clear();
            out.push(c);
        } else {
            word.push(c);
        }
    }
    push_masked(&mut out, &word);
    out
}

const SECRET_PREFIXES: [&str; 10] = [
    "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "tk_live_", "tk_test_", "eyJ",
    "Bearer", "Basic",
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
        check("at 2026-11-20", "at 2026-11-20");
        check(
            "subscription sub_1SFixture0000000001",
            "subscription sub_1SFixture0000000001",
        );
    }
}
