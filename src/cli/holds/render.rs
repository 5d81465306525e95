//! Holds as people read them. Everything from the client is untrusted: it is shown so that it cannot pass for
//! words of ours.

use std::fmt::Write;

use jiff::{Timestamp, Unit};

use crate::blast::radius::{TouchedRelation, TriggerEffects, Via};
use crate::blast::{Basis, Radius, Rows};
use crate::gate::view::ActionView;
use crate::gate::{HoldState, HoldView};
use crate::text::Untrusted;

/// Of a statement, a list shows no more characters than this.
const LISTED_SQL_CHARACTERS: usize = 80;

/// The width of the labels in front of the fields of a hold.
const LABEL_WIDTH: usize = 12;

/// One line a hold, the head line first.
pub(super) fn table(holds: &[HoldView]) -> Vec<String> {
    let mut rows = vec![["ID", "STATE", "EXPIRES", "WHO", "DATABASE", "OK", "ROWS", "STATEMENT"].map(str::to_owned)];
    rows.extend(holds.iter().map(|hold| {
        [
            hold.id.to_string(),
            hold.state.as_str().to_owned(),
            if hold.state == HoldState::Pending { time_left(hold) } else { "-".to_owned() },
            Untrusted::line(&hold.identity).to_string(),
            Untrusted::line(&hold.database).to_string(),
            format!("{}/{}", hold.approvals.len(), hold.needs),
            hold.radius.as_ref().map_or_else(|| unknown_rows(hold).to_owned(), |radius| count(radius.rows)),
            beginning(&hold.sql),
        ]
    }));
    let mut widths = [0; 8];
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
    let mut text = Fields(format!("{}  {}", hold.id, state(hold)));
    text.block("statement", &hold.sql);
    for (at, param) in hold.params.iter().enumerate() {
        text.field("value", format_args!("${} = {}", at + 1, Untrusted::line(param)));
    }
    let owner =
        hold.owner.as_ref().map_or_else(String::new, |owner| format!(", for whom {} answers", Untrusted::line(owner)));
    text.field("who", format_args!("{} ({}){owner}", Untrusted::line(&hold.identity), hold.kind.as_str()));
    text.field(
        "from",
        format_args!(
            "{}, {}, session {}",
            Untrusted::line(&hold.client),
            if hold.application_name.is_empty() {
                "no application name".to_owned()
            } else {
                format!("\"{}\"", Untrusted::line(&hold.application_name))
            },
            Untrusted::line(&hold.session)
        ),
    );
    if let Some(reason) = &hold.reason {
        text.field("claims", Untrusted::line(reason));
    }
    text.field("database", Untrusted::line(&hold.database));
    text.field("search path", search_path(hold));
    for action in &hold.actions {
        text.field("does", action_line(action));
    }
    for reason in &hold.reasons {
        text.field("why", Untrusted::line(reason));
    }
    text.field("policy", Untrusted::line(&hold.verdict_policy));
    if hold.in_transaction {
        text.field("transaction", "inside one: its locks are kept while it waits");
    }
    match &hold.radius {
        Some(radius) => radius_fields(&mut text, radius),
        None if hold.radius_pending => text.field("radius", "being computed"),
        None => text.field("radius", "unknown"),
    }
    text.field("since", &hold.created_at);
    text.field("expires", &hold.expires_at);
    text.field("approvals", format_args!("{} of {}", hold.approvals.len(), hold.needs));
    for approval in &hold.approvals {
        let mut line = format!("{} at {}", Untrusted::line(&approval.by), approval.at);
        if let Some(max_rows) = approval.max_rows {
            let _ = write!(line, ", for up to {max_rows} rows");
        }
        if let Some(reason) = &approval.reason {
            let _ = write!(line, ": {}", Untrusted::line(reason));
        }
        text.field("approved", line);
    }
    if let Some(ended) = &hold.ended {
        text.field("ended", &ended.at);
    }
    text.field("digest", Untrusted::line(&hold.digest));
    text.0
}

/// One line for one change.
pub(super) fn change(hold: &HoldView) -> String {
    let rows = match &hold.radius {
        Some(radius) => format!("{} rows", count(radius.rows)),
        None => "rows unknown".to_owned(),
    };
    format!(
        "{}  {}  {}@{}  {rows}  {}",
        hold.id,
        state(hold),
        Untrusted::line(&hold.identity),
        Untrusted::line(&hold.database),
        beginning(&hold.sql)
    )
}

/// What became of a hold by a decision.
pub(super) fn result(hold: &HoldView) -> String {
    match hold.state {
        HoldState::Approved => format!("{} is approved: the statement runs now", hold.id),
        HoldState::Pending => {
            let missing = usize::try_from(hold.needs).unwrap_or(usize::MAX).saturating_sub(hold.approvals.len());
            format!("{} is approved by you and waits for {missing} more", hold.id)
        }
        HoldState::Denied | HoldState::Expired | HoldState::Withdrawn | HoldState::Failed => {
            format!("{} is {}: the statement does not run", hold.id, hold.state.as_str())
        }
    }
}

