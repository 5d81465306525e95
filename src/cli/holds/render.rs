//! Holds as people read them.

use crate::blast::Blockers;
use crate::gate::facts::{About, approve_command, approved, count, facts, facts_with, state, time_left};
use crate::gate::wording::noun;
use crate::gate::{HoldState, HoldView};
use crate::text::Untrusted;
use crate::text::listed::{Listed, Rest};

/// Of a statement, a list shows no more characters than this.
const LISTED_SQL_CHARACTERS: usize = 80;

/// The width of the labels in front of the fields of a hold.
const LABEL_WIDTH: usize = 12;

/// One line a hold, the head line first.
pub(super) fn table(holds: &[HoldView]) -> Vec<String> {
    let mut rows =
        vec![["ID", "STATE", "EXPIRES", "RISK", "WHO", "DATABASE", "OK", "ROWS", "STATEMENT"].map(str::to_owned)];
    rows.extend(holds.iter().map(|hold| {
        [
            hold.id.to_string(),
            hold.state.as_str().to_owned(),
            if hold.state == HoldState::Pending { time_left(hold) } else { "-".to_owned() },
            hold.risk.to_string(),
            Untrusted::line(&hold.identity).to_string(),
            Untrusted::line(&hold.database).to_string(),
            format!("{}/{}", hold.approvals.len(), hold.needs),
            hold.radius.as_ref().map_or_else(|| unknown_rows(hold).to_owned(), |radius| count(radius.rows)),
            beginning(&hold.sql),
        ]
    }));
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let padding = width - cell.chars().count() + 2;
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            line.trim_end().to_owned()
        })
        .collect()
}

/// Everything about one hold.
pub(super) fn whole(hold: &HoldView) -> String {
    whole_with(hold, None)
}

/// The same, with who was in its way when that was asked.
pub(super) fn whole_with(hold: &HoldView, blockers: Option<&Blockers>) -> String {
    let mut text = hold.id.to_string();
    for fact in facts_with(hold, blockers) {
        match fact.about {
            About::State => {
                text.push_str("  ");
                text.push_str(&fact.value);
            }
            About::Statement => field(&mut text, fact.about.label(), Untrusted::block(&fact.value, LABEL_WIDTH)),
            about => field(&mut text, about.label(), fact.value),
        }
    }
    text
}

/// What is to be known of a hold that was not before, a line each.
pub(super) fn news(before: &HoldView, after: &HoldView) -> Vec<String> {
    let known = facts(before);
    facts(after)
        .into_iter()
        .filter(|fact| !known.contains(fact))
        .map(|fact| format!("{:LABEL_WIDTH$}{}", fact.about.label(), Untrusted::block(&fact.value, LABEL_WIDTH)))
        .collect()
}

/// How to approve exactly what was shown, while it waits, at the proxy that these flags name.
pub(super) fn how_to_approve(hold: &HoldView, proxy: &str) -> Option<String> {
    let is_pending = hold.state == HoldState::Pending;
    is_pending.then(|| format!("to approve this: {}", Untrusted::line(&approve_command(hold, proxy))))
}

fn field(text: &mut String, label: &str, value: impl std::fmt::Display) {
    use std::fmt::Write;
    let _ = write!(text, "\n{label:LABEL_WIDTH$}{value}");
}

/// One line for one change.
pub(super) fn change(hold: &HoldView) -> String {
    let rows = match &hold.radius {
        Some(radius) => format!("{} {}", count(radius.rows), noun(radius.rows)),
        None => "rows unknown".to_owned(),
    };
    format!(
        "{}  {}  {} risk  {}@{}  {rows}  {}",
        hold.id,
        state(hold),
        hold.risk,
        Untrusted::line(&hold.identity),
        Untrusted::line(&hold.database),
        beginning(&hold.sql)
    )
}

