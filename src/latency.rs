//! Durations, counted: percentiles for people, buckets for machines.
//!
//! An HDR histogram with two significant digits: every percentile is within one percent of what was recorded, from
//! a nanosecond to an hour, in 37 KiB that are taken with the first value.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer durations count as this long, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Upper bounds of the buckets that machines read, in microseconds.
const BOUNDS_US: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Durations that were counted.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    histogram: Option<Box<Histogram<u64>>>,
    sum: Duration,
}

impl Latencies {
    /// None yet; takes no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { histogram: None, sum: Duration::ZERO }
    }

    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_many(duration, 1);
    }

    /// Counts a duration so many times.
    pub fn record_many(&mut self, duration: Duration, count: u64) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).clamp(1, LONGEST_NS);
        self.sum = self.sum.saturating_add(duration.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)));
        self.histogram.get_or_insert_with(empty).saturating_record_n(nanoseconds, count);
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        let Some(counted) = &other.histogram else { return };
        self.sum = self.sum.saturating_add(other.sum);
        let own = self.histogram.get_or_insert_with(empty);
        // Both have the same bounds, so that everything fits.
        let _ = own.add(&**counted);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// The duration that this share (0 to 1) of all do not exceed; `None` where none was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_nanos(histogram.value_at_quantile(share)))
    }

    /// `{"count","p50","p99","p999","max","buckets":[{"le","count"}]}` in microseconds; `null` where none was
    /// counted. A bucket counts what is at most `le` and above the `le` before it; the last has `"le":null`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let us = |share| self.quantile(share).map(|duration| ((duration.as_nanos() + 500) / 1_000).max(1));
        let mut below = 0;
        let bounds = BOUNDS_US.map(Some).into_iter().chain([None]);
        let buckets: Vec<Value> = bounds
            .map(|bound| {
                let up_to = bound.map_or(self.count(), |bound| self.count_up_to(bound));
                let count = up_to - below;
                below = up_to;
                json!({"le": bound, "count": count})
            })
            .collect();
        json!({
            "count": self.count(),
            "p50": us(0.5), "p99": us(0.99), "p999": us(0.999), "max": us(1.0),
            "buckets": buckets,
        })
    }

    /// Writes a histogram in Prometheus' text format, in seconds.
    pub fn write_prometheus(&self, out: &mut String, name: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        for bound in BOUNDS_US {
            let seconds = Duration::from_micros(bound).as_secs_f64();
            let _ = writeln!(out, "{name}_bucket{{le=\"{seconds}\"}} {}", self.count_up_to(bound));
        }
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {}", self.count());
        let _ = writeln!(out, "{name}_sum {}\n{name}_count {}", self.sum.as_secs_f64(), self.count());
    }

    fn count_up_to(&self, microseconds: u64) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.count_between(0, microseconds * 1_000))
    }
}

fn empty() -> Box<Histogram<u64>> {
    Box::new(Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are in order"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counted_is_null_and_not_zero() {
        let json = Latencies::new().to_json();
        assert_eq!((&json["count"], &json["p50"], &json["max"]), (&json!(0), &Value::Null, &Value::Null));
    }

    #[test]
    fn percentiles_and_buckets_tell_the_same() {
        let mut latencies = Latencies::new();
        latencies.record_many(Duration::from_micros(20), 98);
        latencies.record(Duration::from_millis(3));
        let mut slow = Latencies::new();
        slow.record(Duration::from_secs(7200));
        latencies.add(&slow);
        let json = latencies.to_json();
        assert_eq!(json["count"], 100);
        assert_eq!(json["p50"], 20);
        assert!((2_950..=3_050).contains(&json["p99"].as_u64().unwrap()), "{json}");
        assert_eq!(json["buckets"][1], json!({"le": 25, "count": 98}));
        assert_eq!(json["buckets"][8], json!({"le": 5_000, "count": 1}));
        assert_eq!(json["buckets"][19], json!({"le": null, "count": 1}));
        let mut text = String::new();
        latencies.write_prometheus(&mut text, "t_seconds", "Test.");
        assert!(text.contains("t_seconds_bucket{le=\"0.000025\"} 98\n"), "{text}");
        assert!(text.contains("t_seconds_bucket{le=\"10\"} 99\nt_seconds_bucket{le=\"+Inf\"} 100\n"), "{text}");
    }
}
