//! What the open transaction has defined. The catalog shows it to nobody else before the commit, so the facts are old for
//! what it concerns: by the names that were given, or for everything where names do not tell.

use std::collections::HashSet;

use super::extensions;
use super::facts::Facts;
use super::resolve::ApprovedUse;
use crate::sql::functions::builtin;
use crate::sql::{Action, Effect, ObjectKind, Redefinition};

/// How many names are kept; with more of them, everything counts as changed.
const MOST_NAMES: usize = 10_000;

/// What the open transaction has defined.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    state: State,
    /// Relations that may be others now, or run other code, in whichever schema.
    relations: HashSet<String>,
    /// Functions and types that are called or cast to by their names, in whichever schema.
    names: HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum State {
    /// It has defined nothing.
    #[default]
    Nothing,
    /// It has, and what that concerns is known by name.
    Named,
    /// Any statement may mean or run something else.
    Anything,
}

impl Definitions {
    /// Whether nothing was defined.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.state, State::Nothing)
    }

    /// Whether any statement may mean or run something else now.
    #[must_use]
    pub const fn concern_everything(&self) -> bool {
        matches!(self.state, State::Anything)
    }

    /// Whether a relation of that name may be another, or run other code.
    #[must_use]
    pub fn concern_relation(&self, name: &str) -> bool {
        self.relations.contains(name)
    }

    /// Whether a function or a type of that name may be another. Of a type, `_name` is one of arrays.
    #[must_use]
    pub fn concern_name(&self, name: &str) -> bool {
        self.names.contains(name) || name.strip_prefix('_').is_some_and(|element| self.names.contains(element))
    }

    /// Adds what a statement has done. Whether that is anything.
    pub fn note(
        &mut self,
        redefines: &Redefinition,
        effects: &[Effect],
        approved: ApprovedUse,
        facts: Option<&Facts>,
    ) -> bool {
        // Code that was approved for its body is not in the text.
        let tells_all = *redefines == Redefinition::Nothing && approved == ApprovedUse::None;
        let mut state = State::Nothing;
        for effect in effects.iter().filter(|effect| defines(effect)) {
            match effect.action {
                Action::Execute | Action::Unknown => state = State::Anything,
                Action::Grant => state = state.max(State::Named),
                _ => {
                    let concerns = if tells_all { Concern::Nothing } else { concern(effect, facts) };
                    state = state.max(self.add(&effect.object.name, concerns)).max(self.add_more(redefines));
                }
            }
        }
        if approved == ApprovedUse::Unsettling {
            state = State::Anything;
        }
        self.state = self.state.max(state);
        state != State::Nothing
    }

    fn add(&mut self, name: &str, concerns: Concern) -> State {
        let is_full = self.relations.len() + self.names.len() >= MOST_NAMES;
        match concerns {
            Concern::Nothing => {}
            _ if is_full => return State::Anything,
            Concern::Relation => drop(self.relations.insert(name.to_owned())),
            Concern::Name => drop(self.names.insert(name.to_owned())),
            Concern::NameAndMore => {
                self.names.insert(name.to_owned());
                return State::Anything;
            }
            Concern::Everything => return State::Anything,
        }
        State::Named
    }

    fn add_more(&mut self, redefines: &Redefinition) -> State {
        match redefines {
            Redefinition::Nothing | Redefinition::Named => State::Named,
            Redefinition::And(relations) if self.relations.len() + relations.len() > MOST_NAMES => State::Anything,
            Redefinition::And(relations) => {
                self.relations.extend(relations.iter().cloned());
                State::Named
            }
            Redefinition::Anything => State::Anything,
        }
    }
}

/// Whether an effect is one that [`Definitions::note`] would add something for.
#[must_use]
pub const fn defines(effect: &Effect) -> bool {
    match effect.action {
        Action::Create | Action::Alter | Action::Drop => !effect.temporary,
        Action::Grant | Action::Execute | Action::Unknown => true,
        _ => false,
    }
}

/// What a definition concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// Nothing that a statement means or runs.
    Nothing,
    /// Whatever uses the relation of its name.
    Relation,
    /// Whatever uses the function or type of its name.
    Name,
    /// Whatever uses the function of its name, and more.
    NameAndMore,
    /// More than uses its name.
    Everything,
}

