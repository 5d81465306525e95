//! What a message says, in the form that Slack's incoming webhooks take: `{"text": ...}` in mrkdwn. Others
//! (Mattermost, Rocket.Chat, Discord's `/slack`) take it too. Pure.
//!
//! Everything that the client wrote stands in code spans and blocks, in which nothing is a link, a mention or a
//! format, and cannot end them: its backticks are shown as `<U+0060>`.

use serde_json::{Value, json};

use super::message::{Event, deny_command};
use super::{Content, Part};
use crate::gate::facts::{About, approve_command, facts, show_command, state};
use crate::gate::{HoldState, HoldView};
use crate::text::Untrusted;

/// Of the statement no more bytes than this are shown, as they are written in the message: Slack cuts or refuses what
/// is longer than 40,000 characters, and nobody shall keep approvers from hearing of a hold by making it long.
const SQL_BYTES_MAX: usize = 8_000;

/// Of any other value.
const VALUE_BYTES_MAX: usize = 600;

/// Of all facts together.
const FACTS_BYTES_MAX: usize = 20_000;

/// Of each sort of fact no more than this many are shown.
const FACTS_OF_A_SORT_MAX: usize = 8;

/// What an approver needs at first sight, in this order.
const TOLD: [About; 14] = [
    About::Who,
    About::Database,
    About::Risk,
    About::Radius,
    About::Expires,
    About::Transaction,
    About::Claim,
    About::Does,
    About::Touches,
    About::Warning,
    About::Trigger,
    About::Why,
    About::Policy,
    About::Value,
];

/// What the next approver needs, who may not have read the first message.
const TOLD_IN_BETWEEN: [About; 8] = [
    About::Who,
    About::Database,
    About::Risk,
    About::Radius,
    About::Expires,
    About::Touches,
    About::Approvals,
    About::Approved,
];

/// What is still of interest when it is over.
const TOLD_AT_THE_END: [About; 5] = [About::Who, About::Database, About::Approvals, About::Approved, About::Ended];

pub(super) fn body(event: Event, hold: &HoldView, content: Content) -> Value {
    let mut lines = vec![head(event, hold)];
    let told = match event {
        Event::Held => &TOLD[..],
        Event::PartlyApproved => &TOLD_IN_BETWEEN[..],
        Event::Ended => &TOLD_AT_THE_END[..],
    };
    let facts = facts(hold);
    let mut room = FACTS_BYTES_MAX;
    for about in told.iter().filter(|about| **about != About::Value || content.params == Part::Included) {
        let of_a_sort: Vec<_> = facts.iter().filter(|fact| fact.about == *about).collect();
        let mut shown = 0;
        for fact in of_a_sort.iter().take(FACTS_OF_A_SORT_MAX) {
            let line = format!("*{}:* {}", about.spoken(), span(&fact.value));
            let Some(left) = room.checked_sub(line.len()) else { break };
            room = left;
            shown += 1;
            lines.push(line);
        }
        if shown < of_a_sort.len() {
            lines.push(format!("... and {} more", of_a_sort.len() - shown));
        }
    }
    if content.params == Part::Withheld && !hold.params.is_empty() {
        lines.push(format!("_Bind values that are not shown here: {}._", hold.params.len()));
    }
    lines.push(statement(hold, content));
    if hold.state == HoldState::Pending {
        for (what, command) in
            [("Look", show_command(hold, "")), ("Approve", approve_command(hold, "")), ("Deny", deny_command(hold))]
        {
            lines.push(format!("*{what}:* {}", span(&command)));
        }
    }
    json!({ "text": lines.join("\n") })
}

fn head(event: Event, hold: &HoldView) -> String {
    match event {
        Event::Held => {
            let people = if hold.needs == 1 { "a person".to_owned() } else { format!("{} people", hold.needs) };
            format!("*pgsluice: {} waits for {people} to approve it* ({} risk)", hold.id, hold.risk)
        }
        Event::PartlyApproved => {
            let more = usize::try_from(hold.needs).unwrap_or(usize::MAX).saturating_sub(hold.approvals.len());
            format!("*pgsluice: {} is approved and waits for {more} more* ({} risk)", hold.id, hold.risk)
        }
        Event::Ended => format!("*pgsluice: {}* {}", hold.id, span(&state(hold))),
    }
}

