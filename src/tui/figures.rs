//! What is counted and measured, as the proxy tells it; what it does not tell is not known, and shown so.

use serde::Deserialize;

use super::theme::Theme;

/// One session, as `GET /v1/sessions` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) identity: String,
    pub(super) kind: String,
    pub(super) database: String,
    pub(super) client: String,
    pub(super) application_name: String,
    pub(super) tls: Option<String>,
    pub(super) statements: Option<u64>,
    pub(super) last: Option<LastStatement>,
}

/// What a session said last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct LastStatement {
    pub(super) sql: String,
    pub(super) verdict: String,
}

impl Session {
    pub(super) fn matches(&self, filter: &str) -> bool {
        let last = self.last.as_ref().map_or("", |last| last.sql.as_str());
        filter.is_empty()
            || [&self.id, &self.identity, &self.database, &self.client, last]
                .iter()
                .any(|field| field.to_lowercase().contains(filter))
    }
}

/// `GET /v1/statistics`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Statistics {
    pub(super) since: Option<String>,
    pub(super) statements: Option<Verdicts>,
    pub(super) overhead_us: Option<Histogram>,
    pub(super) upstream_us: Option<Histogram>,
    pub(super) audit: Option<AuditFigures>,
}

/// Statements by verdict since the proxy started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Verdicts {
    pub(super) pass: Option<u64>,
    pub(super) hold: Option<u64>,
    pub(super) deny: Option<u64>,
}

impl Verdicts {
    pub(super) fn sum(&self) -> Option<u64> {
        Some(self.pass? + self.hold? + self.deny?)
    }
}

/// The log's queue.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct AuditFigures {
    pub(super) queued: Option<u64>,
    pub(super) durable_lag_us: Option<Histogram>,
}

/// Times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Histogram {
    pub(super) count: Option<u64>,
    pub(super) p50: Option<u64>,
    pub(super) p99: Option<u64>,
    pub(super) p999: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) buckets: Vec<Bucket>,
}

/// How many times were at most so long, and longer than those of the bucket before.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Bucket {
    /// `None`: without a bound.
    pub(super) le: Option<f64>,
    pub(super) count: u64,
}

impl Histogram {
    /// The percentiles in words.
    pub(super) fn words(&self, theme: &Theme) -> String {
        let figures = [("p50", self.p50), ("p99", self.p99), ("p99.9", self.p999), ("max", self.max)];
        let figures = figures.map(|(name, value)| {
            format!("{name} {}", value.map_or_else(|| "not known".to_owned(), |value| duration(value, theme)))
        });
        let count = self.count.map_or_else(String::new, |count| format!("  of {}", number(count)));
        format!("{}{count}", figures.join("  "))
    }

    /// Bars, at most so many: the buckets that have anything, and those between them. A bucket with anything has a bar.
    pub(super) fn bars(&self, columns: usize, theme: &Theme) -> String {
        let filled = |bucket: &Bucket| bucket.count > 0;
        let (Some(first), Some(last)) = (self.buckets.iter().position(filled), self.buckets.iter().rposition(filled))
        else {
            return String::new();
        };
        let buckets = self.buckets.get(first..=last).unwrap_or_default();
        let each = buckets.len().div_ceil(columns.max(1)).max(1);
        let sums: Vec<u64> = buckets.chunks(each).map(|chunk| chunk.iter().map(|bucket| bucket.count).sum()).collect();
        let highest = sums.iter().copied().max().unwrap_or(0).max(1);
        let bar = |sum: &u64| {
            let level = (u128::from(*sum) * 8).div_ceil(u128::from(highest));
            theme.glyphs().bars[usize::try_from(level).unwrap_or(8).min(8)]
        };
        sums.iter().map(bar).collect()
    }

    /// The bounds of what the bars show.
    pub(super) fn range(&self, theme: &Theme) -> Option<(String, String)> {
        let filled = |bucket: &&Bucket| bucket.count > 0;
        let bound = |bucket: &Bucket| bucket.le.map(|le| duration(le.max(0.0).round() as u64, theme));
        let first = self.buckets.iter().find(filled).and_then(bound)?;
        let last = self.buckets.iter().rev().find(filled).and_then(bound).or_else(|| {
            let max = self.max?;
            Some(duration(max, theme))
        })?;
        Some((first, last))
    }
}

/// `87 µs`, `1.2 ms`, `3.4 s`.
pub(super) fn duration(micros: u64, theme: &Theme) -> String {
    let tenths = |value: u64, unit: u64| format!("{}.{}", value / unit, value % unit * 10 / unit);
    match micros {
        ..1_000 => format!("{micros} {}", theme.glyphs().micro),
        1_000..1_000_000 => format!("{} ms", tenths(micros, 1_000)),
        _ => format!("{} s", tenths(micros, 1_000_000)),
    }
}

/// A number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Characters;

    fn histogram(counts: &[u64]) -> Histogram {
        let buckets = counts
            .iter()
            .enumerate()
            .map(|(at, count)| Bucket { le: Some(f64::from(1_u32 << at.min(30))), count: *count })
            .collect();
        Histogram { buckets, ..Histogram::default() }
    }

    #[test]
    fn a_small_count_still_has_a_bar() {
        let theme = Theme { characters: Characters::Ascii, ..Theme::default() };
        assert_eq!(histogram(&[0, 1, 0, 1_000_000, 0]).bars(10, &theme), ". @");
        assert_eq!(histogram(&[0, 0]).bars(10, &theme), "");
        assert!(histogram(&[1; 100]).bars(10, &theme).len() <= 10);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let statistics: Statistics = serde_json::from_str(r#"{"since":"x","sessions":3}"#).expect("JSON");
        assert_eq!((statistics.since.as_deref(), statistics.statements), (Some("x"), None));
        assert!(Histogram::default().words(&Theme::default()).contains("p50 not known"));
        let counted: Statistics = serde_json::from_str(
            r#"{"overhead_us":{"count":0,"p50":null,"buckets":[{"le":1,"count":0},{"le":null,"count":2}]}}"#,
        )
        .expect("JSON");
        assert_eq!(counted.overhead_us.and_then(|found| found.count), Some(0));
    }

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!(["0", "999", "1,000", "1,234,567"].map(str::to_owned), [0, 999, 1_000, 1_234_567].map(number));
        let theme = Theme::default();
        assert_eq!(
            ["7 µs", "1.2 ms", "3.4 s"].map(str::to_owned),
            [7, 1_250, 3_456_789].map(|us| duration(us, &theme))
        );
    }
}
