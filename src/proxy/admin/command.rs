//! The commands of the virtual database, from their text. Pure.
//!
//! They are cut into tokens as Postgres cuts SQL, so that comments, quoting and positions are what drivers and
//! people expect. A parameter (`$1`) may stand wherever a string or a number may.

use crate::gate::HoldId;
use crate::sql::lexer::{LexErrorReason, Lexed, lex};
use crate::sql::token::{Token, TokenKind};
use crate::sql::{LexerSettings, Limits};

/// The longest command that is looked at, in bytes.
const COMMAND_BYTES: usize = 64 * 1024;
/// How much of an unexpected token is repeated in an error.
const SHOWN_CHARACTERS: usize = 60;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `SHOW HOLDS [ALL]`.
    ShowHolds(Which),
    /// `SHOW HOLD 'id'`.
    ShowHold(HoldId),
    /// `SHOW SESSIONS`.
    ShowSessions,
    /// `SHOW STATS`.
    ShowStats,
    /// `SHOW VERSION`.
    ShowVersion,
    /// `SHOW HELP`.
    ShowHelp,
    /// `APPROVE 'id' [REASON 'text'] [MAX ROWS n]`.
    Approve { id: HoldId, reason: Option<String>, max_rows: Option<u64> },
    /// `DENY 'id' [REASON 'text']`.
    Deny { id: HoldId, reason: Option<String> },
    /// `WITHDRAW 'id' [REASON 'text']`.
    Withdraw { id: HoldId, reason: Option<String> },
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// What drivers say and what changes nothing here: `SET`, `RESET`, `DISCARD`, ... with its tag.
    Ignored(&'static str),
    /// Nothing but white space and comments.
    Empty,
}

/// Which holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that wait.
    Waiting,
    /// Those that ended lately as well.
    All,
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) sqlstate: &'static str,
    pub(super) message: String,
    /// In characters, from 1.
    pub(super) position: Option<usize>,
    pub(super) hint: Option<&'static str>,
}

/// The values of parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values<'a> {
    /// Not known yet: the command is only looked at.
    Unbound,
    /// These.
    Bound(&'a [Option<String>]),
}

/// A command that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// What to do; with parameters that are unbound, something of that kind.
    pub(super) command: Command,
    /// How many parameters it has.
    pub(super) parameters: usize,
}

/// Reads one command.
pub(super) fn parse(text: &[u8], values: Values<'_>) -> Result<Parsed, Wrong> {
    let limits = Limits::default().with_bytes(COMMAND_BYTES);
    let lexed = lex(text, &LexerSettings::default(), &limits).map_err(|error| {
        let sqlstate = match error.reason {
            LexErrorReason::NotUtf8 => "22021",
            LexErrorReason::TooLong => "54000",
            _ => "42601",
        };
        Wrong { sqlstate, message: error.reason.to_string(), position: Some(position(text, error.at)), hint: None }
    })?;
    let mut reader = Reader { text, lexed: &lexed, at: 0, values, parameters: 0 };
    let command = reader.command()?;
    while reader.take_kind(TokenKind::Semicolon) {}
    if reader.peek().is_some() {
        // What the first of several shows, nobody has seen when the second decides.
        return Err(Wrong { hint: Some("Send one command at a time."), ..reader.unexpected() });
    }
    Ok(Parsed { command, parameters: reader.parameters })
}

/// From bytes to characters, from 1.
fn position(text: &[u8], at: usize) -> usize {
    String::from_utf8_lossy(&text[..at.min(text.len())]).chars().count() + 1
}

