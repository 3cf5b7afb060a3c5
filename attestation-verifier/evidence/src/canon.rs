//! Canonical bytes of a JSON tree: RFC 8785, made exact for numbers that a double cannot hold (docs/WIRE.md, P1).

use std::cmp::Ordering;

use crate::json::{ROOM, Value, write_string};

/// The canonical text of a value. Two values have the same text exactly when they are equal as JSON values: members
/// as a set, numbers by exact value, strings by code points.
///
/// A number whose RFC 8785 text does not have the token's exact value is written `[-]D"e"E`: D the significant digits
/// without leading or trailing zeros, E a plain integer.
pub fn canon(value: &Value) -> String {
    let mut out = String::with_capacity(ROOM);
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(token) if is_plain(token) => out.push_str(token),
        Value::Number(token) => out.push_str(&number(token)),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| in_utf16(a, b));
            out.push('{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

/// The order of RFC 8785, section 3.2.3: by UTF-16 code units. Of ASCII it is that of the bytes.
fn in_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Digits that every double holds exactly, and that ECMAScript writes as they are.
const EXACT_DIGITS: usize = 15;

/// Whether a token is a short integer without a sign, which is its own canonical text.
fn is_plain(token: &str) -> bool {
    let leads_with_zero = token.len() > 1 && token.starts_with('0');
    token.len() <= EXACT_DIGITS && !leads_with_zero && token.bytes().all(|byte| byte.is_ascii_digit())
}

/// The canonical text of a number token (grammar of RFC 8259 section 6).
fn number(token: &str) -> String {
    let exact = Decimal::of(token);
    if exact.digits.is_empty() {
        return "0".to_owned();
    }
    if let Ok(double) = token.parse::<f64>()
        && double.is_finite()
    {
        let mut buffer = ryu_js::Buffer::new();
        let text = buffer.format_finite(double);
        if Decimal::of(text) == exact {
            return text.to_owned();
        }
    }
    format!("{}{}e{}", if exact.negative { "-" } else { "" }, exact.digits, exact.exponent)
}

/// An exact decimal: `digits × 10^exponent`, digits without leading or trailing zeros, empty for zero.
#[derive(Debug, Eq, PartialEq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(token: &str) -> Self {
        let (negative, rest) = token.strip_prefix('-').map_or((false, token), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // The parser limits tokens to 256 bytes and exponents to four digits, so this sum is far from overflowing.
        let written: i64 = exponent.trim_start_matches('+').parse().unwrap_or(0);
        let mut exponent = written - i64::try_from(fraction.len()).unwrap_or(0);
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        exponent += i64::try_from(significant.len() - digits.len()).unwrap_or(0);
        if digits.is_empty() {
            return Self { negative: false, digits: String::new(), exponent: 0 };
        }
        Self { negative, digits: digits.to_owned(), exponent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, Name, parse};
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        canon(&parse(text.as_bytes(), &Limits::THEIRS).unwrap())
    }

    #[test]
    fn the_examples_of_the_protocol_hold() {
        for (token, expected) in [
            ("9007199254740993", "9007199254740993e0"),
            ("1e400", "1e400"),
            ("1.0", "1"),
            ("-0", "0"),
            ("-0.0e7", "0"),
            ("1e-400", "1e-400"),
            ("4.9e-324", "49e-325"),
            ("5e-324", "5e-324"),
            ("-12.50", "-12.5"),
            ("1E+2", "100"),
            ("0.1", "0.1"),
            ("0.10000000000000000555", "10000000000000000555e-20"),
            ("100000000000000000000000", "1e+23"),
        ] {
            assert_eq!(canonical(token), expected, "{token}");
        }
    }

    /// Appendix B of RFC 8785: doubles by their bits and the text that ECMAScript gives them.
    #[test]
    fn the_number_samples_of_rfc_8785_hold() {
        for (bits, expected) in [
            (0x0000_0000_0000_0001_u64, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
        ] {
            assert_eq!(canonical(&format!("{:e}", f64::from_bits(bits))), expected);
        }
    }

    #[test]
    fn what_is_taken_as_it_is_is_what_ecmascript_writes() {
        let samples = (0..2_000_u64).chain((0..15).flat_map(|power| {
            let edge = 10_u64.pow(power);
            [edge.saturating_sub(1), edge, edge + 1]
        }));
        for n in samples.chain([999_999_999_999_999]) {
            let token = n.to_string();
            assert!(is_plain(&token));
            assert_eq!(number(&token), token);
        }
        assert!(!is_plain("1000000000000000"));
        for other in ["-1", "1.0", "1e2", "0.5", "01"] {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn members_sort_by_utf_16_units() {
        // U+1F600 is the units d83d de00 and so stands before U+FB33.
        let text = "{\"\u{fb33}\":1,\"\u{1f600}\":2,\"a\":3,\"\":4,\"\\r\":5}";
        assert_eq!(canonical(text), "{\"\":4,\"\\r\":5,\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    fn values() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("finite", |d| d.is_finite()).prop_map(|d| format!("{d:e}")),
            "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            number.prop_map(Value::Number),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| Value::Object(
                    map.into_iter().map(|(name, value)| (Name::from(name), value)).collect()
                )),
            ]
        })
    }

    /// Equality of JSON values, written without the code under test.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => equal_by_long_hand(a, b),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, value)| b.iter().any(|(n, v)| n == name && same(value, v)))
            }
            (a, b) => a == b,
        }
    }

    /// Compares two tokens by writing both out as plain decimals with 1,300 places on either side.
    fn equal_by_long_hand(a: &str, b: &str) -> bool {
        fn plain(token: &str) -> (bool, Vec<u8>) {
            let negative = token.starts_with('-');
            let token = token.trim_start_matches('-').to_ascii_lowercase();
            let (mantissa, exponent) = token.split_once('e').unwrap_or((&token, "0"));
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let point = 1300 + exponent.parse::<i64>().unwrap() + i64::try_from(whole.len()).unwrap();
            let mut places = vec![b'0'; 2700];
            for (at, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
                let place = point - i64::try_from(whole.len()).unwrap() + i64::try_from(at).unwrap();
                places[usize::try_from(place).unwrap()] = digit;
            }
            // Places run from the most significant digit; both tokens share the position of the point.
            let shift = i64::try_from(whole.len()).unwrap();
            places.rotate_right(usize::try_from(100 - shift).unwrap());
            let zero = places.iter().all(|p| *p == b'0');
            (negative && !zero, places)
        }
        plain(a) == plain(b)
    }

    proptest! {
        #[test]
        fn canon_is_injective_by_value(a in values(), b in values()) {
            prop_assert_eq!(canon(&a) == canon(&b), same(&a, &b));
        }

        #[test]
        fn a_number_and_its_neighbours_agree_only_when_equal(
            a in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", shift in -3_i32..3, zeros in 0_usize..4,
        ) {
            // The same value written another way, when it can be; a different one otherwise.
            let (mantissa, exponent) = a.split_once(['e', 'E']).unwrap_or((&a, "0"));
            let padded = if mantissa.contains('.') { format!("{mantissa}{}", "0".repeat(zeros)) } else { mantissa.to_owned() };
            let other = format!("{padded}e{}", exponent.trim_start_matches('+').parse::<i32>().unwrap() + shift);
            let (x, y) = (Value::Number(a.clone()), Value::Number(other));
            prop_assert_eq!(canon(&x) == canon(&y), same(&x, &y));
        }

        #[test]
        fn canon_is_a_fixed_point(value in values()) {
            let once = canon(&value);
            prop_assert_eq!(canonical(&once), once);
        }
    }
}
