//! Into how many segments a text message is cut, which is what it costs.

/// The basic character set of GSM 03.38 beyond ASCII letters and digits; the second one takes two places each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
const EXTENDED: &str = "^{}\\[~]|€";

/// Of 160 characters, or of 153 where there are several; a text with any other character is sent in units of 16 bits,
/// of which a segment holds 70, or 67.
pub fn segments(text: &str) -> u32 {
    let septets: Option<usize> = text.chars().map(septets).sum();
    let (length, alone, joined) = match septets {
        Some(length) => (length, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    match length <= alone {
        true => 1,
        false => u32::try_from(length.div_ceil(joined)).unwrap_or(u32::MAX),
    }
}

fn septets(c: char) -> Option<usize> {
    match c {
        c if c.is_ascii_alphanumeric() || BASIC.contains(c) => Some(1),
        c if EXTENDED.contains(c) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_as_carriers_cut_it() {
        for (text, count) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("ж".repeat(134), 2),
            ("ж".repeat(135), 3),
            // One character makes all of them wide; this one is two units of 16 bits.
            (format!("{}ж", "a".repeat(69)), 1),
            (format!("{}😀", "a".repeat(69)), 2),
            // No character of the basic set, though it looks like one.
            (format!("{}’", "a".repeat(70)), 2),
        ] {
            assert_eq!(
                segments(&text),
                count,
                "{} characters",
                text.chars().count()
            );
        }
    }
}
