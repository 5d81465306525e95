//! `[[webhook]]`: messages about holds to other systems.

use std::path::PathBuf;

use serde::Deserialize;

use super::Duration;
use super::duration::positive_duration;
use crate::cli::Failure;
use crate::notify::{Content, Format, Part, PlainHttp, Webhook};

/// Nobody needs more; each has a queue.
const WEBHOOKS_MAX: usize = 16;

/// `[[webhook]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEntry {
    /// What logs call it; its place in the file where not given.
    pub name: Option<String>,
    /// The file with the URL.
    pub url_file: PathBuf,
    /// The file with the secret that signs.
    pub secret_file: Option<PathBuf>,
    /// How messages are written.
    #[serde(default)]
    pub format: FormatEntry,
    /// Whether the statement's text is in them.
    #[serde(default = "yes")]
    pub include_sql: bool,
    /// Whether its bind values are.
    #[serde(default)]
    pub include_params: bool,
    /// How long one attempt may take.
    #[serde(default = "usual_timeout", deserialize_with = "positive_duration")]
    pub timeout: Duration,
    /// Whether a URL without TLS may lead to other machines.
    #[serde(default)]
    pub allow_http: bool,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatEntry {
    /// JSON of our own.
    #[default]
    Json,
    /// As Slack's incoming webhooks take it.
    Slack,
}

const fn yes() -> bool {
    true
}

const fn usual_timeout() -> Duration {
    Duration::seconds(10)
}

/// The webhooks that are configured.
///
/// # Errors
///
/// There are too many.
pub(super) fn webhooks(entries: Vec<WebhookEntry>) -> Result<Vec<Webhook>, Failure> {
    if entries.len() > WEBHOOKS_MAX {
        return Err(Failure::usage(format_args!("more than {WEBHOOKS_MAX} [[webhook]] entries"))
            .hint("let one of them pass the messages on to others"));
    }
    Ok(entries.into_iter().enumerate().map(|(at, entry)| webhook(at, entry)).collect())
}

fn webhook(at: usize, entry: WebhookEntry) -> Webhook {
    let part = |included| if included { Part::Included } else { Part::Withheld };
    Webhook {
        name: entry.name.unwrap_or_else(|| format!("webhook {}", at + 1)),
        url_file: entry.url_file,
        secret_file: entry.secret_file,
        format: match entry.format {
            FormatEntry::Json => Format::Json,
            FormatEntry::Slack => Format::Slack,
        },
        content: Content { sql: part(entry.include_sql), params: part(entry.include_params) },
        timeout: entry.timeout.0,
        plain: if entry.allow_http { PlainHttp::Anywhere } else { PlainHttp::LoopbackOnly },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_sent_unless_allowed() {
        let entry: WebhookEntry = toml::from_str("url_file = \"/url\"").unwrap();
        let [usual] = webhooks(vec![entry.clone()]).unwrap().try_into().unwrap();
        assert_eq!(usual.content, Content { sql: Part::Included, params: Part::Withheld });
        assert_eq!((usual.plain, usual.format), (PlainHttp::LoopbackOnly, Format::Json));
        assert_eq!(usual.name, "webhook 1");
        assert!(webhooks(vec![entry; WEBHOOKS_MAX + 1]).is_err());
        for wrong in [
            "",
            "url = \"https://x\"",
            "url_file = \"/url\"\nformat = \"xml\"",
            "url_file = \"/url\"\ntimeout = \"0s\"",
        ] {
            assert!(toml::from_str::<WebhookEntry>(wrong).is_err(), "{wrong}");
        }
    }
}
