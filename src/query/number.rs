//! Compares JSON numbers exactly, as text.

use std::cmp::Ordering;

/// A JSON number, split into its parts. It borrows its text, of any length.
#[derive(Debug, Clone, Copy)]
pub struct DecimalNumber<'t> {
    is_negative: bool,
    /// The digits before and after the decimal point, without leading zeros.
    digits: [&'t [u8]; 2],
    /// The position of the decimal point relative to the first non-zero digit.
    point: i128,
    exponent_is_negative: bool,
    exponent: &'t [u8],
}

impl<'t> DecimalNumber<'t> {
    /// Splits the text of a JSON number. Returns `None` if the text is not a number.
    pub fn parse(text: &'t [u8]) -> Option<Self> {
        let (is_negative, rest) = sign(text, b"-");
        let (whole, rest) = digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => Some(digits(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
            None => (&[][..], rest),
        };
        let (exponent_is_negative, exponent) = match rest.split_first() {
            None => (false, &[][..]),
            Some((b'e' | b'E', rest)) => {
                let (is_negative, rest) = sign(rest, b"+-");
                let (exponent, rest) = digits(rest);
                (!exponent.is_empty() && rest.is_empty()).then_some((is_negative, exponent))?
            }
            Some(_) => return None,
        };
        let whole = without_zeros(whole);
        let significant = if whole.is_empty() { without_zeros(fraction) } else { fraction };
        let point = whole.len() as i128 - (fraction.len() - significant.len()) as i128;
        Some(Self { is_negative, digits: [whole, significant], point, exponent_is_negative, exponent })
    }

    /// Returns a text that is the same for equal numbers and differs for others. Returns `None` if the exponent has
    /// more than 30 digits.
    pub fn canonical(&self) -> Option<String> {
        if self.is_zero() {
            return Some("0".to_owned());
        }
        let exponent = without_zeros(self.exponent);
        let exponent = (exponent.len() <= 30)
            .then(|| exponent.iter().fold(0, |value, digit| 10 * value + i128::from(digit - b'0')))?;
        let point = self.point + if self.exponent_is_negative { -exponent } else { exponent };
        let mut digits: String = self.significant().map(char::from).collect();
        digits.truncate(digits.trim_end_matches('0').len());
        Some(format!("{}0.{digits}e{point}", if self.is_negative { "-" } else { "" }))
    }

    fn is_zero(&self) -> bool {
        self.digits[0].is_empty() && self.digits[1].is_empty()
    }

    fn significant(&self) -> impl Iterator<Item = u8> {
        self.digits[0].iter().chain(self.digits[1]).copied()
    }

    /// Compares the values without their signs. Neither is 0.
    fn compare_magnitude(&self, other: &Self) -> Ordering {
        let scale = self.exponent_minus(other) + self.point - other.point;
        scale.cmp(&0).then_with(|| {
            let (mut left, mut right) = (self.significant(), other.significant());
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        })
    }

    /// Returns the difference of the exponents, clamped to values that no number of digits can outweigh.
    fn exponent_minus(&self, other: &Self) -> i128 {
        const DECIDED: i128 = 1 << 80;
        let length = self.exponent.len().max(other.exponent.len());
        let digit = |number: &Self, at: usize| {
            let digit = (at + number.exponent.len()).checked_sub(length).map_or(b'0', |at| number.exponent[at]);
            let digit = i128::from(digit - b'0');
            if number.exponent_is_negative { -digit } else { digit }
        };
        let mut difference = 0;
        for at in 0..length {
            difference = 10 * difference + digit(self, at) - digit(other, at);
            if difference.abs() > DECIDED {
                break;
            }
        }
        difference
    }
}

/// Numbers are equal if their values are, however they are written.
impl PartialEq for DecimalNumber<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for DecimalNumber<'_> {}

impl PartialOrd for DecimalNumber<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DecimalNumber<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.is_negative) {
            (true, _) => 0,
            (false, is_negative) => {
                if is_negative {
                    -1
                } else {
                    1
                }
            }
        };
        match (sign(self), sign(other)) {
            (1, 1) => self.compare_magnitude(other),
            (-1, -1) => other.compare_magnitude(self),
            (a, b) => a.cmp(&b),
        }
    }
}

