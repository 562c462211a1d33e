//! Which country a number is in, as far as it decides whether it may be called at all.
//!
//! Who steals a credential calls numbers that pay the one who is called; most of them are abroad, and many look like
//! numbers of the United States: a score of islands have area codes under `+1`. So what is not known to be in an
//! allowed country is not called.

use super::e164::E164;

/// ISO 3166 and the digits behind `+`, after ITU-T E.164. Of countries that share a code the largest is named.
const CALLING_CODES: &str = "\
AE971 AF93 AL355 AM374 AO244 AR54 AT43 AU61 AZ994 BA387 BD880 BE32 BF226 BG359 BH973 BI257 BJ229 BN673 BO591 BR55 \
BT975 BW267 BY375 BZ501 CD243 CF236 CG242 CH41 CI225 CL56 CM237 CN86 CO57 CR506 CU53 CV238 CY357 CZ420 DE49 DJ253 \
DK45 DZ213 EC593 EE372 EG20 ER291 ES34 ET251 FI358 FJ679 FO298 FR33 GA241 GB44 GE995 GF594 GH233 GI350 GL299 GM220 \
GN224 GP590 GQ240 GR30 GT502 GW245 GY592 HK852 HN504 HR385 HT509 HU36 ID62 IE353 IL972 IN91 IQ964 IR98 IS354 IT39 \
JO962 JP81 KE254 KG996 KH855 KM269 KP850 KR82 KW965 KZ76 KZ77 LA856 LB961 LI423 LK94 LR231 LS266 LT370 LU352 LV371 \
LY218 MA212 MC377 MD373 ME382 MG261 MK389 ML223 MM95 MN976 MO853 MQ596 MR222 MT356 MU230 MV960 MW265 MX52 MY60 \
MZ258 NA264 NC687 NE227 NG234 NI505 NL31 NO47 NP977 NZ64 OM968 PA507 PE51 PF689 PG675 PH63 PK92 PL48 PS970 PT351 \
PY595 QA974 RE262 RO40 RS381 RU7 RW250 SA966 SC248 SD249 SE46 SG65 SI386 SK421 SL232 SM378 SN221 SO252 SR597 SS211 \
SV503 SY963 SZ268 TD235 TG228 TH66 TJ992 TL670 TM993 TN216 TR90 TW886 TZ255 UA380 UG256 UY598 UZ998 VE58 VN84 VU678 \
XK383 YE967 ZA27 ZM260 ZW263 US1";

/// The area codes under `+1` that are Canada's.
const OF_CANADA: &str = "\
204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474 506 514 \
519 537 548 568 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 \
942";

/// The area codes under `+1` of other countries; and those for which the caller pays somebody, wherever they are.
const OF_OTHERS: &str = "\
242 246 264 268 284 340 345 441 473 649 658 664 670 671 684 721 758 767 784 787 809 829 849 868 869 876 939 \
500 521 522 523 524 525 526 527 528 529 532 533 544 566 577 588 600 700 710 900 976";

/// The country of a number. None: it is in none that can be allowed.
pub fn country(number: &E164) -> Option<&'static str> {
    let digits = number.as_str().trim_start_matches('+');
    let codes = CALLING_CODES.split_whitespace();
    let (country, code) = codes
        .map(|entry| entry.split_at(2))
        .filter(|(_, code)| digits.starts_with(code))
        .max_by_key(|(_, code)| code.len())?;
    if code != "1" {
        return Some(country);
    }
    let area = digits.get(1..4)?;
    let is_among = |areas: &str| areas.split_whitespace().any(|one| one == area);
    match () {
        () if digits.len() != 11 || area.starts_with(['0', '1']) => None,
        () if is_among(OF_OTHERS) => None,
        () if is_among(OF_CANADA) => Some("CA"),
        () => Some(country),
    }
}

/// Whether a country can be told by its numbers.
pub fn is_known(country: &str) -> bool {
    let mut codes = CALLING_CODES.split_whitespace();
    country == "CA" || codes.any(|entry| entry.split_at(2).0 == country)
}

/// Whether a number is in one of these countries.
pub fn is_allowed_country(number: &E164, countries: &[String]) -> bool {
    country(number).is_some_and(|country| countries.iter().any(|allowed| allowed == country))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn islands_that_look_like_home_are_abroad() {
        for (number, expected) in [
            ("+14155550123", Some("US")),
            ("+18005550123", Some("US")),
            ("+16045550123", Some("CA")),
            // Jamaica, the Bahamas, Puerto Rico, and who is paid for being called.
            ("+18765550123", None),
            ("+12425550123", None),
            ("+17875550123", None),
            ("+19005550123", None),
            // No area code begins so, and no number of North America is longer.
            ("+11155550123", None),
            ("+141555501234", None),
            ("+4930123456", Some("DE")),
            ("+447700900123", Some("GB")),
            ("+79161234567", Some("RU")),
            ("+77011234567", Some("KZ")),
            ("+3531234567", Some("IE")),
            // Satellites, and codes that nobody has.
            ("+8816123456", None),
            ("+2101234567", None),
        ] {
            assert_eq!(country(&number.parse().unwrap()), expected, "{number}");
        }
    }

    #[test]
    fn only_what_is_named_is_allowed() {
        let home = ["US".to_owned(), "CA".to_owned()];
        let allowed = |number: &str| is_allowed_country(&number.parse().unwrap(), &home);
        assert!(allowed("+14155550123") && allowed("+16045550123"));
        assert!(!allowed("+4930123456") && !allowed("+18765550123"));
        assert!(is_known("CA") && is_known("DE") && !is_known("XX"));
    }

    #[test]
    fn no_code_is_written_twice() {
        let mut codes: Vec<&str> = CALLING_CODES
            .split_whitespace()
            .map(|entry| entry.split_at(2).1)
            .collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        let shared = OF_CANADA
            .split_whitespace()
            .find(|area| OF_OTHERS.split_whitespace().any(|other| other == *area));
        assert_eq!(shared, None);
    }
}
