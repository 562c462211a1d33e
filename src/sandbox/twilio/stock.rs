//! The phone numbers for sale: finite per area code, the same ones for the same seed.

use rand::RngExt;
use serde_json::{Value, json};

use super::{Twilio, errors};
use crate::sandbox::wire::{Reply, Request};

/// Exchange codes 200 to 999, ten thousand lines each.
const NUMBERS_PER_AREA: u64 = 8_000_000;
/// Prime, so that the stock is spread over the area without meeting itself.
const STRIDE: u64 = 7_919;
const PAGE_SIZE: usize = 30;
const TOLL_FREE: &str = "833";

/// What can be bought at most.
#[derive(Debug, Clone)]
pub struct Stock {
    pub seed: u64,
    /// In every area code that is not sold out.
    pub numbers_per_area_code: u32,
    pub sold_out_area_codes: Vec<String>,
    /// Where numbers without a wish for an area code come from.
    pub default_area_code: String,
}

impl Stock {
    /// A thousand numbers in each area code but 212, which has none.
    pub fn with_seed(seed: u64) -> Stock {
        Stock {
            seed,
            numbers_per_area_code: 1000,
            sold_out_area_codes: vec!["212".to_owned()],
            default_area_code: "415".to_owned(),
        }
    }

    /// As large, of other numbers: another seller's.
    pub(in crate::sandbox) fn of_another(&self) -> Stock {
        Stock {
            seed: self.seed.wrapping_add(1),
            ..self.clone()
        }
    }

    /// Three digits, the first of them 2 to 9.
    pub(in crate::sandbox) fn is_area_code(code: &str) -> bool {
        code.len() == 3
            && code.bytes().all(|byte| byte.is_ascii_digit())
            && code.as_bytes()[0] >= b'2'
    }

    pub(in crate::sandbox) fn size(&self, area_code: &str) -> u64 {
        if self
            .sold_out_area_codes
            .iter()
            .any(|code| code == area_code)
        {
            return 0;
        }
        u64::from(self.numbers_per_area_code).min(NUMBERS_PER_AREA)
    }

    /// The nth number of an area, in E.164.
    pub(in crate::sandbox) fn number(&self, area_code: &str, nth: u64) -> String {
        let place = (nth * STRIDE + self.offset(area_code)) % NUMBERS_PER_AREA;
        format!(
            "+1{area_code}{:03}{:04}",
            200 + place / 10_000,
            place % 10_000
        )
    }

    /// Whether a number is one of the stock, sold or not.
    pub(in crate::sandbox) fn holds(&self, number: &str) -> bool {
        let Some(digits) = number
            .strip_prefix("+1")
            .filter(|digits| digits.len() == 10)
        else {
            return false;
        };
        let area_code = &digits[..3];
        let range = 0..self.size(area_code);
        Stock::is_area_code(area_code)
            && range
                .into_iter()
                .any(|nth| self.number(area_code, nth) == number)
    }

    fn offset(&self, area_code: &str) -> u64 {
        let code: u64 = area_code
            .bytes()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        (self.seed % NUMBERS_PER_AREA + code * 104_729) % NUMBERS_PER_AREA
    }
}

impl Twilio {
    /// Numbers of the stock that nobody owns, beginning at a random place: two callers mostly see
    /// different candidates, and sometimes the same.
    pub(super) fn on_sale(
        &mut self,
        area_code: &str,
        is_wanted: impl Fn(&str) -> bool,
        count: usize,
    ) -> Vec<String> {
        let size = self.stock.size(area_code);
        if size == 0 {
            return Vec::new();
        }
        let first = self.dice.random_range(0..size);
        let numbers = (0..size).map(|step| self.stock.number(area_code, (first + step) % size));
        numbers
            .filter(|number| {
                is_wanted(number)
                    && !self
                        .numbers
                        .iter()
                        .any(|owned| owned.phone_number == *number)
            })
            .take(count)
            .collect()
    }

    /// Of `kind` `Local` or `TollFree`; there is nothing `Mobile` in the only country there is.
    pub(super) fn search(
        &mut self,
        account: usize,
        country: &str,
        kind: &str,
        request: &Request,
    ) -> Result<Reply, Reply> {
        if !self.accounts[account].is_active() {
            return Err(errors::not_active());
        }
        if country != "US" {
            return Err(errors::not_found(&request.path));
        }
        let of_kind = match kind {
            "TollFree" => TOLL_FREE,
            _ => &self.stock.default_area_code,
        };
        let area_code = request.params.get("AreaCode").unwrap_or(of_kind).to_owned();
        if !Stock::is_area_code(&area_code) {
            return Err(errors::error(400, 21451, "Invalid area code"));
        }
        let size = request
            .params
            .get("PageSize")
            .and_then(|size| size.parse().ok());
        let pattern = request
            .params
            .get("Contains")
            .unwrap_or_default()
            .to_owned();
        let found = self.on_sale(
            &area_code,
            |number| contains(number, &pattern),
            size.unwrap_or(PAGE_SIZE).min(1000),
        );
        let body = json!({
            "uri": request.path,
            "available_phone_numbers": found.iter().map(|number| available(number)).collect::<Vec<_>>(),
        });
        Ok(Reply::done(200, body))
    }
}

/// Whether the pattern's digits occur in the number, `*` standing for any one digit.
fn contains(number: &str, pattern: &str) -> bool {
    let pattern = pattern.trim_start_matches('+').as_bytes();
    let digits = number.trim_start_matches('+').as_bytes();
    let fits = |window: &[u8]| {
        window
            .iter()
            .zip(pattern)
            .all(|(digit, wish)| *wish == b'*' || digit == wish)
    };
    pattern.is_empty() || digits.windows(pattern.len()).any(fits)
}

fn available(number: &str) -> Value {
    json!({
        "phone_number": number,
        "friendly_name": friendly_name(number),
        "lata": "722",
        "rate_center": "SNFC CNTRL",
        "latitude": "37.780000",
        "longitude": "-122.420000",
        "locality": "San Francisco",
        "region": "CA",
        "postal_code": "94103",
        "iso_country": "US",
        "address_requirements": "none",
        "beta": false,
        "capabilities": {"voice": true, "SMS": true, "MMS": true, "fax": false},
    })
}

/// `(415) 555-2671`, the name of a number nobody named.
pub(super) fn friendly_name(number: &str) -> String {
    format!("({}) {}-{}", &number[2..5], &number[5..8], &number[8..12])
}
