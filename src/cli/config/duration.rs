//! Times as people write them.

use std::str::FromStr;

use serde::{Deserialize, de};

/// A duration as people write it: `500ms`, `60s`, `15m`, `1h30m`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }
}

impl FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a time is written with its unit: 500ms, 60s, 15m, 1h30m, 2d (a year at most)";
        let mut milliseconds: u64 = 0;
        let mut rest = text;
        if rest.is_empty() {
            return Err(wrong);
        }
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| !c.is_ascii_digit()).ok_or(wrong)?;
            let number: u64 = rest[..unit_at].parse().map_err(|_| wrong)?;
            rest = &rest[unit_at..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let scale = match &rest[..unit_end] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong),
            };
            rest = &rest[unit_end..];
            milliseconds = number
                .checked_mul(scale)
                .and_then(|more| milliseconds.checked_add(more))
                .filter(|total| *total <= 366 * 86_400_000)
                .ok_or(wrong)?;
        }
        Ok(Self(std::time::Duration::from_millis(milliseconds)))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A time that is not zero.
pub(super) fn positive_duration<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = Duration::deserialize(deserializer)?;
    if duration.0.is_zero() {
        return Err(de::Error::custom("this time cannot be zero"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("15", None),
            ("m", None),
            ("", None),
            ("-1s", None),
            ("1 s", None),
            ("400d", None),
            ("99999999999999999999s", None),
        ] {
            let read = text.parse::<Duration>().ok();
            assert_eq!(read.map(|duration| duration.0.as_millis()), milliseconds, "{text}");
        }
    }
}
