//! Folds long lists of literals, so that ten thousand values in an IN list or an INSERT are one thing to the parser
//! and to the caches. What is left out is literals and parameters only, and casts that the element before has too.

use super::split::StatementTokens;
use super::token::TokenKind;

/// Lists and runs of rows up to this long stay as they are.
pub(super) const KEPT_MAX: usize = 16;

/// The next token to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Its index in the statement.
    pub(super) index: usize,
    /// List elements or rows behind it are left out.
    pub(super) elided_after: bool,
}

/// Walks over the tokens that stay.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    statement: StatementTokens<'a>,
    at: usize,
    /// From which token to go on at which other one. A row that stands for others may hold a list that does: two.
    jumps: Vec<Jump>,
    /// Up to where it is known that no run of rows is long enough.
    runs_known_to: usize,
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    from: usize,
    to: usize,
}

/// Brackets around literals only.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// One past the first element.
    first_end: usize,
    /// The closing bracket.
    close: usize,
    elements: usize,
    /// All elements are cast alike.
    uniform: bool,
    /// TRUE or FALSE is among the elements.
    truths: bool,
}

/// A literal, parameter, NULL, TRUE, FALSE or DEFAULT, perhaps with a cast.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    end: usize,
    cast: Option<Cast<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cast<'a> {
    kind: TokenKind,
    name: &'a str,
    array: bool,
}

impl<'a> Folder<'a> {
    pub(super) fn new(statement: StatementTokens<'a>) -> Self {
        Self { statement, at: 0, jumps: Vec::new(), runs_known_to: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Step> {
        let index = self.at;
        let kind = self.statement.kind(index)?;
        if matches!(kind, TokenKind::OpenParen | TokenKind::OpenBracket) {
            self.fold_at(index);
        }
        self.at += 1;
        let mut elided_after = false;
        while let Some(jump) = self.jumps.pop_if(|jump| jump.from == self.at) {
            self.at = jump.to;
            elided_after = true;
        }
        Some(Step { index, elided_after })
    }

    fn fold_at(&mut self, open: usize) {
        let Some(group) = self.group(open) else { return };
        if open >= self.runs_known_to {
            let run = self.run(open, group);
            self.runs_known_to = run.end;
            if run.rows > KEPT_MAX {
                self.jumps.push(Jump { from: group.close + 1, to: run.end });
            }
        }
        // `flag IN (true, false)` is true for every row, `flag IN (true, true)` is not.
        let judged = group.truths && self.statement.word(open.wrapping_sub(1)) == Some("in");
        if group.elements > KEPT_MAX && group.uniform && !judged {
            self.jumps.push(Jump { from: group.first_end, to: group.close });
        }
    }

    /// How many groups like the one at `open` follow each other, separated by commas.
    fn run(&self, open: usize, first: Group) -> Run {
        let mut run = Run { rows: 1, end: first.close + 1 };
        while self.statement.kind(run.end) == Some(TokenKind::Comma)
            && self.statement.kind(run.end + 1) == Some(TokenKind::OpenParen)
            && let Some(next) = self.group(run.end + 1)
            && self.casts(open).eq(self.casts(run.end + 1))
        {
            run = Run { rows: run.rows + 1, end: next.close + 1 };
        }
        run
    }

    fn group(&self, open: usize) -> Option<Group> {
        let closing = match self.statement.kind(open)? {
            TokenKind::OpenParen => TokenKind::CloseParen,
            TokenKind::OpenBracket => TokenKind::CloseBracket,
            _ => return None,
        };
        let first = self.element(open + 1)?;
        let mut group = Group {
            first_end: first.end,
            close: first.end,
            elements: 1,
            uniform: true,
            truths: self.is_truth(open + 1),
        };
        while self.statement.kind(group.close)? == TokenKind::Comma {
            let element = self.element(group.close + 1)?;
            group.truths |= self.is_truth(group.close + 1);
            group.uniform &= element.cast == first.cast;
            group.elements += 1;
            group.close = element.end;
        }
        (self.statement.kind(group.close)? == closing).then_some(group)
    }

    fn is_truth(&self, start: usize) -> bool {
        matches!(self.statement.word(start), Some("true" | "false"))
    }

    /// The casts of the elements of a group.
    fn casts(&self, open: usize) -> impl Iterator<Item = Option<Cast<'a>>> {
        let mut before = Some(open);
        std::iter::from_fn(move || {
            let element = self.element(before? + 1)?;
            before = Some(element.end).filter(|end| self.statement.kind(*end) == Some(TokenKind::Comma));
            Some(element.cast)
        })
    }

    fn element(&self, start: usize) -> Option<Element<'a>> {
        let statement = &self.statement;
        let signed = matches!(statement.operator(start), Some("+" | "-"));
        let value = start + usize::from(signed);
        let kind = statement.kind(value)?;
        let plain = match kind {
            TokenKind::Number => true,
            TokenKind::Word => matches!(statement.word(value), Some("null" | "true" | "false" | "default")) && !signed,
            _ => (kind.is_literal() || kind == TokenKind::Parameter) && !signed,
        };
        let mut element = Element { end: value + 1, cast: None };
        if plain && statement.kind(element.end) == Some(TokenKind::Cast) {
            let name = statement.name(element.end + 1)?;
            let array = statement.kind(element.end + 2) == Some(TokenKind::OpenBracket)
                && statement.kind(element.end + 3) == Some(TokenKind::CloseBracket);
            element.cast = Some(Cast { kind: statement.kind(element.end + 1)?, name, array });
            element.end += if array { 4 } else { 2 };
        }
        plain.then_some(element)
    }
}

#[derive(Debug, Clone, Copy)]
struct Run {
    rows: usize,
    /// One past the last group.
    end: usize,
}
