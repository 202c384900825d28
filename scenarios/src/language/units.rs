//! Times and shares as text: `100us`, `1m30s`, `0.5%`. Exact: integers throughout, no float.

use std::fmt::Write as _;
use std::time::Duration;

/// Units of time and their length in nanoseconds, longest first.
const UNITS: [(&str, u64); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// A time with its unit: `10s`, `0.613281250s`, `100us`, `1m30s`. Units are ns us ms s m h d.
///
/// # Errors
/// What is wrong with it, in words: a missing or unknown unit, less than a nanosecond, more than
/// 584 years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("is empty".to_owned());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_len);
        let tail = tail.trim_start();
        let unit_len = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        if number.is_empty() {
            return Err("does not begin with a number".to_owned());
        }
        if unit.is_empty() {
            return Err(format!("has no unit, as in `{number}s` or `{number}ms`"));
        }
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("has the unknown unit `{unit}`"));
        };
        let part = decimal(number, *length)?;
        total = total.checked_add(part).ok_or("is longer than 584 years")?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_nanos(total))
}

/// A share of all frames in parts per million: `5%`, `0.01%`, `50ppm`.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse_share(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let (number, scale) = match (text.strip_suffix('%'), text.strip_suffix("ppm")) {
        (Some(percent), _) => (percent, 10_000),
        (None, Some(ppm)) => (ppm, 1),
        (None, None) => return Err("has no unit, as in `5%` or `50ppm`".to_owned()),
    };
    let ppm = decimal(number.trim(), scale).map_err(|fault| match scale {
        1 => fault,
        _ => fault.replace("a nanosecond", "one in a million"),
    })?;
    match u32::try_from(ppm) {
        Ok(ppm) if ppm <= 1_000_000 => Ok(ppm),
        Ok(_) | Err(_) => Err("is more than 100%".to_owned()),
    }
}

/// `number` times `scale`, which must come out whole.
fn decimal(number: &str, scale: u64) -> Result<u64, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return Err(format!("has the number `{number}`, which is none"));
    }
    let too_long = || "is longer than 584 years".to_owned();
    let too_fine = || "is finer than a nanosecond".to_owned();
    let fraction = fraction.trim_end_matches('0');
    let divisor = 10_u128.checked_pow(fraction.len() as u32).ok_or_else(too_fine)?;
    let parts = match fraction {
        "" => 0,
        _ => fraction.parse::<u64>().map_err(|_| too_fine())?,
    };
    let parts = u128::from(parts) * u128::from(scale);
    if !parts.is_multiple_of(divisor) {
        return Err(too_fine());
    }
    let whole: u64 = whole.parse().map_err(|_| too_long())?;
    let total = u128::from(whole) * u128::from(scale) + parts / divisor;
    u64::try_from(total).map_err(|_| too_long())
}

/// The text that [`parse_duration`] reads back, in one unit: `10.5s`, `100us`, `0s`.
#[must_use]
pub fn duration_text(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, digits) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 0),
        1_000..1_000_000 => ("us", 3),
        1_000_000..1_000_000_000 => ("ms", 6),
        _ => ("s", 9),
    };
    let scale = 10_u128.pow(digits);
    let mut text = (nanos / scale).to_string();
    let fraction = nanos % scale;
    if fraction > 0 {
        let _ = write!(text, ".{fraction:0width$}", width = digits as usize);
        text.truncate(text.trim_end_matches('0').len());
    }
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_to_the_nanosecond() {
        let nanos = |text| parse_duration(text).map(|time| time.as_nanos());
        assert_eq!(nanos("10.613381250s"), Ok(10_613_381_250));
        assert_eq!(nanos("0.1 ms"), Ok(100_000));
        assert_eq!(nanos("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanos("1d"), Ok(86_400_000_000_000));
        assert_eq!(nanos("100µs"), nanos("100us"));
        assert_eq!(nanos("0.5m"), Ok(30_000_000_000));
        assert_eq!(nanos("0.0000000001d"), nanos("8640ns"));
    }

    #[test]
    fn a_time_without_a_unit_or_finer_than_a_nanosecond_is_refused() {
        let fault = |text| parse_duration(text).unwrap_err();
        assert_eq!(fault("10"), "has no unit, as in `10s` or `10ms`");
        assert_eq!(fault("10 sec"), "has the unknown unit `sec`");
        assert_eq!(fault("1.0000000001s"), "is finer than a nanosecond");
        assert_eq!(fault("-1s"), "does not begin with a number");
        assert_eq!(fault("1.2.3s"), "has the number `1.2.3`, which is none");
        assert_eq!(fault("99999999999999999999s"), "is longer than 584 years");
        assert_eq!(fault("584d 300000000h"), "is longer than 584 years");
        assert_eq!(fault(""), "is empty");
    }

    #[test]
    fn shares_are_parts_per_million() {
        assert_eq!(parse_share("5%"), Ok(50_000));
        assert_eq!(parse_share("0.01 %"), Ok(100));
        assert_eq!(parse_share("50ppm"), Ok(50));
        assert!(parse_share("101%").is_err() && parse_share("5").is_err());
        assert_eq!(parse_share("0.00001%").unwrap_err(), "is finer than one in a million");
    }

    #[test]
    fn a_written_time_is_read_back() {
        for (nanos, text) in
            [(0, "0s"), (1, "1ns"), (100_000, "100us"), (10_613_381_250, "10.61338125s")]
        {
            assert_eq!(duration_text(Duration::from_nanos(nanos)), text);
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)));
        }
        assert_eq!(duration_text(Duration::from_micros(1_500)), "1.5ms");
    }
}
