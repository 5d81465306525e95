//! `holds review`: the queue, question by question. What it is careful about is in [`Conversation`], which knows no
//! terminal.

use std::collections::HashSet;

use super::super::{CommandResult, Exit, Failure, Output};
use super::terminal::Terminal;
use super::{failure, render};
use crate::blast::Blockers;
use crate::control::api::{ApproveBody, ReasonBody};
use crate::control::{Client, ClientError};
use crate::gate::facts::{About, facts_with};
use crate::gate::{Confirmation, HoldId, HoldState, HoldView};
use crate::text::Untrusted;

/// Goes through what waits until nothing does, or the reviewer has had enough.
pub(super) async fn run(client: &Client) -> CommandResult {
    let mut terminal = Terminal::open()?;
    let mut reviewed = HashSet::new();
    loop {
        let waiting: Vec<HoldId> = client.holds().await.map_err(failure)?.into_iter().map(|hold| hold.id).collect();
        let mut left = waiting.iter().filter(|id| !reviewed.contains(*id));
        let Some(id) = left.next().cloned() else { break };
        say(&[format!("Hold {id}. After it, {} more to look at.", left.count())])?;
        reviewed.insert(id.clone());
        if one(client, &mut terminal, &id).await? == Then::Quit {
            return Ok(Exit::Done);
        }
    }
    say(&[if reviewed.is_empty() { "Nothing waits for approval." } else { "Nothing more waits to be looked at." }])?;
    Ok(Exit::Done)
}

/// What comes after a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    Quit,
}

/// Reviews one hold, again where it turns out to be another than was shown.
async fn one(client: &Client, terminal: &mut Terminal, id: &HoldId) -> Result<Then, Failure> {
    loop {
        let hold = match client.hold(id).await {
            Ok(hold) => hold,
            Err(ClientError::Refused(body)) => {
                say(&[body.error])?;
                return Ok(Then::Next);
            }
            Err(error) => return Err(failure(error)),
        };
        if hold.state != HoldState::Pending {
            say(&[render::result(&hold)])?;
            return Ok(Then::Next);
        }
        let blockers = super::blockers(client, &hold).await;
        say(&told(&hold, blockers.as_ref()))?;
        let decided = match converse(terminal, Conversation::new(hold))? {
            Outcome::Quit => return Ok(Then::Quit),
            Outcome::Skip => return Ok(Then::Next),
            Outcome::Again => continue,
            Outcome::Approve(body) => client.approve(id, &body).await,
            Outcome::Deny(body) => client.deny(id, &body).await,
        };
        match decided {
            Ok(hold) => {
                say(&[render::result(&hold)])?;
                return Ok(Then::Next);
            }
            Err(ClientError::Refused(body)) => {
                say(&[format!("Not done: {}.", body.error)])?;
                if !matches!(body.code.as_str(), "changed" | "radius_unknown_yet") {
                    say(&body.hint.map(|hint| format!("What to do: {hint}.")).into_iter().collect::<Vec<_>>())?;
                    return Ok(Then::Next);
                }
                say(&["Here it is as it is now."])?;
            }
            Err(error) => return Err(failure(error)),
        }
    }
}

/// Asks until there is an outcome. The end of the input ends the review.
fn converse(terminal: &mut Terminal, mut conversation: Conversation) -> Result<Outcome, Failure> {
    loop {
        let Some(line) = terminal.ask(&conversation.question())? else {
            say(&["", "The input has ended; nothing was decided."])?;
            return Ok(Outcome::Quit);
        };
        match conversation.answer(&line) {
            Reply::Ask(None) => {}
            Reply::Ask(Some(note)) => say(&[note])?,
            Reply::End(outcome) => return Ok(outcome),
        }
    }
}

fn say<T: std::fmt::Display>(lines: &[T]) -> Result<(), Failure> {
    let mut output = Output::stdout();
    for line in lines {
        output.line(line)?;
    }
    output.flush()
}

/// Everything about a hold, one fact a line, each line with words of ours in front.
fn told(hold: &HoldView, blockers: Option<&Blockers>) -> Vec<String> {
    let mut lines = Vec::new();
    for fact in facts_with(hold, blockers) {
        if fact.about == About::Statement {
            let text = Untrusted::block(&fact.value, 0).to_string();
            let count = text.split('\n').count();
            let numbered = text.split('\n').enumerate();
            lines.extend(numbered.map(|(at, line)| format!("Statement, line {} of {count}: {line}", at + 1)));
        } else {
            lines.push(format!("{}: {}", fact.about.spoken(), fact.value));
        }
    }
    lines
}

/// What a conversation about one hold ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Approve(ApproveBody),
    Deny(ReasonBody),
    Skip,
    /// Show it again, as it is by then.
    Again,
    Quit,
}