/// Removes a sign. Returns true if it is a minus.
fn sign<'t>(text: &'t [u8], signs: &[u8]) -> (bool, &'t [u8]) {
    match text.split_first() {
        Some((sign, rest)) if signs.contains(sign) => (*sign == b'-', rest),
        _ => (false, text),
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len())..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::DecimalNumber;

    fn compare(a: &str, b: &str) -> Ordering {
        DecimalNumber::parse(a.as_bytes()).unwrap().cmp(&DecimalNumber::parse(b.as_bytes()).unwrap())
    }

    #[test]
    fn numbers_compare_by_value() {
        for (less, greater) in [
            ("12345678901234567890", "12345678901234567891"),
            ("-1", "0"),
            ("-2", "-1.5"),
            ("9", "10"),
            ("0.09", "0.1"),
            ("1e-400", "1e-399"),
            ("-1e400", "1"),
            ("1e400", "1.0000000000000000000000000000001e400"),
            ("9e99999999999999999999999999999999999999999999", "1e100000000000000000000000000000000000000000000"),
            ("1e-100000000000000000000000000000000000000000000", "0.1"),
        ] {
            assert_eq!(compare(less, greater), Ordering::Less, "{less} < {greater}");
            assert_eq!(compare(greater, less), Ordering::Greater, "{greater} > {less}");
        }
        for (a, b) in [
            ("1e3", "1000"),
            ("1E+3", "1000.000"),
            ("-0", "0"),
            ("0e99", "0.00"),
            ("0.00120", "12e-4"),
            ("-1.50", "-15e-1"),
            ("10e99999999999999999999999999999999999999999999", "1e100000000000000000000000000000000000000000000"),
            ("0.1e-99999999999999999999999999999999999999999999", "1e-100000000000000000000000000000000000000000000"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "1x", "0x1", "NaN", " 1", "1 ", "--1", "1.2.3"] {
            assert!(DecimalNumber::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    /// A number as text, and its value times 10^12.
    fn number() -> impl Strategy<Value = (String, i128)> {
        let parts =
            (any::<bool>(), 0..100_000i128, proptest::option::of("[0-9]{1,5}"), proptest::option::of(-6..=6i32));
        parts.prop_map(|(is_negative, whole, fraction, exponent)| {
            let mut text = format!("{}{whole}", if is_negative { "-" } else { "" });
            let mut value = whole * 10i128.pow(18);
            if let Some(fraction) = &fraction {
                text += &format!(".{fraction}");
                value += fraction.parse::<i128>().unwrap() * 10i128.pow(18 - fraction.len() as u32);
            }
            if let Some(exponent) = exponent {
                text += &format!("e{exponent}");
                let power = 10i128.pow(exponent.unsigned_abs());
                value = if exponent < 0 { value / power } else { value * power };
            }
            (text, if is_negative { -value } else { value })
        })
    }

    proptest! {
        #[test]
        fn any_two_numbers_compare_as_integers_do((a, a_value) in number(), (b, b_value) in number()) {
            prop_assert_eq!(compare(&a, &b), a_value.cmp(&b_value), "{} and {}", a, b);
            let canonical = |text: &str| DecimalNumber::parse(text.as_bytes()).unwrap().canonical().unwrap();
            prop_assert_eq!(canonical(&a) == canonical(&b), a_value == b_value, "{} and {}", a, b);
        }

        #[test]
        fn another_spelling_is_equal((text, _) in number(), zeros in 0..40usize) {
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i64 = exponent.parse().unwrap();
            let point = if mantissa.contains('.') { "" } else { "." };
            let longer = format!("{mantissa}{point}0{}E{exponent:+}", "0".repeat(zeros));
            prop_assert_eq!(compare(&text, &longer), Ordering::Equal, "{} and {}", text, longer);
            let canonical = |text: &str| DecimalNumber::parse(text.as_bytes()).unwrap().canonical().unwrap();
            prop_assert_eq!(canonical(&text), canonical(&longer));
        }

        #[test]
        fn valid_numbers_are_those_of_json(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(DecimalNumber::parse(text.as_bytes()).is_some(), is_json, "{}", text);
        }
    }
}
