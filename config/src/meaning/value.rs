//! Numbers and times as keepalived writes them. No floats: a time is exact to the microsecond.

use std::time::Duration;

/// What keepalived takes as a truth value.
pub(super) const NAMED_BOOLEANS: [(&str, bool); 6] =
    [("on", true), ("off", false), ("true", true), ("false", false), ("yes", true), ("no", false)];

/// A whole number with an optional sign; `None` beyond 64 bits.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Seconds with up to six decimals that count.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    // Beyond 32 bits no setting has a meaning, and sums of times stay far from an overflow.
    let seconds: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let micros = decimals.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(Duration::new(u64::from(seconds), micros * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_to_the_microsecond() {
        assert_eq!(seconds("1"), Some(Duration::from_secs(1)));
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(seconds(".01"), Some(Duration::from_millis(10)));
        assert_eq!(seconds("3."), Some(Duration::from_secs(3)));
        assert_eq!(seconds("0.0000019"), Some(Duration::from_micros(1)));
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in ["", ".", "-1", "1s", "1.2.3", "1e3", "99999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
