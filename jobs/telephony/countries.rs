//! Which countries may be called: a call costs what its country asks for it.

use super::e164::E164;

/// What a number of each country begins with. A country that is not listed is never allowed.
const PREFIXES: [(&str, &str); 2] = [("US", "+1"), ("CA", "+1")];

/// Whether a number lies in one of these countries (ISO 3166, upper case).
pub fn is_allowed_country(number: &E164, countries: &[String]) -> bool {
    let is_listed = |country: &str| countries.iter().any(|listed| listed == country);
    let mut allowed = PREFIXES
        .iter()
        .filter(|(country, _)| is_listed(country))
        .map(|(_, prefix)| prefix);
    allowed.any(|prefix| number.as_str().starts_with(*prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_allowed() {
        let listed = ["US".to_owned(), "FR".to_owned()];
        for (number, is_allowed) in [("+14155550199", true), ("+4930123456", false)] {
            let number: E164 = number.parse().unwrap();
            assert_eq!(is_allowed_country(&number, &listed), is_allowed);
            assert!(!is_allowed_country(&number, &[]));
        }
    }
}