fn concern(effect: &Effect, facts: Option<&Facts>) -> Concern {
    let name = effect.object.name.as_str();
    match effect.object.kind {
        kind if kind.is_relation() && kind != ObjectKind::Index && name.is_empty() => Concern::Everything,
        ObjectKind::Table
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::ForeignTable
        | ObjectKind::Sequence
        | ObjectKind::Relation => Concern::Relation,
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Aggregate | ObjectKind::Routine => {
            // What is used where nobody names it counts as reviewed only in these, and their names may hide others.
            let is_reviewed = builtin(name).is_some()
                || facts.is_none_or(|facts| {
                    facts.functions.get(name).is_some_and(|all| all.iter().any(|function| function.code.reviewed))
                });
            // Its new name does not stand in the effect.
            if is_reviewed || effect.action == Action::Alter { Concern::NameAndMore } else { Concern::Name }
        }
        ObjectKind::Type | ObjectKind::Domain if effect.action == Action::Alter => Concern::Everything,
        ObjectKind::Type | ObjectKind::Domain => Concern::Name,
        ObjectKind::Schema if effect.action == Action::Create => Concern::Nothing,
        ObjectKind::Extension if effect.action == Action::Create && extensions::is_reviewed(name) => Concern::Nothing,
        // Those that hang on a relation stand beside an effect on that.
        ObjectKind::Index
        | ObjectKind::Column
        | ObjectKind::Constraint
        | ObjectKind::Trigger
        | ObjectKind::Rule
        | ObjectKind::Policy
        | ObjectKind::Collation
        | ObjectKind::Database
        | ObjectKind::Tablespace
        | ObjectKind::Role
        | ObjectKind::Server
        | ObjectKind::ForeignDataWrapper
        | ObjectKind::UserMapping
        | ObjectKind::Publication
        | ObjectKind::Subscription
        | ObjectKind::LargeObject => Concern::Nothing,
        _ => Concern::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{LexerSettings, analyze};

    /// What is defined behind a script that no catalog knows anything of.
    fn behind(script: &str) -> Definitions {
        let mut definitions = Definitions::default();
        for statement in analyze(script.as_bytes(), &LexerSettings::default()).statements {
            definitions.note(&statement.redefines, &statement.effects, ApprovedUse::None, Some(&Facts::default()));
        }
        definitions
    }

    #[test]
    fn what_text_alone_tells_in_full_concerns_nothing() {
        for script in [
            "SELECT 1; INSERT INTO t VALUES (1)",
            "CREATE TEMP TABLE t (a int)",
            "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0, ADD CHECK (a > 0), DROP CONSTRAINT c",
            "ALTER TABLE t ALTER a SET DEFAULT 1, ALTER COLUMN a TYPE bigint, ALTER a SET NOT NULL",
            "CREATE INDEX ON t (lower(a))",
            "COMMENT ON TABLE t IS 'x'; COMMENT ON FUNCTION f() IS 'x'",
            "ALTER TYPE mood ADD VALUE 'x'",
            "GRANT SELECT ON t TO u; CREATE ROLE r; CREATE SCHEMA s; CREATE EXTENSION IF NOT EXISTS pgcrypto",
        ] {
            let definitions = behind(script);
            assert!(!definitions.concern_everything(), "{script}");
            assert!(definitions.relations.is_empty() && definitions.names.is_empty(), "{script}: {definitions:?}");
        }
        assert!(behind("SELECT 1").is_empty() && !behind("GRANT SELECT ON t TO u").is_empty());
    }

    #[test]
    fn what_hangs_on_names_concerns_those() {
        for (script, relations, names) in [
            ("CREATE OR REPLACE VIEW v AS SELECT 1", &["v"][..], &[][..]),
            ("CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()", &["t"], &[]),
            ("CREATE RULE r AS ON INSERT TO t DO ALSO SELECT 1; DROP TRIGGER g ON u", &["t", "u"], &[]),
            ("CREATE POLICY p ON t USING (f(a)); ALTER TABLE u ENABLE ROW LEVEL SECURITY", &["t", "u"], &[]),
            ("CREATE TABLE t (a int REFERENCES s.u, b int REFERENCES v (b))", &["t", "u", "v"], &[]),
            ("ALTER TABLE t ADD b int, ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES \"U\"", &["t", "U"], &[]),
            ("ALTER TABLE t RENAME TO u; ALTER VIEW v RENAME TO w", &["t", "u", "v", "w"], &[]),
            ("ALTER TABLE t RENAME a TO b; ALTER TABLE u DROP COLUMN a, ADD b int", &["t", "u"], &[]),
            ("CREATE TABLE t () INHERITS (u); CREATE TABLE v PARTITION OF w DEFAULT", &["t", "u", "v", "w"], &[]),
            ("ALTER TABLE t ATTACH PARTITION u DEFAULT; ALTER TABLE v INHERIT w", &["t", "u", "v", "w"], &[]),
            ("SELECT 1 AS a INTO t; CREATE TABLE u AS SELECT 1; DROP TABLE v CASCADE", &["t", "u", "v"], &[]),
            ("CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE DOMAIN d AS int", &[], &["f", "d"]),
            ("DROP FUNCTION f(); CREATE TYPE e AS ENUM ('a')", &[], &["f", "e"]),
        ] {
            let definitions = behind(script);
            assert!(!definitions.is_empty() && !definitions.concern_everything(), "{script}");
            assert_eq!(definitions.relations, relations.iter().map(|name| (*name).to_owned()).collect(), "{script}");
            assert_eq!(definitions.names, names.iter().map(|name| (*name).to_owned()).collect(), "{script}");
        }
        assert!(behind("CREATE DOMAIN d AS int").concern_name("_d"));
    }

    #[test]
    fn what_names_do_not_tell_concerns_everything() {
        for script in [
            "DO 'x'",
            "CALL p()",
            "CREATE FUNCTION public.lower(a text) RETURNS text LANGUAGE sql AS 'SELECT a'",
            "ALTER FUNCTION f() RENAME TO g",
            "ALTER DOMAIN d ADD CHECK (f(VALUE))",
            "ALTER TYPE t RENAME TO u",
            "CREATE CAST (a AS b) WITH FUNCTION f(a)",
            "CREATE OPERATOR = (FUNCTION = f, LEFTARG = a, RIGHTARG = a)",
            "CREATE EXTENSION dblink",
            "DROP SCHEMA s",
            "DROP TYPE t CASCADE",
            "CREATE SCHEMA s CREATE VIEW v AS SELECT 1",
            "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION f()",
            "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO public",
            "CREATE STATISTICS s ON (f(a)), b FROM t",
            "DROP OWNED BY r",
        ] {
            assert!(behind(script).concern_everything(), "{script}: {:?}", behind(script));
        }
        let mut definitions = Definitions::default();
        let statement = &analyze(b"CREATE INDEX ON t (f(a))", &LexerSettings::default()).statements[0];
        assert!(definitions.note(&statement.redefines, &statement.effects, ApprovedUse::None, None));
        let alters = [Effect::new(Action::Alter, crate::sql::Object::new(ObjectKind::Table, "t"))];
        assert!(definitions.note(&Redefinition::Nothing, &alters, ApprovedUse::Settled, None));
    }
}