/// Lines of a label and a value each.
struct Fields(String);

impl Fields {
    fn field(&mut self, label: &str, value: impl std::fmt::Display) {
        let _ = write!(self.0, "\n{label:LABEL_WIDTH$}{value}");
    }

    /// A value with lines of its own.
    fn block(&mut self, label: &str, text: &str) {
        self.field(label, Untrusted::block(text, LABEL_WIDTH));
    }
}

fn radius_fields(text: &mut Fields, radius: &Radius) {
    text.field("radius", format_args!("{} rows{}", count(radius.rows), basis(radius.rows.basis)));
    for relation in &radius.relations {
        text.field("touches", relation_line(relation));
    }
    for trigger in &radius.triggers {
        let effects = match trigger.effects {
            TriggerEffects::Known => "what it does is listed",
            TriggerEffects::Unknown => "what that does is unknown",
        };
        let (name, function) = (Untrusted::line(&trigger.name), Untrusted::line(&trigger.function));
        text.field("trigger", format_args!("{name} runs {function}; {effects}"));
    }
    for dependent in &radius.dependents {
        let kind = dependent.kind.replace('_', " ");
        let (schema, name) = (Untrusted::line(&dependent.schema), Untrusted::line(&dependent.name));
        text.field("depends", format_args!("{} {schema}.{name}", Untrusted::line(&kind)));
    }
    for warning in &radius.warnings {
        text.field("warning", Untrusted::line(warning));
    }
}

fn relation_line(relation: &TouchedRelation) -> String {
    let mut line = format!(
        "{} {} {}: {} rows{}",
        Untrusted::line(&relation.action),
        Untrusted::line(&relation.kind.replace('_', " ")),
        qualified(relation.schema.as_deref(), &relation.name),
        count(relation.rows),
        basis(relation.rows.basis)
    );
    if let Some(share) = relation.share {
        let _ = write!(line, ", {:.0} % of it", share * 100.0);
    }
    if let Some(via) = via(relation.via) {
        let _ = write!(line, ", {via}");
    }
    if let Some(lock) = &relation.lock {
        let _ = write!(line, ", {}", Untrusted::line(lock));
    }
    line
}

const fn via(via: Via) -> Option<&'static str> {
    match via {
        Via::Statement => None,
        Via::Cascade => Some("by cascade over a foreign key"),
        Via::Trigger => Some("by a trigger"),
        Via::Partition => Some("as a partition"),
        Via::Inheritance => Some("as an inheritance child"),
        Via::Rule => Some("by a rule"),
        Via::View => Some("through a view"),
    }
}

fn action_line(action: &ActionView) -> String {
    let mut line = action.action.to_string();
    let _ = write!(line, " {}", Untrusted::line(&action.kind.replace('_', " ")));
    if !action.name.is_empty() {
        let _ = write!(line, " {}", qualified(action.schema.as_deref(), &action.name));
    }
    if !action.certain {
        line.push_str(" (possibly)");
    }
    line
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", Untrusted::line(schema), Untrusted::line(name)),
        None => Untrusted::line(name).to_string(),
    }
}