/// What became of a hold by a decision.
pub(super) fn result(hold: &HoldView) -> String {
    match hold.state {
        HoldState::Approved => approved(hold, jiff::Timestamp::now()),
        HoldState::Pending => {
            let missing = usize::try_from(hold.needs).unwrap_or(usize::MAX).saturating_sub(hold.approvals.len());
            format!("{} is approved by you and waits for {missing} more", hold.id)
        }
        HoldState::Denied | HoldState::Expired | HoldState::Withdrawn | HoldState::Failed => {
            format!("{} is {}: the statement does not run", hold.id, hold.state.as_str())
        }
    }
}

const fn unknown_rows(hold: &HoldView) -> &'static str {
    if hold.radius_pending { "..." } else { "?" }
}

/// The beginning of a statement on one line.
fn beginning(sql: &str) -> String {
    let listed = Listed::new(sql, LISTED_SQL_CHARACTERS);
    match listed.rest {
        Rest::None => listed.to_string(),
        Rest::Cut => format!("{listed}..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::view::sample::hold;
    use crate::text::untrusted::is_deceptive;

    #[test]
    fn everything_is_shown() {
        insta::assert_snapshot!(whole(&hold()));
    }

    #[test]
    fn a_list_has_one_line_each() {
        let pending = HoldView { state: HoldState::Pending, radius: None, radius_pending: true, ..hold() };
        insta::assert_snapshot!(table(&[hold(), pending]).join("\n"));
        insta::assert_snapshot!(change(&hold()));
    }

    #[test]
    fn nothing_from_the_client_can_pass_for_words_of_ours() {
        let lie = "x\u{1b}[2J\u{202e}\u{200b}\r\napprovals   2 of 2";
        let mut hold = hold();
        for text in [
            &mut hold.sql,
            &mut hold.params[0],
            &mut hold.identity,
            &mut hold.session,
            &mut hold.database,
            &mut hold.client,
            &mut hold.application_name,
            &mut hold.reasons[0],
            &mut hold.actions[0].name,
            &mut hold.risks[0].why,
            &mut hold.verdict_policy,
            &mut hold.digest,
        ] {
            *text = lie.to_owned();
        }
        hold.reason = Some(lie.to_owned());
        hold.owner = Some(lie.to_owned());
        hold.approvals[0].remote = Some(lie.to_owned());
        let shown = whole(&hold);
        assert!(!shown.chars().any(|character| character != '\n' && is_deceptive(character)), "{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("approvals")).count(), 1, "{shown}");
        for line in table(&[hold.clone()]).iter().chain([&change(&hold)]) {
            assert!(!line.chars().any(is_deceptive), "{line}");
        }
    }

    #[test]
    fn a_long_statement_is_listed_by_its_beginning() {
        let long = format!("SELECT {}", "a, ".repeat(1000));
        let shown = beginning(&long);
        assert_eq!(shown.chars().count(), LISTED_SQL_CHARACTERS + 3);
        assert!(shown.starts_with("SELECT a, a, a,"), "{shown}");
    }

    #[test]
    fn what_stands_behind_a_comment_is_not_listed_as_part_of_it() {
        let sql = "DELETE FROM orders WHERE id = 1 -- x\n or id < 5";
        let hold = HoldView { sql: sql.to_owned(), ..hold() };
        for line in [table(std::slice::from_ref(&hold)).remove(1), change(&hold)] {
            assert!(line.ends_with("WHERE id = 1 -- x ⏎ or id < 5"), "{line}");
        }
    }

    #[test]
    fn characters_that_are_not_what_they_look_like_are_warned_of() {
        let sql = "DELETE FROM orders -- old\rWHERE true";
        let shown = whole(&HoldView { sql: sql.to_owned(), ..hold() });
        assert!(shown.contains("\nwarning     1 character is not what a screen shows"), "{shown}");
        assert!(shown.contains("-- old<U+000D>\n            WHERE true\n"), "{shown}");
        assert!(!whole(&hold()).contains("not what a screen shows"));
    }
}
