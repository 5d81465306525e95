//! Text -> statements with all that their text says they do.

use super::cursor::{Cursor, Refusal, Words};
use super::effect::{Action, Effect, Extent, Object, ObjectKind};
use super::findings::Findings;
use super::idioms::hidden_secrets;
use super::lexer::lex;
use super::limits::Limits;
use super::query::Parser;
use super::settings::LexerSettings;
use super::split::{StatementTokens, split};
use super::statement::{SessionChange, Statement};

/// All statements of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The statements, in order. Empty ones leave none.
    pub statements: Vec<Statement>,
    /// The text without comments, white space and the values of literals. While no statement depends on literals,
    /// another text with the same canonical text has the same analysis. `None` where nothing is known of the text, so
    /// that it shares nobody's.
    pub canonical: Option<String>,
    /// How often a token was looked at: the work it took, which grows with the text and no faster.
    pub work: usize,
}

impl Script {
    /// Whether a literal's value decided anything.
    #[must_use]
    pub fn depends_on_literals(&self) -> bool {
        self.statements.iter().any(|statement| statement.depends_on_literals)
    }
}

/// Analyses the text of one message. Never fails: what cannot be read is one statement of unknown effect, with the
/// reason.
#[must_use]
pub fn analyze(text: &[u8], settings: &LexerSettings) -> Script {
    analyze_within(text, settings, &Limits::INLINE)
}

/// The same with other limits.
#[must_use]
pub fn analyze_within(text: &[u8], settings: &LexerSettings, limits: &Limits) -> Script {
    let lexed = match lex(text, settings, limits) {
        Ok(lexed) => lexed,
        Err(error) => return unreadable(text, &error.to_string()),
    };
    match split(&lexed, limits) {
        Err(error) => unreadable(text, &error.to_string()),
        Ok(parts) => {
            let script = analyze_parts(text.len(), &parts);
            #[cfg(feature = "pg-query")]
            let script = confirmed(script, text, settings, &parts);
            script
        }
    }
}

/// Where the statements of a text stand, without their semicolons; nothing where it cannot be read.
#[must_use]
pub fn statement_spans(text: &[u8], settings: &LexerSettings) -> Vec<std::ops::Range<usize>> {
    let Ok(lexed) = lex(text, settings, &Limits::INLINE) else { return Vec::new() };
    split(&lexed, &Limits::INLINE).unwrap_or_default().iter().map(StatementTokens::span).collect()
}

fn analyze_parts(text_bytes: usize, parts: &[StatementTokens<'_>]) -> Script {
    let mut canonical = String::with_capacity(text_bytes);
    let mut statements = Vec::with_capacity(parts.len());
    let (mut work, mut distinct) = (0, true);
    for part in parts {
        let words = Words::new(*part);
        statements.push(analyze_statement(*part, &words));
        work += words.looks();
        distinct &= part.write_canonical(&mut canonical);
        canonical.push(';');
    }
    Script { statements, canonical: distinct.then_some(canonical), work }
}

/// The same, if the second parser agrees; else every statement of it waits.
#[cfg(feature = "pg-query")]
fn confirmed(mut script: Script, text: &[u8], settings: &LexerSettings, parts: &[StatementTokens<'_>]) -> Script {
    let Some(why) = super::second_parser::disagreement(text, settings, parts, &script.statements) else {
        return script;
    };
    for statement in &mut script.statements {
        statement.effects.push(Effect::new(Action::Unknown, Object::new(ObjectKind::Other, "")));
        statement.reasons.insert(0, why.clone());
        statement.session.push(SessionChange::Anything);
    }
    script.canonical = None;
    script
}

/// A text of which nothing is known.
fn unreadable(text: &[u8], reason: &str) -> Script {
    let mut found = Findings::default();
    found.unknown(format!("the text cannot be read: {reason}"));
    found.session.push(SessionChange::Anything);
    found.depends_on_literals = true;
    let statement = into_statement(0..text.len(), "unknown".to_owned(), found);
    Script { statements: vec![statement], canonical: None, work: 0 }
}

fn analyze_statement(tokens: StatementTokens<'_>, words: &Words<'_>) -> Statement {
    let mut parser = Parser::new(Cursor::new(words, 0, words.len()));
    let command = match parser.statement() {
        Ok(command) => command,
        Err(refusal) => return refused(tokens, words, refusal),
    };
    parser.found.hidden = hidden_secrets(&tokens, &parser.found.reads);
    super::values::note(&mut parser.found, &tokens);
    parser.found.named_values = std::mem::take(&mut parser.named).finish();
    into_statement(tokens.span(), command, parser.found)
}

/// A statement that the grammar does not know: whatever was found on the way may be wrong.
fn refused(tokens: StatementTokens<'_>, words: &Words<'_>, refusal: Refusal) -> Statement {
    let mut found = Findings::default();
    let near = Cursor::new(words, refusal.at, words.len()).excerpt();
    found.unknown(format!("could not be parsed at {near}: {}", refusal.why));
    found.session.push(SessionChange::Anything);
    let command = Cursor::new(words, 0, words.len()).excerpt();
    let command = if command.chars().all(|c| c.is_ascii_alphabetic()) { command.to_uppercase() } else { String::new() };
    let command = if command.is_empty() { "unknown".to_owned() } else { command };
    into_statement(tokens.span(), command, found)
}

/// Turns what was found into a statement: reads of relations and calls of functions become effects.
pub(super) fn into_statement(span: std::ops::Range<usize>, command: String, mut found: Findings) -> Statement {
    let reads = std::mem::take(&mut found.reads);
    for name in &reads {
        super::system::read(&mut found, name);
    }
    super::function_effect::add(&mut found);
    let mut effects = super::findings::Distinct::default();
    for effect in found.effects.into_vec() {
        effects.push(effect);
    }
    for name in reads {
        let object = Object { kind: ObjectKind::Relation, schema: name.schema, name: name.name };
        effects.push(Effect::new(Action::Read, object).with_extent(Extent::Inapplicable));
    }
    Statement {
        span,
        command,
        effects: effects.into_vec(),
        functions: found.functions.into_vec(),
        operators: found.operators.into_vec(),
        types: found.types.into_vec(),
        session: found.session,
        reasons: found.reasons.into_vec(),
        depends_on_literals: found.depends_on_literals,
        untyped_values: found.untyped_values,
        strings: found.strings,
        named_values: found.named_values,
        declared_types: Vec::new(),
        assigned: found.assigned,
        assumptions: found.assumptions.into_vec(),
        redefines: found.redefines,
    }
}

#[cfg(test)]
mod tests;