fn statement(hold: &HoldView, content: Content) -> String {
    if content.sql == Part::Withheld {
        return "_The statement is not shown here._".to_owned();
    }
    // No character is written as less than one byte: the rest of a long text need not be looked at.
    let beginning: String = hold.sql.chars().take(SQL_BYTES_MAX + 1).collect();
    let (shown, rest) = inert(&Untrusted::block(&beginning, 0).to_string(), SQL_BYTES_MAX);
    let block = format!("```\n{shown}\n```");
    match rest {
        Rest::None => block,
        Rest::Cut => format!("{block}\n_This is only the beginning of {} bytes._", hold.sql.len()),
    }
}

/// Text as a code span.
fn span(text: &str) -> String {
    match inert(&Untrusted::line(text).to_string(), VALUE_BYTES_MAX) {
        (empty, _) if empty.trim().is_empty() => "(nothing)".to_owned(),
        (shown, Rest::None) => format!("`{shown}`"),
        (shown, Rest::Cut) => format!("`{shown}...`"),
    }
}

/// Whether there was more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    Cut,
}

/// Text that ends no code, and in which nothing is a link or a mention; no more bytes of it than allowed.
fn inert(text: &str, bytes_max: usize) -> (String, Rest) {
    let mut out = String::new();
    for character in text.chars() {
        let before = out.len();
        match character {
            '`' => out.push_str("&lt;U+0060&gt;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
        if out.len() > bytes_max {
            out.truncate(before);
            return (out, Rest::Cut);
        }
    }
    (out, Rest::None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::view::sample;

    const USUAL: Content = Content { sql: Part::Included, params: Part::Withheld };

    fn pending() -> HoldView {
        HoldView { state: HoldState::Pending, ended: None, ..sample::hold() }
    }

    fn text(event: Event, hold: &HoldView, content: Content) -> String {
        body(event, hold, content)["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn it_reads_well() {
        insta::assert_snapshot!(text(Event::Held, &pending(), USUAL));
        insta::assert_snapshot!(text(Event::Ended, &sample::hold(), USUAL));
        insta::assert_snapshot!(text(Event::PartlyApproved, &pending(), USUAL));
    }

    #[test]
    fn nothing_of_the_client_is_a_format_a_link_or_a_mention() {
        let mut hold = pending();
        let lie = "x``` *approved* <!channel> <https://evil|click> @here `\u{202e}";
        hold.sql = format!("{lie}\n```\n{lie}");
        hold.identity = lie.to_owned();
        hold.reason = Some(lie.to_owned());
        hold.application_name = lie.to_owned();
        let text = text(Event::Held, &hold, USUAL);
        assert!(!text.contains(['<', '>', '\u{202e}']), "{text}");
        // Outside of code there are only words of ours.
        let (mut outside, mut in_code) = (String::new(), false);
        for part in text.replace("```", "`").split('`') {
            if !in_code {
                outside.push_str(part);
            }
            in_code = !in_code;
        }
        assert!(in_code, "as many spans begin as end: {text}");
        assert!(!outside.contains("evil") && !outside.contains("@here") && !outside.contains("approved*"), "{outside}");
    }

    #[test]
    fn what_is_withheld_is_nowhere() {
        let mut hold = pending();
        hold.params = vec!["S3CRET::text".to_owned()];
        assert!(!text(Event::Held, &hold, USUAL).contains("S3CRET"));
        let all = Content { params: Part::Included, ..USUAL };
        assert!(text(Event::Held, &hold, all).contains("S3CRET"));
        let least = Content { sql: Part::Withheld, ..USUAL };
        assert!(!text(Event::Held, &hold, least).contains("DELETE FROM"));
    }

    #[test]
    fn it_is_bounded() {
        let mut hold = pending();
        hold.sql = "`".repeat(1 << 20);
        hold.reasons = vec!["`".repeat(1 << 16); 1000];
        let text = text(Event::Held, &hold, USUAL);
        assert!(text.len() < 40_000 && text.contains("only the beginning"), "{}", text.len());
        // What counts most is still there.
        for part in ["Who asks", "Risk", "Blast radius", "Expires", "and 9", "pgsluice holds approve h-7k2m"] {
            assert!(text.contains(part), "{part} is missing");
        }
    }
}
