//! What things look like. The sixteen colours of ANSI and the terminal's own only, so that light and dark terminals
//! both work; blue is safe and orange (ANSI yellow) is dangerous, and each comes with a glyph and a word.

use ratatui::style::{Color, Modifier, Style};

use crate::sql::risk::Level;
use crate::text::listed::LINE_END;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Text.
    Plain,
    /// The name of a field.
    Label,
    /// Text that matters.
    Strong,
    /// Of little weight.
    Faint,
    /// A pane's title.
    Title,
    /// The selected row, tab or field.
    Selected,
    /// A key word of SQL.
    Keyword,
    /// A literal of SQL, or a value.
    Literal,
    /// A comment of SQL.
    Comment,
    /// `$1`.
    Parameter,
    /// A character that is not what it looks like.
    Hidden,
    /// What somebody claims.
    Claim,
    /// Dangerous.
    Danger,
    /// To be looked at twice.
    Caution,
    /// Harmless, or done.
    Safe,
}

/// Characters that differ with `--ascii`.
#[derive(Debug)]
pub(super) struct Glyphs {
    pub(super) quote: &'static str,
    pub(super) quote_continued: &'static str,
    pub(super) cut: &'static str,
    pub(super) line_end: &'static str,
    pub(super) cursor: &'static str,
    pub(super) above: &'static str,
    pub(super) below: &'static str,
    pub(super) branch: &'static str,
    pub(super) last_branch: &'static str,
    pub(super) vertical: &'static str,
    pub(super) bars: [&'static str; 9],
    pub(super) micro: &'static str,
    risks: [&'static str; 5],
}

const UNICODE: Glyphs = Glyphs {
    quote: "│ ",
    quote_continued: "┆ ",
    cut: "…",
    line_end: LINE_END,
    cursor: "▌",
    above: "▲",
    below: "▼",
    branch: "├ ",
    last_branch: "└ ",
    vertical: "│",
    bars: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    micro: "µs",
    risks: ["○", "○", "◆", "▲", "▲"],
};

const ASCII: Glyphs = Glyphs {
    quote: "| ",
    quote_continued: ": ",
    cut: "~",
    line_end: "<LF>",
    cursor: ">",
    above: "^",
    below: "v",
    branch: "|-",
    last_branch: "`-",
    vertical: "|",
    bars: [" ", ".", ":", "-", "=", "+", "*", "#", "@"],
    micro: "us",
    risks: ["o", "o", "*", "!", "!"],
};

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colors {
    /// The sixteen of ANSI.
    #[default]
    Ansi,
    /// None (`NO_COLOR`).
    None,
}

/// Which characters the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Characters {
    /// All.
    #[default]
    Unicode,
    /// ASCII for everything that is ours.
    Ascii,
}

/// What things look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Theme {
    /// The colours.
    pub colors: Colors,
    /// The characters.
    pub characters: Characters,
}

impl Theme {
    pub(super) fn glyphs(&self) -> &'static Glyphs {
        match self.characters {
            Characters::Unicode => &UNICODE,
            Characters::Ascii => &ASCII,
        }
    }

    pub(super) fn style(&self, role: Role) -> Style {
        let (plain, color) = match role {
            Role::Plain => (Style::new(), Style::new()),
            Role::Label | Role::Faint => (dim(), dim()),
            Role::Strong | Role::Title | Role::Keyword => (bold(), bold()),
            Role::Selected => (reversed(), reversed()),
            Role::Literal => (Style::new(), Style::new().fg(Color::Cyan)),
            Role::Comment => (italic(), italic().add_modifier(Modifier::DIM)),
            Role::Parameter => (bold(), bold().fg(Color::Magenta)),
            Role::Claim => (italic(), italic()),
            Role::Hidden | Role::Danger => {
                (reversed().add_modifier(Modifier::BOLD), bold().fg(Color::Black).bg(Color::Yellow))
            }
            Role::Caution => (bold().add_modifier(Modifier::UNDERLINED), bold().fg(Color::Yellow)),
            Role::Safe => (bold(), bold().fg(Color::Blue)),
        };
        match self.colors {
            Colors::Ansi => color,
            Colors::None => plain,
        }
    }

    /// What everything looks like while the connection is lost.
    pub(super) fn stale(&self) -> Style {
        match self.colors {
            Colors::Ansi => Style::reset().fg(Color::DarkGray),
            Colors::None => Style::reset().add_modifier(Modifier::DIM),
        }
    }

    /// A risk's glyph.
    pub(super) fn risk_glyph(&self, level: Level) -> &'static str {
        self.glyphs().risks[match level {
            Level::None => 0,
            Level::Low => 1,
            Level::Medium => 2,
            Level::High => 3,
            Level::Critical => 4,
        }]
    }
}

/// A risk's word, at most eight columns.
pub(super) const fn risk_word(level: Level) -> &'static str {
    match level {
        Level::None => "none",
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "HIGH",
        Level::Critical => "CRITICAL",
    }
}

/// How a risk looks.
pub(super) const fn risk_role(level: Level) -> Role {
    match level {
        Level::None | Level::Low => Role::Safe,
        Level::Medium => Role::Caution,
        Level::High | Level::Critical => Role::Danger,
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn italic() -> Style {
    Style::new().add_modifier(Modifier::ITALIC)
}

fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 15] = [
        Role::Plain,
        Role::Label,
        Role::Strong,
        Role::Faint,
        Role::Title,
        Role::Selected,
        Role::Keyword,
        Role::Literal,
        Role::Comment,
        Role::Parameter,
        Role::Hidden,
        Role::Claim,
        Role::Danger,
        Role::Caution,
        Role::Safe,
    ];

    #[test]
    fn only_the_terminals_own_sixteen_colours_are_used() {
        for role in ROLES {
            let style = Theme::default().style(role);
            for color in [style.fg, style.bg].into_iter().flatten() {
                assert!(!matches!(color, Color::Rgb(..) | Color::Indexed(_)), "{role:?}");
                assert!(!matches!(color, Color::Red | Color::Green | Color::LightRed | Color::LightGreen), "{role:?}");
            }
        }
    }

    #[test]
    fn without_colours_danger_still_differs() {
        let theme = Theme { colors: Colors::None, ..Theme::default() };
        for role in ROLES {
            assert_eq!((theme.style(role).fg, theme.style(role).bg), (None, None));
        }
        assert_ne!(theme.style(Role::Danger), theme.style(Role::Plain));
        assert_ne!(theme.style(Role::Danger), theme.style(Role::Safe));
    }

    #[test]
    fn every_risk_has_a_glyph_and_a_word() {
        for level in [Level::None, Level::Low, Level::Medium, Level::High, Level::Critical] {
            assert!(!risk_word(level).is_empty());
            let ascii = Theme { characters: Characters::Ascii, ..Theme::default() };
            assert!(ascii.risk_glyph(level).is_ascii());
        }
    }
}
