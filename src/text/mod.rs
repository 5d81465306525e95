//! What people are shown: text that others wrote, made safe to print, excerpts that underline a place in a source, and
//! times. Pure.

pub mod excerpt;
pub mod json;
pub mod listed;
pub mod untrusted;

pub use excerpt::Excerpt;
pub use listed::Listed;
pub use untrusted::Untrusted;

/// A time as every face and every record writes it: RFC 3339 with milliseconds, UTC.
#[must_use]
pub fn rfc3339(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
