//! Whether a condition can leave rows out: the difference between `UPDATE ... WHERE id = 1` and
//! `UPDATE ... WHERE id = id`.

use super::shape::{Against, Column, Condition, Constant, Exposed, QueryShape, Relation, Shape, Test, TestKind};
use crate::sql::keyword::Keyword;

/// Columns that every row has and that tell nothing about it.
const SYSTEM_COLUMNS: [&str; 5] = ["tableoid", "xmin", "xmax", "cmin", "cmax"];

/// Numbers from here on are above whatever a column holds that somebody counts with.
const LARGE: f64 = 2_147_483_647.0;

/// Each source is held against each other one; with more than these, none counts as restricted.
const MAX_SOURCES: usize = 16;

/// A relation, or what stands in its place, beside the one in question.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    /// Its alias, or its name.
    pub(super) alias: &'a str,
    /// The relations whose rows it shows all of.
    pub(super) exposes: Exposed<'a>,
}

/// The relation whose rows are in question.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    /// Its name.
    pub(super) relation: Relation<'a>,
    /// Its alias, or its name.
    pub(super) alias: &'a str,
    /// What stands beside it in the same statement.
    pub(super) others: Vec<Source<'a>>,
}

/// How literals are looked at: the texts of tokens.
pub(super) trait Literals {
    /// The text of a literal. Who asks makes the answer depend on it.
    fn text(&mut self, token: usize) -> &str;
}

/// One question about one condition.
pub(super) struct Judge<'j, 'a> {
    target: &'j Target<'a>,
    literals: &'j mut dyn Literals,
    /// Columns without a qualifier are not the target's.
    qualified_only: bool,
}

impl<'j, 'a> Judge<'j, 'a> {
    /// A question about the rows of `target`. Where other relations stand beside it, a column without a
    /// qualifier may be theirs, so it does not count.
    pub(super) fn new(target: &'j Target<'a>, literals: &'j mut dyn Literals) -> Self {
        Self { qualified_only: !target.others.is_empty(), target, literals }
    }

    /// The same, asked from inside a subquery: only columns with the target's name before them count.
    pub(super) const fn seen_from_inside(mut self) -> Self {
        self.qualified_only = true;
        self
    }

    /// Whether rows of the target exist, for all we know, that do not meet the condition.
    pub(super) fn excludes(&mut self, condition: &Condition<'a>) -> bool {
        self.judge(condition, false)
    }

    fn judge(&mut self, condition: &Condition<'a>, negated: bool) -> bool {
        match condition {
            Condition::Opaque => false,
            Condition::Test(test) if negated => self.test(&Test { kind: test.kind.negated(), ..test.clone() }),
            Condition::Test(test) => self.test(test),
            Condition::Not(inner) => self.judge(inner, !negated),
            Condition::Exists(query) => query.correlates && (!negated || query.plain),
            Condition::All(parts) if !negated => parts.iter().any(|part| self.judge(part, false)),
            Condition::Any(parts) if negated => parts.iter().any(|part| self.judge(part, true)),
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().all(|part| self.judge(part, negated)) && !covers(parts, negated)
            }
        }
    }

    fn test(&mut self, test: &Test<'a>) -> bool {
        if !self.is_of_target(test.column) {
            return false;
        }
        match &test.against {
            Against::Nothing => test.pure && test.kind != TestKind::NotNull,
            Against::Opaque => false,
            Against::Constant(constant) => {
                (test.pure || matches!(test.kind, TestKind::Equal | TestKind::Like | TestKind::Regex))
                    && self.narrows(test.kind, *constant)
            }
            Against::Column(other) => {
                matches!(test.kind, TestKind::Equal | TestKind::Below | TestKind::Above)
                    && test.pure
                    && self.is_of_another(*other)
            }
            Against::Query(query) => self.query_narrows(test.kind, query),
        }
    }

    fn query_narrows(&self, kind: TestKind, query: &QueryShape<'a>) -> bool {
        matches!(kind, TestKind::Equal | TestKind::Below | TestKind::Above | TestKind::Unlike)
            && !query.outer
            && !query.exposes.may_include(self.target.relation)
    }

    fn is_of_target(&self, column: Column<'a>) -> bool {
        !SYSTEM_COLUMNS.contains(&column.name)
            && match column.qualifier {
                Some(qualifier) => qualifier == self.target.alias,
                None => !self.qualified_only,
            }
    }

    /// Whether a column is surely one of another relation than the target's.
    fn is_of_another(&self, column: Column<'a>) -> bool {
        let Some(qualifier) = column.qualifier else { return false };
        let source = self.target.others.iter().find(|source| source.alias == qualifier);
        source.is_some_and(|source| !source.exposes.may_include(self.target.relation))
    }

    /// Whether comparing a column with a constant leaves rows out. `id > 0` and `name LIKE '%'` do not.
    fn narrows(&mut self, kind: TestKind, constant: Constant) -> bool {
        match constant {
            Constant::External => true,
            Constant::Computed => matches!(kind, TestKind::Equal),
            Constant::Word(word) => {
                word != Keyword::Null && matches!(kind, TestKind::Equal | TestKind::Unlike)
                    || (word == Keyword::Null && kind == TestKind::Equal)
            }
            Constant::Literal { token, negative } => match kind {
                TestKind::Equal => true,
                TestKind::Above => !self.is_low(token, negative, 1.0),
                TestKind::Unlike => !self.is_low(token, negative, 0.0),
                TestKind::Below => !self.is_high(token, negative),
                TestKind::Like => self.literals.text(token).chars().any(|c| c != '%' && c != '_'),
                TestKind::Regex => regex_narrows(self.literals.text(token)),
                TestKind::NotLike | TestKind::NotRegex => !self.literals.text(token).is_empty(),
                TestKind::Null | TestKind::NotNull | TestKind::True | TestKind::False => false,
            },
        }
    }

    /// A bound that keys and names are above anyway.
    fn is_low(&mut self, token: usize, negative: bool, least: f64) -> bool {
        let text = self.literals.text(token).trim();
        text.is_empty()
            || text.eq_ignore_ascii_case("-infinity")
            || (negative && text.eq_ignore_ascii_case("infinity"))
            || text.parse::<f64>().is_ok_and(|number| if negative { number >= 0.0 } else { number <= least })
    }

    /// A bound that keys and times are below anyway.
    fn is_high(&mut self, token: usize, negative: bool) -> bool {
        let text = self.literals.text(token).trim();
        !negative && (text.eq_ignore_ascii_case("infinity") || text.parse::<f64>().is_ok_and(|number| number >= LARGE))
    }
}