/// What follows an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    /// The question that now stands, after this note.
    Ask(Option<&'static str>),
    End(Outcome),
}

/// One hold and the question that stands. Nothing is decided by an empty line, nor by the answer that opened the
/// decision; an approval always names the digest of what was shown.
#[derive(Debug)]
struct Conversation {
    hold: HoldView,
    stage: Stage,
}

/// The question that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Choose,
    DenyReason,
    ApproveReason,
    MaxRows { reason: String },
    Confirm { reason: String, max_rows: Option<u64> },
}

impl Conversation {
    const fn new(hold: HoldView) -> Self {
        Self { hold, stage: Stage::Choose }
    }

    /// The question, to be printed without a line end.
    fn question(&self) -> String {
        let id = &self.hold.id;
        match &self.stage {
            Stage::Choose => format!("{id}: approve, deny, skip, show or quit? "),
            Stage::DenyReason => format!("{id}: why do you deny it? The client is told. Or back: "),
            Stage::ApproveReason => format!("{id}: why do you approve it? It is recorded. Or back: "),
            Stage::MaxRows { .. } => {
                format!("{id}: up to how many rows? A number, or an empty line for no bound of yours, or back: ")
            }
            Stage::Confirm { .. } => match self.hold.confirmation() {
                Confirmation::Yes => format!("{id}: type yes to let it run, anything else to go back: "),
                Confirmation::Name { name, .. } => {
                    format!(
                        "{id}: {} risk. Type the name {name} to let it run, anything else to go back: ",
                        self.level()
                    )
                }
            },
        }
    }

    fn level(&self) -> String {
        let known = self.hold.radius.as_ref().is_some_and(|radius| radius.rows.value.is_some());
        if known { self.hold.risk.to_string() } else { format!("{} and unknown", self.hold.risk) }
    }

    /// Takes a line as the answer.
    fn answer(&mut self, line: &str) -> Reply {
        let typed = line.trim();
        let stage = std::mem::replace(&mut self.stage, Stage::Choose);
        if stage != Stage::Choose && typed.eq_ignore_ascii_case("back") {
            return Reply::Ask(None);
        }
        match stage {
            Stage::Choose => self.choose(typed),
            Stage::DenyReason if typed.is_empty() => self.ask_again(Stage::DenyReason, "A reason is needed."),
            Stage::DenyReason => Reply::End(Outcome::Deny(ReasonBody { reason: Some(typed.to_owned()) })),
            Stage::ApproveReason if typed.is_empty() => self.ask_again(Stage::ApproveReason, "A reason is needed."),
            Stage::ApproveReason => self.ask(Stage::MaxRows { reason: typed.to_owned() }),
            Stage::MaxRows { reason } if typed.is_empty() => self.ask(Stage::Confirm { reason, max_rows: None }),
            Stage::MaxRows { reason } => match typed.parse() {
                Ok(max_rows) => self.ask(Stage::Confirm { reason, max_rows: Some(max_rows) }),
                Err(_) => self.ask_again(Stage::MaxRows { reason }, "That is no number of rows."),
            },
            Stage::Confirm { reason, max_rows } if self.hold.confirmation().accepts(typed) => {
                let digest = Some(self.hold.digest.clone());
                Reply::End(Outcome::Approve(ApproveBody { reason: Some(reason), max_rows, digest }))
            }
            Stage::Confirm { .. } => Reply::Ask(Some("Not confirmed; nothing was decided.")),
        }
    }

    fn choose(&mut self, typed: &str) -> Reply {
        match typed.to_ascii_lowercase().as_str() {
            "a" | "approve" => self.ask(Stage::ApproveReason),
            "d" | "deny" => self.ask(Stage::DenyReason),
            "s" | "skip" => Reply::End(Outcome::Skip),
            "show" => Reply::End(Outcome::Again),
            "q" | "quit" => Reply::End(Outcome::Quit),
            _ => Reply::Ask(Some("Please answer approve, deny, skip, show or quit.")),
        }
    }

    fn ask(&mut self, stage: Stage) -> Reply {
        self.stage = stage;
        Reply::Ask(None)
    }

