//! What a message says, as JSON of our own. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::queue::Message;
use super::{Content, Format, Part, Webhook, slack};
use crate::gate::facts::{approve_command, show_command};
use crate::gate::{HoldState, HoldView};

/// Of a statement's text a message has no more bytes than this.
const SQL_BYTES_MAX: usize = 16 << 10;

/// Of any other text.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// Of any list no more than this many entries.
const ENTRIES_MAX: usize = 100;

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A statement is held.
    Held,
    /// Somebody approved, and others have to as well.
    PartlyApproved,
    /// A hold ended.
    Ended,
}

impl Event {
    /// The name in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::PartlyApproved => "partly_approved",
            Self::Ended => "ended",
        }
    }
}

/// Writes the message for one webhook.
pub(super) fn message(event: Event, hold: &HoldView, webhook: &Webhook) -> Message {
    // Ids come again after a long while, and a hold can end twice: approved, then failed.
    let delivery = format!("{}/{}/{}", hold.id, hold.created_at, state_of(event, hold));
    let body = match webhook.format {
        Format::Json => json_body(event, hold, webhook.content, &delivery).to_string(),
        Format::Slack => slack::body(event, hold, webhook.content).to_string(),
    };
    Message { event, delivery, body: Bytes::from(body) }
}

fn state_of(event: Event, hold: &HoldView) -> Cow<'static, str> {
    match event {
        Event::Held => "held".into(),
        Event::PartlyApproved => format!("approved-{}", hold.approvals.len()).into(),
        Event::Ended => hold.state.as_str().into(),
    }
}

fn json_body(event: Event, hold: &HoldView, content: Content, delivery: &str) -> Value {
    let mut cut = Vec::new();
    let mut view = shown(hold, content);
    bound(&mut view, "", &mut cut);
    json!({
        "version": 1,
        "event": event.as_str(),
        "delivery": delivery,
        "hold": view,
        "cut": cut,
        "commands": commands(hold),
    })
}

/// The hold as `holds list --json` shows it, without what is withheld.
fn shown(hold: &HoldView, content: Content) -> Value {
    // A view has no map with keys that are not strings, so it is always JSON.
    let Ok(Value::Object(mut view)) = serde_json::to_value(hold) else { return Value::Object(Map::new()) };
    if content.sql == Part::Withheld {
        view.remove("sql");
        view.insert("sql_withheld".to_owned(), json!(true));
    }
    if content.params == Part::Withheld {
        view.remove("params");
        view.insert("params_withheld".to_owned(), json!(hold.params.len()));
    }
    Value::Object(view)
}

/// What to type; nothing once it has ended.
fn commands(hold: &HoldView) -> Value {
    if hold.state != HoldState::Pending {
        return Value::Null;
    }
    json!({ "show": show_command(hold, ""), "approve": approve_command(hold, ""), "deny": deny_command(hold) })
}

pub(super) fn deny_command(hold: &HoldView) -> String {
    format!("pgsluice holds deny {} --reason '...'", hold.id)
}

/// Cuts what is too long, and notes where (as JSON pointers, RFC 6901).
fn bound(value: &mut Value, at: &str, cut: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let limit = if at == "/sql" { SQL_BYTES_MAX } else { TEXT_BYTES_MAX };
            if let Some(shorter) = shortened(text, limit) {
                *text = shorter;
                cut.push(at.to_owned());
            }
        }
        Value::Array(entries) => {
            if entries.len() > ENTRIES_MAX {
                entries.truncate(ENTRIES_MAX);
                cut.push(at.to_owned());
            }
            entries.iter_mut().enumerate().for_each(|(index, entry)| bound(entry, &format!("{at}/{index}"), cut));
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(key, field)| bound(field, &format!("{at}/{key}"), cut)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The beginning of a text that is longer than allowed.
fn shortened(text: &str, bytes_max: usize) -> Option<String> {
    if text.len() <= bytes_max {
        return None;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Some(text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::view::sample;

    const ALL: Content = Content { sql: Part::Included, params: Part::Included };
    const USUAL: Content = Content { sql: Part::Included, params: Part::Withheld };

    fn pending() -> HoldView {
        HoldView { state: HoldState::Pending, ended: None, ..sample::hold() }
    }

    #[test]
    fn it_has_what_is_needed_to_decide() {
        let body = json_body(Event::Held, &pending(), USUAL, "d");
        for pointer in [
            "/hold/id",
            "/hold/sql",
            "/hold/identity",
            "/hold/kind",
            "/hold/owner",
            "/hold/reason",
            "/hold/actions/0/action",
            "/hold/risk",
            "/hold/radius/rows/value",
            "/hold/radius/rows/basis",
            "/hold/expires_at",
            "/hold/needs",
            "/hold/digest",
        ] {
            assert!(body.pointer(pointer).is_some_and(|value| !value.is_null()), "{pointer} is missing: {body}");
        }
        let approve = body["commands"]["approve"].as_str().unwrap();
        assert_eq!(approve, "pgsluice holds approve h-7k2m --digest 00ff00ff00ff --reason '...'");
        let ended = json_body(Event::Ended, &sample::hold(), USUAL, "d");
        assert_eq!((&ended["hold"]["ended"]["by"], &ended["commands"]), (&json!("bob"), &Value::Null));
    }

    #[test]
    fn what_is_withheld_is_nowhere() {
        let mut hold = pending();
        hold.params = vec!["S3CRET::text".to_owned()];
        hold.sql = "DELETE FROM orders WHERE owner = 'LITERAL'".to_owned();
        let usual = json_body(Event::Held, &hold, USUAL, "d").to_string();
        assert!(!usual.contains("S3CRET") && usual.contains("LITERAL") && usual.contains("\"params_withheld\":1"));
        let nothing = Content { sql: Part::Withheld, params: Part::Withheld };
        let least = json_body(Event::Held, &hold, nothing, "d").to_string();
        assert!(!least.contains("S3CRET") && !least.contains("LITERAL"), "{least}");
        assert!(json_body(Event::Held, &hold, ALL, "d").to_string().contains("S3CRET"));
    }

    #[test]
    fn it_is_bounded_and_says_where_it_was_cut() {
        let mut hold = pending();
        hold.sql = "é".repeat(SQL_BYTES_MAX);
        hold.reasons = vec!["x".repeat(TEXT_BYTES_MAX + 1); ENTRIES_MAX + 1];
        let body = json_body(Event::Held, &hold, ALL, "d");
        let cut: Vec<&str> = body["cut"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(["/sql", "/reasons", "/reasons/0"].iter().all(|place| cut.contains(place)), "{cut:?}");
        assert!(body.to_string().len() < 400 << 10, "{}", body.to_string().len());
    }

    #[test]
    fn a_delivery_is_named_once() {
        let webhook = |format| Webhook {
            name: "ops".to_owned(),
            url_file: "/url".into(),
            secret_file: None,
            format,
            content: USUAL,
            timeout: std::time::Duration::from_secs(1),
            plain: super::super::PlainHttp::LoopbackOnly,
        };
        let hold = sample::hold();
        let failed = HoldView { state: HoldState::Failed, ..hold.clone() };
        let named = |event, hold| message(event, hold, &webhook(Format::Json)).delivery;
        let names = [named(Event::Held, &hold), named(Event::Ended, &hold), named(Event::Ended, &failed)];
        assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
        assert_eq!(message(Event::Ended, &hold, &webhook(Format::Slack)).delivery, names[1]);
    }
}