/// Whether a regular expression surely fails for some text: it has a letter or digit that must be there.
fn regex_narrows(pattern: &str) -> bool {
    pattern.chars().any(char::is_alphanumeric) && !pattern.contains(['|', '*', '?', '{', '\\'])
}

/// Whether alternatives that each leave rows out leave none out together: `id = 5 OR id <> 5`.
fn covers(parts: &[Condition<'_>], negated: bool) -> bool {
    let mut seen: Vec<(&str, TestKind)> = Vec::new();
    for part in parts {
        collect_tests(part, negated, &mut seen);
    }
    seen.sort_by_key(|(name, _)| *name);
    seen.chunk_by(|one, two| one.0 == two.0).any(|tests| {
        let has = |wanted: &[TestKind]| tests.iter().any(|(_, kind)| wanted.contains(kind));
        let unlike = [TestKind::Unlike, TestKind::NotLike, TestKind::NotRegex, TestKind::NotNull];
        (tests.len() > 1 && has(&unlike))
            || (has(&[TestKind::Below]) && has(&[TestKind::Above]))
            || (has(&[TestKind::True]) && has(&[TestKind::False]))
    })
}

fn collect_tests<'c>(condition: &'c Condition<'_>, negated: bool, seen: &mut Vec<(&'c str, TestKind)>) {
    match condition {
        Condition::Test(test) => {
            let kind = if negated { test.kind.negated() } else { test.kind };
            seen.push((test.column.name, truth_kind(kind, &test.against)));
        }
        Condition::Not(inner) => collect_tests(inner, !negated, seen),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                collect_tests(part, negated, seen);
            }
        }
        Condition::Exists(_) | Condition::Opaque => {}
    }
}

/// `active = true` is `active`.
fn truth_kind(kind: TestKind, against: &Against<'_>) -> TestKind {
    match (kind, against) {
        (TestKind::Equal, Against::Constant(Constant::Word(Keyword::True))) => TestKind::True,
        (TestKind::Equal, Against::Constant(Constant::Word(Keyword::False))) => TestKind::False,
        _ => kind,
    }
}

/// What a query inside a condition is, from its sources and its condition.
pub(super) fn query_shape<'a>(
    sources: &[Source<'a>],
    condition: Option<&Condition<'a>>,
    target: Option<&Target<'a>>,
    literals: &mut dyn Literals,
) -> QueryShape<'a> {
    let restricted = condition.is_some_and(|condition| restricts(sources, condition, literals));
    let exposes = if restricted {
        Exposed::default()
    } else {
        sources.iter().fold(Exposed::default(), |all, source| all.and(&source.exposes))
    };
    let correlates = match (condition, target) {
        (Some(condition), Some(target)) if !sources.iter().any(|source| source.alias == target.alias) => {
            let seen = Target { others: sources.iter().chain(&target.others).cloned().collect(), ..target.clone() };
            Judge::new(&seen, literals).seen_from_inside().excludes(condition)
        }
        _ => false,
    };
    let plain = condition.is_some_and(is_plain);
    QueryShape { exposes, outer: sources.is_empty(), correlates, plain }
}

/// Whether a subquery's condition leaves rows of one of its own sources out.
fn restricts<'a>(sources: &[Source<'a>], condition: &Condition<'a>, literals: &mut dyn Literals) -> bool {
    if sources.len() > MAX_SOURCES {
        return false;
    }
    sources.iter().enumerate().any(|(index, source)| {
        let relation = source.exposes.first().unwrap_or(Relation { schema: None, name: "" });
        let mut others = sources.to_vec();
        others.remove(index);
        let alone = others.is_empty();
        let target = Target { relation, alias: source.alias, others };
        let mut judge = Judge::new(&target, literals);
        judge.qualified_only = !alone;
        judge.excludes(condition)
    })
}

fn is_plain(condition: &Condition<'_>) -> bool {
    match condition {
        Condition::Test(_) => true,
        Condition::All(parts) => parts.iter().all(is_plain),
        Condition::Any(_) | Condition::Not(_) | Condition::Exists(_) | Condition::Opaque => false,
    }
}

/// `COALESCE(c, 0)`: still one value a value of the column.
pub(super) fn derived<'a>(arguments: &[Shape<'a>]) -> Shape<'a> {
    match arguments {
        [Shape::Column(column) | Shape::Derived(column), rest @ ..] if rest.iter().all(Shape::is_constant) => {
            Shape::Derived(*column)
        }
        [first @ .., Shape::Column(column) | Shape::Derived(column)] if first.iter().all(Shape::is_constant) => {
            Shape::Derived(*column)
        }
        _ => Shape::computed(arguments, Constant::External),
    }
}