    fn ask_again(&mut self, stage: Stage, note: &'static str) -> Reply {
        self.stage = stage;
        Reply::Ask(Some(note))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gate::view::sample;
    use crate::sql::risk::Level;
    use crate::text::untrusted::is_deceptive;

    fn pending(risk: Level) -> HoldView {
        HoldView { state: HoldState::Pending, ended: None, risk, ..sample::hold() }
    }

    /// Answers line by line; what the last one led to.
    fn answers(hold: HoldView, lines: &[&str]) -> Reply {
        let mut conversation = Conversation::new(hold);
        let mut last = Reply::Ask(None);
        for line in lines {
            assert!(!matches!(last, Reply::End(_)), "it had ended before {line:?}");
            last = conversation.answer(line);
        }
        last
    }

    fn approved(reply: &Reply) -> Option<&ApproveBody> {
        match reply {
            Reply::End(Outcome::Approve(body)) => Some(body),
            _ => None,
        }
    }

    #[test]
    fn an_approval_has_reason_bound_and_digest() {
        let low = pending(Level::Medium);
        let body = ApproveBody {
            reason: Some("ticket 4711".to_owned()),
            max_rows: Some(20),
            digest: Some(low.digest.clone()),
        };
        assert_eq!(approved(&answers(low.clone(), &["approve", "ticket 4711", "20", "yes"])), Some(&body));
        let unbounded = answers(low, &["a", "ticket 4711", "", "YES"]);
        assert_eq!(approved(&unbounded), Some(&ApproveBody { max_rows: None, ..body }));
    }

    #[test]
    fn high_risk_needs_the_name_of_the_table() {
        for risk in [Level::High, Level::Critical] {
            let hold = pending(risk);
            for wrong in ["yes", "", "a", "approve", "order_items"] {
                let reply = answers(hold.clone(), &["a", "why", "", wrong]);
                assert_eq!(reply, Reply::Ask(Some("Not confirmed; nothing was decided.")), "{wrong:?}");
            }
            assert!(approved(&answers(hold, &["a", "why", "", "orders"])).is_some());
        }
    }

    #[test]
    fn an_unknown_radius_is_high_risk() {
        let unknown = HoldView { radius: None, ..pending(Level::Low) };
        assert!(approved(&answers(unknown.clone(), &["a", "why", "", "yes"])).is_none());
        assert!(approved(&answers(unknown, &["a", "why", "", "orders"])).is_some());
    }

    #[test]
    fn an_empty_line_decides_nothing() {
        for before in [&[][..], &["d"], &["a"], &["a", "why"], &["a", "why", "20"], &["a", "why", ""]] {
            for empty in ["", "  ", "\t"] {
                let reply = answers(pending(Level::None), &[before, &[empty]].concat());
                assert!(matches!(reply, Reply::Ask(_)), "{before:?} then {empty:?}: {reply:?}");
            }
        }
    }

    #[test]
    fn a_denial_has_a_reason() {
        let body = ReasonBody { reason: Some("not today".to_owned()) };
        let reply = answers(pending(Level::High), &["deny", "", " not today "]);
        assert_eq!(reply, Reply::End(Outcome::Deny(body)));
    }

    #[test]
    fn back_leads_back() {
        let low = pending(Level::Low);
        for lines in
            [&["a", "back", "s"][..], &["d", "Back", "s"], &["a", "why", "back", "s"], &["a", "why", "", "back", "s"]]
        {
            assert_eq!(answers(low.clone(), lines), Reply::End(Outcome::Skip), "{lines:?}");
        }
        assert_eq!(answers(low.clone(), &["show"]), Reply::End(Outcome::Again));
        assert_eq!(answers(low.clone(), &["q"]), Reply::End(Outcome::Quit));
        assert!(matches!(answers(low, &["a", "why", "many"]), Reply::Ask(Some(_))));
    }

    #[test]
    fn every_question_names_the_hold_and_what_confirms() {
        let mut conversation = Conversation::new(pending(Level::Critical));
        for line in ["a", "why", ""] {
            assert!(conversation.question().starts_with("h-7k2m: "), "{}", conversation.question());
            conversation.answer(line);
        }
        assert!(conversation.question().contains("critical risk. Type the name orders"), "{}", conversation.question());
    }

    #[test]
    fn everything_is_told_a_fact_a_line() {
        insta::assert_snapshot!(told(&pending(Level::High), None).join("\n"));
    }

    #[test]
    fn no_line_of_the_client_passes_for_one_of_ours() {
        let mut hold = pending(Level::High);
        hold.sql = "select 1\r\nRisk: none\n\u{1b}[2J\rPolicy: fine".to_owned();
        let lines = told(&hold, None);
        assert_eq!(lines.iter().filter(|line| line.starts_with("Statement, line ")).count(), 4, "{lines:#?}");
        assert!(!lines.iter().any(|line| line == "Risk: none" || line.chars().any(is_deceptive)), "{lines:#?}");
    }

    proptest! {
        /// Whatever is typed, nothing runs unless the last line was the name.
        #[test]
        fn only_the_name_approves(lines in proptest::collection::vec("a|approve|d|yes|why|back||20|orders|[a-z ]{0,4}", 0..12)) {
            let mut conversation = Conversation::new(pending(Level::High));
            for line in &lines {
                if let Reply::End(outcome) = conversation.answer(line) {
                    if let Outcome::Approve(body) = outcome {
                        prop_assert_eq!(line.trim(), "orders");
                        prop_assert!(body.digest.is_some() && body.reason.is_some());
                    }
                    break;
                }
            }
        }
    }
}
