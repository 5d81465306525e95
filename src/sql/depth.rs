//! How deep a statement's syntax tree can get, told from its tokens alone, before a parser builds it.
//!
//! A chain such as `1 + 1 + 1 ...` makes a tree as deep as it is long, which no recursion limit of a parser sees:
//! it is built by a loop, and overflows the stack when it is walked or dropped.

use super::split::StatementTokens;
use super::token::{Token, TokenKind};

/// How loosely an operator binds. On the way from the root of an expression to a leaf, all operators of a looser
/// class come before those of a tighter one, so the depth is at most the sum over the classes of their longest runs
/// between two operators of a looser class.
const CLASSES: usize = 4;

/// An upper bound of the depth of the syntax tree, in operators.
pub(super) fn tree_depth(statement: &StatementTokens<'_>) -> usize {
    let mut frames = vec![Frame::default()];
    for token in statement.tokens() {
        let text = statement.text(token);
        match frame_change(token, text, frames.last()) {
            Change::Open(kind) => {
                if token.kind == TokenKind::OpenBracket {
                    operator(&mut frames, CLASSES - 1);
                }
                frames.push(Frame { kind, ..Frame::default() });
            }
            Change::CloseCase => close(&mut frames),
            Change::CloseBracket => {
                // A CASE without its END is possible only where `case` is a label; it ends here at the latest.
                while frames.last().is_some_and(|frame| frame.kind == FrameKind::Case) {
                    close(&mut frames);
                }
                close(&mut frames);
            }
            Change::SetOperation => {
                if let Some(frame) = frames.last_mut() {
                    frame.end_segment();
                    frame.set_operations += 1;
                }
            }
            Change::Separate => {
                if let Some(frame) = frames.last_mut() {
                    frame.end_segment();
                }
            }
            Change::Operator(class) => operator(&mut frames, class),
            Change::None => {}
        }
    }
    while frames.len() > 1 {
        close(&mut frames);
    }
    frames.pop().map_or(0, Frame::depth)
}

/// What encloses a part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum FrameKind {
    /// The statement, parentheses or brackets.
    #[default]
    Bracket,
    /// `CASE ... END`.
    Case,
}

/// One level of nesting, while its tokens are counted.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    kind: FrameKind,
    /// Operators of each class since the last looser one, in this segment.
    run: [usize; CLASSES],
    /// The longest such run in this segment.
    longest: [usize; CLASSES],
    /// The deepest group in this segment.
    group: usize,
    /// The deepest segment before this one.
    deepest: usize,
    /// UNION, INTERSECT and EXCEPT: no comma ends their chain.
    set_operations: usize,
}

impl Frame {
    fn operator(&mut self, class: usize) {
        for (index, run) in self.run.iter_mut().enumerate().skip(class) {
            if index == class {
                *run += 1;
            } else {
                *run = 0;
            }
            if let Some(longest) = self.longest.get_mut(index) {
                *longest = (*longest).max(*run);
            }
        }
    }

    fn segment_depth(&self) -> usize {
        self.longest.iter().sum::<usize>() + self.group
    }

    fn end_segment(&mut self) {
        self.deepest = self.deepest.max(self.segment_depth());
        self.run = [0; CLASSES];
        self.longest = [0; CLASSES];
        self.group = 0;
    }

    fn depth(self) -> usize {
        self.deepest.max(self.segment_depth()) + self.set_operations
    }
}

enum Change {
    Open(FrameKind),
    CloseCase,
    CloseBracket,
    SetOperation,
    Separate,
    Operator(usize),
    None,
}

fn operator(frames: &mut [Frame], class: usize) {
    if let Some(frame) = frames.last_mut() {
        frame.operator(class);
    }
}

fn close(frames: &mut Vec<Frame>) {
    if frames.len() > 1
        && let Some(closed) = frames.pop()
        && let Some(frame) = frames.last_mut()
    {
        frame.group = frame.group.max(closed.depth() + 1);
    }
}

fn frame_change(token: &Token, text: &str, top: Option<&Frame>) -> Change {
    let in_case = top.is_some_and(|frame| frame.kind == FrameKind::Case);
    match token.kind {
        TokenKind::OpenParen | TokenKind::OpenBracket => Change::Open(FrameKind::Bracket),
        TokenKind::CloseParen | TokenKind::CloseBracket => Change::CloseBracket,
        TokenKind::Comma => Change::Separate,
        TokenKind::Operator | TokenKind::Cast | TokenKind::Arrow | TokenKind::Assign | TokenKind::Colon => {
            Change::Operator(3)
        }
        TokenKind::Word => match text {
            "case" => Change::Open(FrameKind::Case),
            "end" if in_case => Change::CloseCase,
            "when" | "then" | "else" if in_case => Change::Separate,
            "union" | "intersect" | "except" => Change::SetOperation,
            "or" => Change::Operator(0),
            "and" => Change::Operator(1),
            "not" | "is" | "isnull" | "notnull" => Change::Operator(2),
            "between" | "like" | "ilike" | "similar" | "in" | "collate" | "at" | "escape" | "overlaps" | "operator"
            | "join" | "select" | "with" | "as" | "from" => Change::Operator(3),
            _ => Change::None,
        },
        _ => Change::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use crate::sql::limits::Limits;
    use crate::sql::settings::LexerSettings;
    use crate::sql::split::split;

    fn depth(source: &str) -> usize {
        let lexed = lex(source.as_bytes(), &LexerSettings::default(), &Limits::INLINE).expect("lexes");
        tree_depth(split(&lexed, &Limits::INLINE).expect("splits").first().expect("one"))
    }

    #[test]
    fn chains_count_in_full_and_lists_do_not() {
        let chain = |part: &str| depth(&format!("x {}", format!("{part} ").repeat(500)));
        for part in
            ["+ 1", "|| 1", ":: int", "or x", "and x", "[1]", "is null", "notnull", "collate c", "at time zone z"]
        {
            assert!(chain(part) >= 500, "{part}");
        }
        assert!(chain("union select 1, 2") >= 500);
        assert!(chain(", a + 1") < 5);
        assert!(chain("or (a = 1 and b = 2)") < 510);
        assert!(chain("or a = 1 and b = 2") < 510);
        assert!(depth(&format!("case {} end", "when a = 1 then 2 + 3 ".repeat(500))) < 10);
    }

    #[test]
    fn a_group_adds_to_the_chain_it_is_in() {
        let inner = format!("(1 {})", "+ 1".repeat(100));
        assert!(depth(&format!("{inner} {}", "+ 1".repeat(100))) >= 200);
        assert!(depth(&format!("a {} + {inner}", "+ 1".repeat(100))) >= 200);
        assert!(depth(&format!("case when {inner} then 1 end {}", "+ 1".repeat(100))) >= 200);
        // A label `case` without END, and a label `end` without CASE.
        assert!(depth(&format!("select 1 as case, (2 as case) {}", "+ 1".repeat(100))) >= 100);
        assert!(depth(&format!("select (1 as end {}) as end {}", "+ 1".repeat(100), "+ 1".repeat(100))) >= 200);
    }
}