struct Reader<'a> {
    text: &'a [u8],
    lexed: &'a Lexed,
    at: usize,
    values: Values<'a>,
    parameters: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.lexed.tokens().get(self.at)
    }

    /// Takes the next token if it is this keyword.
    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| self.lexed.is_word(token, word));
        self.at += usize::from(found);
        found
    }

    fn take_kind(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == kind);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), Wrong> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// As Postgres says it.
    fn unexpected(&self) -> Wrong {
        let hint = Some("SHOW HELP lists the commands of this database.");
        match self.peek() {
            Some(token) => {
                let written = String::from_utf8_lossy(&self.text[token.span()]);
                let shown: String = written.chars().take(SHOWN_CHARACTERS).collect();
                let message = format!("syntax error at or near \"{shown}\"");
                Wrong { sqlstate: "42601", message, position: Some(position(self.text, token.span().start)), hint }
            }
            None => {
                let message = "syntax error at end of input".to_owned();
                Wrong { sqlstate: "42601", message, position: Some(position(self.text, self.text.len())), hint }
            }
        }
    }

    fn command(&mut self) -> Result<Command, Wrong> {
        if self.peek().is_none_or(|token| token.kind == TokenKind::Semicolon) {
            return Ok(Command::Empty);
        }
        if self.take("show") {
            return self.show();
        }
        if self.take("approve") {
            return self.approve();
        }
        if self.take("deny") {
            let (id, reason) = (self.hold_id()?, self.reason()?);
            return Ok(Command::Deny { id, reason });
        }
        if self.take("withdraw") {
            let (id, reason) = (self.hold_id()?, self.reason()?);
            return Ok(Command::Withdraw { id, reason });
        }
        self.transaction_or_setting()
    }

    fn show(&mut self) -> Result<Command, Wrong> {
        if self.take("holds") {
            return Ok(Command::ShowHolds(if self.take("all") { Which::All } else { Which::Waiting }));
        }
        if self.take("hold") {
            return Ok(Command::ShowHold(self.hold_id()?));
        }
        for (word, command) in [
            ("sessions", Command::ShowSessions),
            ("stats", Command::ShowStats),
            ("version", Command::ShowVersion),
            ("help", Command::ShowHelp),
        ] {
            if self.take(word) {
                return Ok(command);
            }
        }
        match self.peek() {
            Some(token) if matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier) => {
                let name = self.lexed.text(token);
                Err(Wrong {
                    sqlstate: "42704",
                    message: format!("unrecognized configuration parameter \"{name}\""),
                    position: None,
                    hint: Some("SHOW HELP lists what this database shows."),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn approve(&mut self) -> Result<Command, Wrong> {
        let id = self.hold_id()?;
        let (mut reason, mut max_rows) = (None, None);
        loop {
            if reason.is_none() && self.take("reason") {
                reason = Some(self.string()?);
            } else if max_rows.is_none() && self.take("max") {
                self.expect("rows")?;
                max_rows = Some(self.number()?);
            } else {
                return Ok(Command::Approve { id, reason, max_rows });
            }
        }
    }

    fn reason(&mut self) -> Result<Option<String>, Wrong> {
        if self.take("reason") { self.string().map(Some) } else { Ok(None) }
    }

    fn transaction_or_setting(&mut self) -> Result<Command, Wrong> {
        let command = if self.take("begin") || self.take("start") {
            Command::Begin
        } else if self.take("commit") || self.take("end") {
            Command::Commit
        } else if self.take("rollback") || self.take("abort") {
            Command::Rollback
        } else if self.take("set") {
            self.client_encoding()?;
            Command::Ignored("SET")
        } else if self.take("reset") {
            Command::Ignored("RESET")
        } else if self.take("discard") {
            Command::Ignored("DISCARD ALL")
        } else if self.take("deallocate") {
            Command::Ignored("DEALLOCATE")
        } else if self.take("unlisten") {
            Command::Ignored("UNLISTEN")
        } else if self.take("close") {
            Command::Ignored("CLOSE CURSOR")
        } else {
            return Err(self.unexpected());
        };
        while self.peek().is_some_and(|token| token.kind != TokenKind::Semicolon) {
            self.at += 1;
        }
        Ok(command)
    }

    /// What we say is UTF-8, and nothing else.
    fn client_encoding(&self) -> Result<(), Wrong> {
        let rest = &self.lexed.tokens()[self.at..];
        let words: Vec<String> = rest.iter().map(|token| self.lexed.text(token).to_ascii_lowercase()).collect();
        let sets = words.iter().any(|word| word == "client_encoding" || word == "names");
        if sets && !words.iter().any(|word| word.replace('-', "") == "utf8" || word == "unicode") {
            return Err(Wrong {
                sqlstate: "0A000",
                message: "client_encoding is UTF8 in this database".to_owned(),
                position: None,
                hint: None,
            });
        }
        Ok(())
    }

    /// The text of a string or of a parameter; `None` for a parameter that is not bound yet.
    fn value(&mut self, kind: TokenKind) -> Result<Option<String>, Wrong> {
        let Some(token) = self.peek() else { return Err(self.unexpected()) };
        let text = self.lexed.text(token);
        if token.kind == kind {
            self.at += 1;
            return Ok(Some(text.to_owned()));
        }
        if token.kind != TokenKind::Parameter {
            return Err(self.unexpected());
        }
        let number = text.parse::<usize>().ok().filter(|number| (1..=64).contains(number));
        let Some(number) = number else {
            return Err(Wrong {
                sqlstate: "42P02",
                message: format!("there is no parameter ${text}"),
                ..self.unexpected()
            });
        };
        self.at += 1;
        self.parameters = self.parameters.max(number);
        match self.values {
            Values::Unbound => Ok(None),
            Values::Bound(values) => match values.get(number - 1) {
                Some(Some(value)) => Ok(Some(value.clone())),
                _ => Err(Wrong {
                    sqlstate: "22004",
                    message: format!("parameter ${number} has no value"),
                    position: None,
                    hint: None,
                }),
            },
        }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        Ok(self.value(TokenKind::String)?.unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, Wrong> {
        let Some(text) = self.value(TokenKind::Number)? else { return Ok(0) };
        text.trim().parse().map_err(|_| Wrong {
            sqlstate: "22P02",
            message: format!("invalid input syntax for a number of rows: \"{text}\""),
            position: None,
            hint: None,
        })
    }

    fn hold_id(&mut self) -> Result<HoldId, Wrong> {
        let text = self.value(TokenKind::String)?;
        // Any will do while the parameter is not bound.
        let text = text.as_deref().unwrap_or("h-2222");
        text.parse().map_err(|_| Wrong {
            sqlstate: "22P02",
            message: format!("invalid input syntax for the id of a hold: \"{text}\""),
            position: None,
            hint: Some("It is written like 'h-7k2m'; SHOW HOLDS lists them."),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command(text: &str) -> Command {
        parse(text.as_bytes(), Values::Unbound).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).command
    }

    fn wrong(text: &str) -> (&'static str, Option<usize>) {
        let wrong = parse(text.as_bytes(), Values::Unbound).expect_err(text);
        (wrong.sqlstate, wrong.position)
    }

    fn id() -> HoldId {
        "h-7k2m".parse().expect("an id")
    }

    #[test]
    fn commands_are_read_in_any_case_with_comments() {
        assert_eq!(command("show Holds"), Command::ShowHolds(Which::Waiting));
        assert_eq!(command("-- now\nSHOW HOLDS ALL;"), Command::ShowHolds(Which::All));
        assert_eq!(command("SHOW HOLD 'H-7K2M' ; ;"), Command::ShowHold(id()));
        assert_eq!(
            command("APPROVE 'h-7k2m' REASON 'it''s ok' MAX ROWS 20"),
            Command::Approve { id: id(), reason: Some("it's ok".to_owned()), max_rows: Some(20) }
        );
        assert_eq!(
            command("approve '7k2m' max rows 0 /* none */ reason ''"),
            Command::Approve { id: id(), reason: Some(String::new()), max_rows: Some(0) }
        );
        assert_eq!(command("DENY 'h-7k2m'"), Command::Deny { id: id(), reason: None });
        for empty in ["", " -- x", ";", "/* */;"] {
            assert_eq!(command(empty), Command::Empty, "{empty:?}");
        }
    }

    #[test]
    fn parameters_stand_for_values() {
        let text = b"APPROVE $1 REASON $3 MAX ROWS $2";
        assert_eq!(parse(text, Values::Unbound).expect("a command").parameters, 3);
        let values = ["h-7k2m", "5", "x'; DENY"].map(|value| Some(value.to_owned()));
        let parsed = parse(text, Values::Bound(&values)).expect("a command");
        let expected = Command::Approve { id: id(), reason: Some("x'; DENY".to_owned()), max_rows: Some(5) };
        assert_eq!(parsed.command, expected);
        let null = parse(text, Values::Bound(&[None, None, None])).expect_err("NULL is no id");
        assert_eq!(null.sqlstate, "22004");
        assert_eq!(parse(b"DENY $65", Values::Unbound).expect_err("too many").sqlstate, "42P02");
    }

    #[test]
    fn errors_say_what_and_where() {
        assert_eq!(wrong("SELECT 1"), ("42601", Some(1)));
        assert_eq!(wrong("/* é */ APPROVE now"), ("42601", Some(17)));
        assert_eq!(wrong("APPROVE"), ("42601", Some(8)));
        assert_eq!(wrong("APPROVE 'h-7k2m' MAX 5"), ("42601", Some(22)));
        assert_eq!(wrong("APPROVE 'h-7k2m' REASON 'a' REASON 'b'"), ("42601", Some(29)));
        assert_eq!(wrong("APPROVE 'h-7k2m' MAX ROWS -1"), ("42601", Some(27)));
        assert_eq!(wrong("APPROVE 'h-7k2m' MAX ROWS 1e3"), ("22P02", None));
        assert_eq!(wrong("APPROVE 'x'"), ("22P02", None));
        assert_eq!(wrong("APPROVE 'h-7k2m"), ("42601", Some(9)));
        assert_eq!(wrong("SHOW lag"), ("42704", None));
        assert_eq!(wrong("SHOW HOLD 'h-7k2m'; APPROVE 'h-7k2m'"), ("42601", Some(21)));
        assert_eq!(wrong("SET client_encoding TO 'LATIN1'"), ("0A000", None));
    }

    #[test]
    fn what_drivers_say_is_taken() {
        for (text, expected) in [
            ("SET client_encoding = 'utf-8'", Command::Ignored("SET")),
            ("SET extra_float_digits = 3", Command::Ignored("SET")),
            ("RESET ALL", Command::Ignored("RESET")),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", Command::Begin),
            ("START TRANSACTION", Command::Begin),
            ("COMMIT", Command::Commit),
            ("ROLLBACK;", Command::Rollback),
            ("DISCARD ALL", Command::Ignored("DISCARD ALL")),
        ] {
            assert_eq!(command(text), expected, "{text}");
        }
        assert_eq!(wrong("BEGIN; SHOW HOLDS"), ("42601", Some(8)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: Vec<u8>) {
            let _ = parse(&text, Values::Unbound);
        }

        #[test]
        fn any_words_are_read_or_refused(words in proptest::collection::vec(
            prop_oneof![Just("approve"), Just("'h-7k2m'"), Just("reason"), Just("max"), Just("rows"), Just("$1"), Just("5"),
                Just("show"), Just("holds"), Just(";"), Just("set")], 0..8,
        )) {
            let text = words.join(" ");
            if let Ok(parsed) = parse(text.as_bytes(), Values::Unbound) {
                let values = vec![Some("h-7k2m".to_owned()); parsed.parameters];
                let _ = parse(text.as_bytes(), Values::Bound(&values));
            }
        }
    }
}