fn search_path(hold: &HoldView) -> String {
    match &hold.search_path {
        None => "unknown".to_owned(),
        Some(path) if path.is_empty() => "empty".to_owned(),
        Some(path) => path.iter().map(|name| Untrusted::line(name).to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// `pending, expires in 13 min`, `denied by bob: not today`.
fn state(hold: &HoldView) -> String {
    let mut text = hold.state.as_str().to_owned();
    if hold.state == HoldState::Pending {
        let _ = write!(text, ", expires in {}", time_left(hold));
        if hold.needs > 1 {
            let _ = write!(text, ", approved by {} of {}", hold.approvals.len(), hold.needs);
        }
    }
    if let Some(ended) = &hold.ended {
        if let Some(by) = &ended.by {
            let _ = write!(text, " by {}", Untrusted::line(by));
        }
        if let Some(reason) = &ended.reason {
            let _ = write!(text, ": {}", Untrusted::line(reason));
        }
    }
    text
}

fn time_left(hold: &HoldView) -> String {
    let Ok(expires) = hold.expires_at.parse::<Timestamp>() else {
        return "?".to_owned();
    };
    let left = expires.since((Unit::Second, Timestamp::now())).map_or(0, |span| span.get_seconds());
    match (left / 60, left % 60) {
        (..=-1, _) | (_, ..=-1) => "0 s".to_owned(),
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

const fn unknown_rows(hold: &HoldView) -> &'static str {
    if hold.radius_pending { "..." } else { "?" }
}

fn count(rows: Rows) -> String {
    match rows.value {
        None => "?".to_owned(),
        Some(value) if rows.basis == Basis::Exact => value.to_string(),
        Some(value) => format!("~{value}"),
    }
}

const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Exact => "",
        Basis::Planner => " (planner's estimate)",
        Basis::Statistics => " (from statistics)",
        Basis::Unknown => " (unknown)",
    }
}

/// The beginning of a statement on one line, white space as single spaces.
fn beginning(sql: &str) -> String {
    let mut words = String::new();
    for word in sql.split([' ', '\n', '\t', '\r']).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.chars().count() > LISTED_SQL_CHARACTERS {
            let cut: String = words.chars().take(LISTED_SQL_CHARACTERS).collect();
            return format!("{}...", Untrusted::line(&cut));
        }
    }
    Untrusted::line(&words).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blast::radius::{Dependent, TouchedTrigger};
    use crate::gate::view::{ApprovalView, EndedView};
    use crate::policy::IdentityKind;
    use crate::sql::Action;
    use crate::text::untrusted::is_deceptive;

    fn hold() -> HoldView {
        HoldView {
            id: "h-7k2m".parse().expect("an id"),
            state: HoldState::Denied,
            sql: "DELETE FROM orders\nWHERE id < $1".to_owned(),
            params: vec!["17::int4".to_owned()],
            identity: "reporter".to_owned(),
            kind: IdentityKind::Agent,
            owner: Some("alice".to_owned()),
            session: "s1".to_owned(),
            database: "shop".to_owned(),
            client: "127.0.0.1:5000".to_owned(),
            application_name: "psql".to_owned(),
            reason: Some("clean up".to_owned()),
            actions: vec![ActionView {
                action: Action::Delete,
                kind: "table".to_owned(),
                schema: Some("public".to_owned()),
                name: "orders".to_owned(),
                certain: true,
            }],
            reasons: vec!["deletes rows".to_owned()],
            radius: Some(Radius {
                rows: Rows::planner(48_210),
                relations: vec![
                    TouchedRelation {
                        schema: Some("public".to_owned()),
                        name: "orders".to_owned(),
                        kind: "table".to_owned(),
                        action: "delete".to_owned(),
                        via: Via::Statement,
                        rows: Rows::planner(48_210),
                        share: Some(0.314),
                        lock: Some("RowExclusiveLock".to_owned()),
                    },
                    TouchedRelation {
                        schema: Some("public".to_owned()),
                        name: "order_items".to_owned(),
                        kind: "table".to_owned(),
                        action: "delete".to_owned(),
                        via: Via::Cascade,
                        rows: Rows::UNKNOWN,
                        share: None,
                        lock: None,
                    },
                ],
                triggers: vec![TouchedTrigger {
                    name: "orders_audit".to_owned(),
                    function: "public.log_it()".to_owned(),
                    effects: TriggerEffects::Unknown,
                }],
                dependents: vec![Dependent {
                    kind: "materialized_view".to_owned(),
                    schema: "public".to_owned(),
                    name: "totals".to_owned(),
                }],
                warnings: vec!["statistics are old".to_owned()],
            }),
            radius_pending: false,
            verdict_policy: "default.cedar: destructive-waits".to_owned(),
            created_at: "2026-01-01T00:00:00.000Z".to_owned(),
            expires_at: "2026-01-01T00:15:00.000Z".to_owned(),
            needs: 2,
            approvals: vec![ApprovalView {
                by: "carol".to_owned(),
                at: "2026-01-01T00:01:00.000Z".to_owned(),
                reason: Some("ok".to_owned()),
                max_rows: Some(50_000),
            }],
            in_transaction: true,
            search_path: Some(vec!["app".to_owned(), "public".to_owned()]),
            digest: "00ff".to_owned(),
            ended: Some(EndedView {
                by: Some("bob".to_owned()),
                reason: Some("not today".to_owned()),
                at: "2026-01-01T00:02:00.000Z".to_owned(),
            }),
        }
    }

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
            &mut hold.verdict_policy,
            &mut hold.digest,
        ] {
            *text = lie.to_owned();
        }
        hold.reason = Some(lie.to_owned());
        hold.owner = Some(lie.to_owned());
        let shown = whole(&hold);
        assert!(!shown.chars().any(|character| character != '\n' && is_deceptive(character)), "{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("approvals")).count(), 1, "{shown}");
        for line in table(&[hold.clone()]).iter().chain([&change(&hold)]) {
            assert!(!line.chars().any(is_deceptive), "{line}");
        }
    }

    #[test]
    fn a_long_statement_is_listed_by_its_beginning() {
        let long = format!("SELECT {}", "a,\n".repeat(1000));
        let shown = beginning(&long);
        assert_eq!(shown.chars().count(), LISTED_SQL_CHARACTERS + 3);
        assert!(shown.starts_with("SELECT a, a, a,"), "{shown}");
    }
}
