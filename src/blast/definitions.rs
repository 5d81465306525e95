//! What the open transaction has defined. The catalog shows it to nobody else before the commit, so the facts are old for
//! what it concerns: by the names that were given, or for everything where names do not tell.

use std::collections::HashSet;

use super::extensions;
use super::facts::Facts;
use super::resolve::ApprovedUse;
use crate::sql::functions::{builtin, is_builtin_with_effects};
use crate::sql::{
    Action, Dependents, Effect, FunctionUse, Name, ObjectKind, Reach, Redefinition, SessionChange, Statement,
};

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
    dependents: Dependents,
    code: Ran,
    used: Used,
    at_commit: AtCommit,
}

/// Whether the transaction has used code of users, which may run again when it ends: by deferred triggers, by cursors that
/// outlive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Used {
    /// It has not.
    #[default]
    No,
    /// Some that somebody was asked for.
    Held,
    /// Some that is approved for its body, so that nobody is asked for what that uses in turn; or a query was put off.
    Later,
}

/// Whether code has run that may have defined something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ran {
    #[default]
    No,
    Yes,
}

/// Whether the end of the transaction may run code that was made anew since it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AtCommit {
    #[default]
    Nothing,
    MayRun,
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
        matches!((self.state, self.code), (State::Nothing, Ran::No))
    }

    /// Whether nothing at all was noted.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.is_empty() && matches!(self.used, Used::No)
    }

    /// Whether any statement may mean or run something else now.
    #[must_use]
    pub const fn concern_everything(&self) -> bool {
        matches!(self.state, State::Anything) || matches!(self.code, Ran::Yes)
    }

    /// Whether a relation of that name may be another, or run other code.
    #[must_use]
    pub fn concern_relation(&self, name: &str) -> bool {
        self.relations.contains(name)
    }

    /// Whether a function or a type of that name may be another. Of a type, `_name` is one of arrays, with more underscores
    /// where that is taken.
    #[must_use]
    pub fn concern_name(&self, name: &str) -> bool {
        [name, name.trim_start_matches('_')].iter().any(|name| self.names.contains(*name))
    }

    /// Whether a type of that name may be another; a relation has one of its rows.
    #[must_use]
    pub fn concern_type(&self, name: &str) -> bool {
        self.concern_name(name) || [name, name.trim_start_matches('_')].iter().any(|name| self.concern_relation(name))
    }

    /// Whether the end of the transaction may run code that was made anew since it was used.
    #[must_use]
    pub const fn may_run_at_commit(&self) -> bool {
        matches!(self.at_commit, AtCommit::MayRun)
    }

    /// What was noted is known to have changed nothing.
    pub fn forget(&mut self) {
        *self = Self { used: self.used, ..Self::default() };
    }

    /// The code that ran since what the texts tell was noted is known to have defined nothing.
    pub const fn code_defined_nothing(&mut self) {
        self.code = Ran::No;
    }

    /// Or it has, or may have: what, nobody knows.
    pub fn code_may_have_defined(&mut self) {
        if std::mem::take(&mut self.code) == Ran::Yes {
            self.state = State::Anything;
        }
    }

    /// A statement has run code of users, or may have left some to be run.
    pub fn note_use(&mut self, approved: ApprovedUse, effects: &[Effect], changes: &[SessionChange]) {
        let outlives = |change: &SessionChange| matches!(change, SessionChange::DeclareCursor { hold: true, .. });
        let used = if approved != ApprovedUse::None || changes.iter().any(outlives) {
            Used::Later
        } else if effects.iter().any(|effect| effect.action == Action::Execute) {
            Used::Held
        } else {
            Used::No
        };
        self.used = self.used.max(used);
    }

    /// Whether something was dropped with all that depended on it: a name may mean what stands behind it in the search path.
    #[must_use]
    pub const fn dropped_dependents(&self) -> bool {
        matches!(self.dependents, Dependents::AreDropped)
    }

    /// Adds what a statement has done, or one of which only the effects are known. Whether that is anything.
    pub fn note(
        &mut self,
        statement: Option<&Statement>,
        effects: &[Effect],
        approved: ApprovedUse,
        facts: Option<&Facts>,
    ) -> bool {
        let unknown = Redefinition::ANYTHING;
        let redefines = statement.map_or(&unknown, |statement| &statement.redefines);
        // Code that was approved for its body is not in the text.
        let tells_all = redefines.reach == Reach::Nothing
            && approved == ApprovedUse::None
            && statement.is_some_and(|statement| self.is_plain(statement, facts));
        let mut state = State::Nothing;
        for effect in effects.iter().filter(|effect| defines(effect)) {
            let concerns = match effect.action {
                Action::Execute | Action::Unknown => Concern::Code,
                Action::Grant => granted(statement, effect),
                _ if redefines.reach == Reach::Anything => Concern::Everything,
                _ if tells_all => Concern::Nothing,
                _ => concern(effect, facts),
            };
            state = state.max(self.add(&effect.object.name, concerns, facts));
            let makes_anew = match effect.action {
                Action::Grant => false,
                // What it calls is not asked for.
                _ if self.used == Used::Later => concerns != Concern::Nothing,
                Action::Execute | Action::Unknown => false,
                _ => self.used == Used::Held && is_routine(effect.object.kind),
            };
            if makes_anew {
                self.at_commit = AtCommit::MayRun;
            }
        }
        if state != State::Nothing {
            for relation in &redefines.relations {
                state = state.max(self.add(relation, Concern::Relation, facts));
            }
            self.dependents = self.dependents.max(redefines.dependents);
        }
        if statement.is_some_and(|statement| statement.command == "COMMIT PREPARED") {
            // What it commits was defined by a transaction that is not known.
            state = state.max(State::Named);
        }
        if approved == ApprovedUse::Unsettling {
            self.code = Ran::Yes;
        }
        self.state = self.state.max(state);
        state != State::Nothing || self.code == Ran::Yes
    }

    /// Whether what a statement stores does nothing but compute, on values of the server's own types.
    fn is_plain(&self, statement: &Statement, facts: Option<&Facts>) -> bool {
        let computes = |function: &FunctionUse| !is_builtin_with_effects(&function.name.name);
        let is_servers_own = |name: &Name| {
            facts.is_some_and(|facts| !facts.type_names.contains(&name.name)) && !self.concern_type(&name.name)
        };
        statement.functions.iter().all(computes) && statement.types.iter().all(is_servers_own)
    }

    fn add(&mut self, name: &str, concerns: Concern, facts: Option<&Facts>) -> State {
        let is_full = self.relations.len() + self.names.len() >= MOST_NAMES;
        match concerns {
            Concern::Nothing => {}
            _ if is_full => return State::Anything,
            Concern::Relation => self.add_relation(name, facts),
            Concern::Name => drop(self.names.insert(name.to_owned())),
            Concern::Code => {
                self.code = Ran::Yes;
                return State::Nothing;
            }
            Concern::Everything => return State::Anything,
        }
        State::Named
    }

    /// A relation and what is below it: a partition has the triggers and keys of its parents, a child their columns.
    fn add_relation(&mut self, name: &str, facts: Option<&Facts>) {
        self.relations.insert(name.to_owned());
        let Some(facts) = facts else { return };
        let mut open: Vec<_> = facts.named(name).collect();
        while let Some(relation) = open.pop() {
            for child in relation.children.iter().filter_map(|oid| facts.relations.get(oid)) {
                if self.relations.insert(child.name.clone()) {
                    open.push(child);
                }
            }
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

/// Privileges decide which schemas of a search path are searched. What is granted is not counted on before the catalog shows it.
fn granted(statement: Option<&Statement>, effect: &Effect) -> Concern {
    let takes = statement.is_none_or(|statement| statement.command != "GRANT");
    let decides = matches!(effect.object.kind, ObjectKind::Schema | ObjectKind::Role);
    let is_default = statement.is_some_and(|statement| statement.command == "ALTER DEFAULT PRIVILEGES");
    if takes && decides && !is_default { Concern::Everything } else { Concern::Nothing }
}

const fn is_routine(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Aggregate | ObjectKind::Routine)
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
    /// Code ran: perhaps everything.
    Code,
    /// More than uses its name.
    Everything,
}

fn concern(effect: &Effect, facts: Option<&Facts>) -> Concern {
    let name = effect.object.name.as_str();
    match effect.object.kind {
        kind if kind.is_relation() && kind != ObjectKind::Index => {
            if name.is_empty() {
                Concern::Everything
            } else {
                Concern::Relation
            }
        }
        kind if is_routine(kind) => {
            // What is used where nobody names it counts as reviewed only in these, and their names may hide others. A new
            // name does not stand in the effect.
            let is_reviewed = builtin(name).is_some()
                || facts.is_none_or(|facts| {
                    facts.functions.get(name).is_some_and(|all| all.iter().any(|function| function.code.reviewed))
                });
            if is_reviewed || effect.action == Action::Alter { Concern::Everything } else { Concern::Name }
        }
        ObjectKind::Type | ObjectKind::Domain if effect.action == Action::Alter => Concern::Everything,
        // It may hide one that the source of an extension's function names.
        ObjectKind::Type | ObjectKind::Domain if facts.is_none_or(|facts| facts.type_names.contains(name)) => {
            Concern::Everything
        }
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
            definitions.note(Some(&statement), &statement.effects, ApprovedUse::None, Some(&Facts::default()));
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
            "ALTER TYPE mood ADD VALUE 'x'; CREATE TYPE mood AS ENUM ('ok'); ALTER FUNCTION f() OWNER TO u",
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
            ("DROP FUNCTION f(); CREATE TYPE e AS (a int)", &[], &["f", "e"]),
        ] {
            let definitions = behind(script);
            assert!(!definitions.is_empty() && !definitions.concern_everything(), "{script}");
            assert_eq!(definitions.relations, relations.iter().map(|name| (*name).to_owned()).collect(), "{script}");
            assert_eq!(definitions.names, names.iter().map(|name| (*name).to_owned()).collect(), "{script}");
        }
        assert!(
            behind("CREATE DOMAIN d AS int").concern_name("_d")
                && behind("CREATE DOMAIN d AS int").concern_type("___d")
        );
        let table = behind("CREATE TABLE t (a d)");
        assert!(table.concern_type("t") && table.concern_type("_t") && !table.concern_name("t"));
        for cascade in ["DROP TABLE t CASCADE", "ALTER TABLE t DROP CONSTRAINT c CASCADE, ADD a int"] {
            assert!(behind(cascade).dropped_dependents(), "{cascade}");
        }
        assert!(!behind("DROP TABLE t").dropped_dependents());
    }

    #[test]
    fn a_relation_concerns_those_below_it_and_what_is_of_users_is_not_plain() {
        let mut facts = Facts { type_names: ["mood".to_owned(), "earth".to_owned()].into(), ..Facts::default() };
        for (oid, name, children) in
            [(1, "root", vec![2]), (2, "mid", vec![3]), (3, "leaf", vec![]), (4, "other", vec![])]
        {
            facts.add_relation(super::super::facts::Relation {
                oid,
                name: name.to_owned(),
                children,
                ..Default::default()
            });
        }
        let noted = |sql: &str| {
            let mut definitions = Definitions::default();
            for statement in analyze(sql.as_bytes(), &LexerSettings::default()).statements {
                let defined: Vec<_> =
                    statement.effects.iter().filter(|effect| effect.action != Action::Execute).cloned().collect();
                definitions.note(Some(&statement), &defined, ApprovedUse::None, Some(&facts));
            }
            definitions
        };
        let trigger = noted("CREATE TRIGGER g BEFORE INSERT ON mid FOR EACH ROW EXECUTE FUNCTION f()");
        assert!(["mid", "leaf"].iter().all(|name| trigger.concern_relation(name)));
        assert!(["root", "other"].iter().all(|name| !trigger.concern_relation(name)));
        assert!(noted("ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES root").concern_relation("leaf"));
        for altered in [
            "ALTER TABLE other ADD a mood",
            "ALTER TABLE other ALTER a TYPE mood[]",
            "CREATE DOMAIN d AS int; ALTER TABLE other ADD a d",
            "ALTER TABLE other ALTER a SET DEFAULT set_config('search_path', 'x', false)",
            "ALTER TABLE other ADD CHECK (pg_advisory_lock(1) IS NULL)",
        ] {
            assert!(noted(altered).concern_relation("other"), "{altered}");
        }
        assert!(!noted("ALTER TABLE other ADD a int DEFAULT abs(1)").concern_relation("other"));
        assert!(noted("CREATE DOMAIN earth AS int").concern_everything());
    }

    #[test]
    fn what_was_put_off_is_asked_for_when_a_function_is_made_anew_since() {
        let makes = &analyze(
            b"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            &LexerSettings::default(),
        )
        .statements[0];
        for (used, effects, expected) in [
            (ApprovedUse::None, vec![], false),
            (ApprovedUse::Settled, vec![], true),
            (
                ApprovedUse::None,
                vec![Effect::new(Action::Execute, crate::sql::Object::new(ObjectKind::Function, "f"))],
                true,
            ),
        ] {
            let mut definitions = Definitions::default();
            definitions.note_use(used, &effects, &[]);
            assert_eq!(definitions.is_untouched(), !expected);
            definitions.note(Some(makes), &makes.effects, ApprovedUse::None, Some(&Facts::default()));
            assert_eq!(definitions.may_run_at_commit(), expected);
            definitions.forget();
            assert!(definitions.is_empty() && !definitions.may_run_at_commit());
        }
        // What approved code or a query that was put off uses in turn, nobody is asked for.
        let hold = analyze(b"DECLARE c CURSOR WITH HOLD FOR SELECT 1", &LexerSettings::default()).statements;
        let trigger = "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
        for (used, changes, made, expected) in [
            (ApprovedUse::Settled, &[][..], trigger, true),
            (ApprovedUse::None, &hold[0].session[..], "ALTER DOMAIN d ADD CHECK (f(VALUE))", true),
            (ApprovedUse::None, &hold[0].session[..], "CREATE INDEX ON t (a)", false),
            (ApprovedUse::None, &[], trigger, false),
        ] {
            let mut definitions = Definitions::default();
            definitions.note_use(used, &[], changes);
            let made = &analyze(made.as_bytes(), &LexerSettings::default()).statements[0];
            definitions.note(Some(made), &made.effects, ApprovedUse::None, Some(&Facts::default()));
            assert_eq!(definitions.may_run_at_commit(), expected, "{}", made.command);
        }
        let others = &analyze(b"COMMIT PREPARED 'x'", &LexerSettings::default()).statements[0];
        assert!(Definitions::default().note(Some(others), &others.effects, ApprovedUse::None, None));
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
            "CREATE TYPE r AS RANGE (subtype = int)",
            "CREATE EVENT TRIGGER g ON ddl_command_end EXECUTE FUNCTION f()",
            "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO public",
            "CREATE STATISTICS s ON (f(a)), b FROM t",
            "DROP OWNED BY r",
            "REVOKE USAGE ON SCHEMA s FROM r",
            "REVOKE a FROM b",
            "REASSIGN OWNED BY a TO b",
        ] {
            assert!(behind(script).concern_everything(), "{script}: {:?}", behind(script));
        }
        let mut definitions = Definitions::default();
        let statement = &analyze(b"CREATE INDEX ON t (f(a))", &LexerSettings::default()).statements[0];
        assert!(definitions.note(Some(statement), &statement.effects, ApprovedUse::None, None));
    }
}
