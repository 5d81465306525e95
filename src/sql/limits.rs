//! How much text is looked at before a statement is called `unknown`. All of these hold before a parser runs.

/// Bounds on one message or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Depth of parentheses, brackets, CASE and subqueries.
    pub nesting: usize,
    /// Depth of the syntax tree that operator chains (`1+1+...`, `a OR b OR ...`) can make.
    pub chain: usize,
    /// Tokens of one statement that a parser gets, after long lists of literals are folded into one.
    pub parser_tokens: usize,
}

impl Limits {
    /// For statements on their way through the proxy, and the default.
    pub const INLINE: Self = Self { bytes: 1 << 20, nesting: 64, chain: 1_000, parser_tokens: 50_000 };

    /// The same with another size.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::INLINE
    }
}
