//! What somebody has to type before a statement may run: more than a key that is pressed by habit.

use super::HoldView;
use crate::sql::Action;
use crate::sql::risk::Level;
use crate::text::Untrusted;

/// What confirms an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// A plain yes: the risk is low, and how far it reaches is known.
    Yes,
    /// The name of what the statement does its worst to.
    Name {
        /// Its schema, which may be typed as well.
        schema: Option<String>,
        /// Its name as people are shown it; the hold's id where the statement names nothing.
        name: String,
    },
}

impl HoldView {
    /// What confirms approving this.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        if self.risk < Level::High && !self.reach_is_unknown() {
            return Confirmation::Yes;
        }
        let shown = |text: &str| Untrusted::line(text).to_string();
        match self.stakes().into_iter().next() {
            Some(worst) if !worst.name.trim().is_empty() => {
                Confirmation::Name { schema: worst.schema.as_deref().map(shown), name: shown(&worst.name) }
            }
            _ => Confirmation::Name { schema: None, name: self.id.to_string() },
        }
    }

    /// Whether it changes something, and nobody knows how much: an unknown number is no small one.
    fn reach_is_unknown(&self) -> bool {
        let rows = self.radius.as_ref().and_then(|radius| radius.rows.value);
        rows.is_none() && self.actions.iter().any(|action| changes(action.action))
    }
}

const fn changes(action: Action) -> bool {
    !matches!(action, Action::Read | Action::Lock | Action::Set | Action::Transaction)
}

impl Confirmation {
    /// Whether this was typed. White space around it does not count; nothing typed never confirms.
    #[must_use]
    pub fn accepts(&self, typed: &str) -> bool {
        let typed = typed.trim();
        match self {
            Self::Yes => typed.eq_ignore_ascii_case("yes"),
            Self::Name { schema, name } => {
                let name = name.trim();
                let whole = schema.as_ref().map(|schema| format!("{schema}.{name}"));
                !typed.is_empty() && (typed == name || whole.as_deref() == Some(typed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::view::ActionView;
    use crate::gate::view::sample::hold;

    /// A hold of low risk, whose radius is known.
    fn harmless() -> HoldView {
        let mut hold = hold();
        hold.risk = Level::Medium;
        hold
    }

    #[test]
    fn low_risk_takes_a_yes_and_nothing_shorter() {
        let confirmation = harmless().confirmation();
        assert_eq!(confirmation, Confirmation::Yes);
        assert!(confirmation.accepts(" Yes "));
        for typed in ["", " ", "y", "a", "yes!", "orders"] {
            assert!(!confirmation.accepts(typed), "{typed:?}");
        }
    }

    #[test]
    fn high_risk_takes_the_name_of_the_table() {
        for risk in [Level::High, Level::Critical] {
            let confirmation = HoldView { risk, ..hold() }.confirmation();
            assert!(confirmation.accepts("orders") && confirmation.accepts("public.orders"));
            for typed in ["", "yes", "y", "Orders", "order_items", "other.orders", "orders;"] {
                assert!(!confirmation.accepts(typed), "{typed:?}");
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_high_risk() {
        let mut unknown = harmless();
        unknown.radius = None;
        assert!(matches!(unknown.confirmation(), Confirmation::Name { .. }));
        let mut uncounted = harmless();
        if let Some(radius) = &mut uncounted.radius {
            radius.rows = crate::blast::Rows::UNKNOWN;
        }
        assert!(matches!(uncounted.confirmation(), Confirmation::Name { .. }));
    }

    #[test]
    fn what_names_nothing_is_confirmed_by_its_id() {
        let mut nameless = hold();
        nameless.radius = None;
        nameless.actions[0].name = String::new();
        assert!(nameless.confirmation().accepts("h-7k2m"));
        assert!(!nameless.confirmation().accepts(""));
    }

    #[test]
    fn of_several_the_worst_has_to_be_named() {
        let mut several = hold();
        several.radius = None;
        several.actions.push(ActionView {
            action: Action::Drop,
            name: "customers".to_owned(),
            ..hold().actions.remove(0)
        });
        assert!(several.confirmation().accepts("customers") && several.confirmation().accepts("public.customers"));
        assert!(!several.confirmation().accepts("orders"));
    }

    #[test]
    fn a_name_is_typed_as_it_is_shown() {
        let mut odd = hold();
        odd.radius = None;
        odd.actions[0].name = "ord\u{200b}ers".to_owned();
        assert!(odd.confirmation().accepts("ord<U+200B>ers"));
        assert!(!odd.confirmation().accepts("orders"));
    }
}
