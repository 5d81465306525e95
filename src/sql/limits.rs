//! How much text is looked at before a statement is called `unknown`. Both hold before a parser runs.

/// Bounds on one message or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Depth of parentheses, brackets, CASE and subqueries.
    pub nesting: usize,
}

impl Limits {
    /// For statements on their way through the proxy, and the default.
    pub const INLINE: Self = Self { bytes: 1 << 20, nesting: 64 };

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
