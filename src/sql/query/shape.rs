//! What an expression is, as far as it matters for one question: can a condition leave a row of the target
//! out? The answer is careful. Where the text does not show it, the condition counts as one that every row
//! meets.

use super::few::add_few;
use super::scope::{Columns, Grounds};
use crate::sql::keyword::Keyword;

/// A column as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) struct Column<'a> {
    /// The table or alias before its dot.
    pub(in crate::sql) qualifier: Option<&'a str>,
    /// Its name.
    pub(in crate::sql) name: &'a str,
}

/// A relation as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) struct Relation<'a> {
    /// The schema, where written.
    pub(in crate::sql) schema: Option<&'a str>,
    /// The name.
    pub(in crate::sql) name: &'a str,
}

impl Relation<'_> {
    /// Whether two names may mean the same relation.
    pub(in crate::sql) fn may_be(self, other: Relation<'_>) -> bool {
        self.name == other.name
            && match (self.schema, other.schema) {
                (Some(one), Some(two)) => one == two,
                _ => true,
            }
    }
}

/// How many relations are remembered by name.
const MAX_EXPOSED: usize = 16;

/// Relations of which a query may return every row.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct Exposed<'a> {
    relations: Vec<Relation<'a>>,
    /// There are others, not remembered.
    others: bool,
}

impl<'a> Exposed<'a> {
    /// One relation.
    pub(in crate::sql) fn one(relation: Relation<'a>) -> Self {
        Self { relations: vec![relation], others: false }
    }

    /// Rows that no relation has, and nobody knows how many: those of a function, or of a query that reads itself.
    pub(in crate::sql) fn generated() -> Self {
        Self::one(Self::GENERATED)
    }

    /// Whether such rows are among them.
    pub(in crate::sql) fn has_generated(&self) -> bool {
        self.relations.contains(&Self::GENERATED)
    }

    /// No relation has an empty name.
    const GENERATED: Relation<'static> = Relation { schema: None, name: "" };

    /// Any, for all that is known.
    pub(in crate::sql) const fn unknown() -> Self {
        Self { relations: Vec::new(), others: true }
    }

    /// These and those.
    pub(in crate::sql) fn and(mut self, other: &Self) -> Self {
        self.others |= other.others | add_few(&mut self.relations, &other.relations, MAX_EXPOSED);
        self
    }

    /// Whether a relation may be among them.
    pub(in crate::sql) fn may_include(&self, relation: Relation<'_>) -> bool {
        self.others || self.relations.iter().any(|one| one.may_be(relation))
    }

    /// What is left where only some rows remain. What is not known may be the columns of the row around the query,
    /// which is there every time.
    pub(in crate::sql) fn limited(self) -> Self {
        Self { relations: Vec::new(), ..self }
    }

    /// Whether there are no others than those remembered.
    pub(in crate::sql) const fn is_known(&self) -> bool {
        !self.others
    }

    /// Whether there is none.
    pub(in crate::sql) fn is_nothing(&self) -> bool {
        self.relations.is_empty() && !self.others
    }
}

/// A value that is the same for every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Constant {
    /// A number or string as written, and whether a minus stands before it.
    Literal {
        /// The token.
        token: usize,
        /// Its sign.
        negative: bool,
    },
    /// `true`, `false`, `null`.
    Word(Keyword),
    /// Computed, by an operator or a function, from what is written: it may be any value.
    Computed,
    /// The clock, or what is some time before or after that.
    Clock,
    /// A parameter as it is given.
    Parameter,
    /// Computed from a parameter: known only when it runs.
    External,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(in crate::sql) enum Shape<'a> {
    /// A column, perhaps cast, collated or in parentheses.
    Column(Column<'a>),
    /// A value of one column that differs from row to row as the column does: `lower(c)`, `c ->> 'k'`.
    Derived(Column<'a>),
    /// A column cast to another type: compared like the column, but no truth value of it.
    Cast(Column<'a>),
    /// The same for every row.
    Constant(Constant),
    /// `ARRAY[a, b]` of constants, with those of the arrays in it.
    Array(Vec<Constant>),
    /// `(a, b)`, `ROW(a, b)`.
    Row(Vec<Shape<'a>>),
    /// `(SELECT ...)`.
    Query(QueryShape<'a>),
    /// A truth value.
    Condition(Condition<'a>),
    /// Anything else.
    Opaque,
}

/// What matters of a query inside a condition.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct QueryShape<'a> {
    /// The relations that it returns rows of without leaving any out.
    pub(in crate::sql) exposes: Exposed<'a>,
    /// It has no relation of its own, so that its columns are those of the query around it.
    pub(in crate::sql) outer: bool,
    /// It names the columns of a query around it, so that its rows may differ from row to row there.
    pub(in crate::sql) reaches_out: bool,
    /// The aliases of the queries around it for some of whose rows it has none itself, and on what grounds.
    pub(in crate::sql) bounds: Vec<(&'a str, Grounds)>,
    /// That it exposes no more, and depends on nothing around it, holds on these grounds.
    pub(in crate::sql) grounds: Grounds,
    /// The columns that it returns.
    pub(in crate::sql) returns: Columns<'a>,
    /// It is compared as one value.
    pub(in crate::sql) single: bool,
    /// It calls functions in what it returns or reads from: one of its rows may hold many.
    pub(in crate::sql) calls: bool,
}

/// A condition.
#[derive(Debug, Clone)]
pub(in crate::sql) enum Condition<'a> {
    /// A column against something.
    Test(Test<'a>),
    /// AND.
    All(Vec<Condition<'a>>),
    /// OR.
    Any(Vec<Condition<'a>>),
    /// NOT.
    Not(Box<Condition<'a>>),
    /// EXISTS.
    Exists(QueryShape<'a>),
    /// May be true for every row.
    Opaque,
}

/// A column against something.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Test<'a> {
    pub(in crate::sql) column: Column<'a>,
    /// The column itself, not a value of it.
    pub(in crate::sql) pure: bool,
    pub(in crate::sql) kind: TestKind,
    pub(in crate::sql) against: Against<'a>,
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum TestKind {
    /// `=`, `IN`.
    Equal,
    /// `<>`, `NOT IN`.
    Unlike,
    /// `<`, `<=`.
    Below,
    /// `>`, `>=`.
    Above,
    /// `LIKE`, `ILIKE`, `SIMILAR TO`.
    Like,
    /// Not that.
    NotLike,
    /// `~`, `~*`.
    Regex,
    /// Not that.
    NotRegex,
    /// `@>`, `&&`, `^@` and others whose other side says how many values they hold for.
    Contains,
    /// Not that.
    NotContains,
    /// `IS NULL`.
    Null,
    /// `IS NOT NULL`.
    NotNull,
    /// The column is the condition.
    True,
    /// The column's negation is the condition.
    False,
}

/// What a column is compared with.
#[derive(Debug, Clone)]
pub(in crate::sql) enum Against<'a> {
    /// Nothing: `IS NULL`, truth.
    Nothing,
    /// A value that is the same for every row.
    Constant(Constant),
    /// One of these values, as `IN` and `ANY` ask; one that stands for an array is `Computed`, or external.
    OneOf(Vec<Constant>),
    /// All of these, in an array.
    Array(Vec<Constant>),
    /// Another column.
    Column(Column<'a>),
    /// The rows of a query.
    Query(QueryShape<'a>),
    /// Something that may depend on the row.
    Opaque,
}

impl TestKind {
    pub(in crate::sql) const fn negated(self) -> Self {
        match self {
            Self::Equal => Self::Unlike,
            Self::Unlike => Self::Equal,
            Self::Below => Self::Above,
            Self::Above => Self::Below,
            Self::Like => Self::NotLike,
            Self::NotLike => Self::Like,
            Self::Regex => Self::NotRegex,
            Self::NotRegex => Self::Regex,
            Self::Contains => Self::NotContains,
            Self::NotContains => Self::Contains,
            Self::Null => Self::NotNull,
            Self::NotNull => Self::Null,
            Self::True => Self::False,
            Self::False => Self::True,
        }
    }

    /// Whether it can be read from the other side.
    const fn has_mirror(self) -> bool {
        matches!(self, Self::Equal | Self::Unlike | Self::Below | Self::Above | Self::Contains)
    }

    /// The same comparison read from the other side.
    const fn mirrored(self) -> Self {
        match self {
            Self::Below => Self::Above,
            Self::Above => Self::Below,
            other => other,
        }
    }

    /// The kind of an operator; `None` where nothing is known of it.
    pub(in crate::sql) fn of_operator(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "=" | "~=" => Self::Equal,
            "@@" | "@@@" | "&&" | "<@" | "@>" | "?" | "?|" | "?&" | "^@" => Self::Contains,
            "<>" => Self::Unlike,
            "<" | "<=" => Self::Below,
            ">" | ">=" => Self::Above,
            "~~" | "~~*" => Self::Like,
            "!~~" | "!~~*" => Self::NotLike,
            "~" | "~*" => Self::Regex,
            "!~" | "!~*" => Self::NotRegex,
            _ => return None,
        })
    }
}

impl<'a> Shape<'a> {
    /// The condition that this is when it stands where one is asked for.
    pub(in crate::sql) fn into_condition(self) -> Condition<'a> {
        match self {
            Shape::Condition(condition) => condition,
            Shape::Column(column) => {
                Condition::Test(Test { column, pure: true, kind: TestKind::True, against: Against::Nothing })
            }
            Shape::Derived(_)
            | Shape::Cast(_)
            | Shape::Constant(_)
            | Shape::Array(_)
            | Shape::Row(_)
            | Shape::Query(_)
            | Shape::Opaque => Condition::Opaque,
        }
    }

    /// Whether it is the same for every row.
    pub(in crate::sql) const fn is_constant(&self) -> bool {
        matches!(self, Shape::Constant(_) | Shape::Array(_))
    }

    /// Whether a parameter takes part.
    fn is_external(&self) -> bool {
        let external = |constant: &Constant| matches!(constant, Constant::External | Constant::Parameter);
        match self {
            Shape::Constant(constant) => external(constant),
            Shape::Array(items) => items.iter().any(external),
            _ => false,
        }
    }

    /// What a value of this and of others is, if no column takes part.
    pub(in crate::sql) fn computed(parts: &[Shape<'a>]) -> Self {
        if !parts.iter().all(Shape::is_constant) {
            Shape::Opaque
        } else if parts.iter().any(Shape::is_external) {
            Shape::Constant(Constant::External)
        } else {
            Shape::Constant(Constant::Computed)
        }
    }

    /// What a function of times is, which leaves the clock what it is: `date_trunc('day', now())`.
    pub(in crate::sql) fn or_clock(self, arguments: &[Shape<'a>]) -> Self {
        match self {
            Shape::Constant(Constant::Computed) if arguments.iter().any(Self::is_clock) => {
                Shape::Constant(Constant::Clock)
            }
            other => other,
        }
    }

    /// `left + right`, `left - right`: the clock tells rows apart, whatever is added.
    pub(in crate::sql) fn sum(left: Self, symbol: &str, right: Self) -> Self {
        match (&left, symbol, &right) {
            (_, "+" | "-", Shape::Constant(Constant::Literal { .. } | Constant::Computed)) if left.is_clock() => {
                Shape::Constant(Constant::Clock)
            }
            (Shape::Constant(_), "+", _) if right.is_clock() => Shape::Constant(Constant::Clock),
            _ => Self::computed(&[left, right]),
        }
    }

    const fn is_clock(&self) -> bool {
        matches!(self, Shape::Constant(Constant::Clock))
    }

    /// `x::type`.
    pub(in crate::sql) fn cast(self, to: Option<&str>) -> Self {
        match self {
            Shape::Column(_) | Shape::Cast(_) if to == Some("bool") => Shape::Opaque,
            Shape::Column(column) => Shape::Cast(column),
            other => other,
        }
    }

    /// The same, compared as one value.
    pub(in crate::sql) fn single(self) -> Self {
        match self {
            Shape::Query(query) => Shape::Query(QueryShape { single: true, ..query }),
            other => other,
        }
    }

    /// `-x`.
    pub(in crate::sql) fn negative(self) -> Self {
        match self {
            Shape::Constant(Constant::Literal { token, negative }) => {
                Shape::Constant(Constant::Literal { token, negative: !negative })
            }
            other => Self::computed(&[other]),
        }
    }

    /// What this is compared with when it stands on the other side of a column.
    fn into_against(self) -> Against<'a> {
        match self {
            Shape::Constant(constant) => Against::Constant(constant),
            Shape::Array(items) => Against::Array(items),
            Shape::Column(column) | Shape::Cast(column) => Against::Column(column),
            Shape::Query(query) => Against::Query(query),
            Shape::Derived(_) | Shape::Row(_) | Shape::Condition(_) | Shape::Opaque => Against::Opaque,
        }
    }

    fn subject(&self) -> Option<(Column<'a>, bool)> {
        match self {
            Shape::Column(column) | Shape::Cast(column) => Some((*column, true)),
            Shape::Derived(column) => Some((*column, false)),
            _ => None,
        }
    }
}

impl<'a> Condition<'a> {
    /// `left kind right`.
    pub(in crate::sql) fn compare(left: Shape<'a>, kind: TestKind, right: Shape<'a>) -> Self {
        match (left, right) {
            (Shape::Row(left), Shape::Row(right)) if left.len() == right.len() && kind == TestKind::Equal => {
                Self::All(left.into_iter().zip(right).map(|(one, two)| Self::compare(one, kind, two)).collect())
            }
            (Shape::Row(left), Shape::Query(query)) if kind == TestKind::Equal => {
                Self::All(left.into_iter().map(|one| Self::compare(one, kind, Shape::Query(query.clone()))).collect())
            }
            (left, right) => match (left.subject(), right.subject()) {
                (Some((one, pure)), Some((two, true))) if one != two => Self::All(vec![
                    Self::Test(Test { column: one, pure, kind, against: Against::Column(two) }),
                    Self::Test(Test { column: two, pure: true, kind: kind.mirrored(), against: left.into_against() }),
                ]),
                (Some((column, pure)), _) => Self::Test(Test { column, pure, kind, against: right.into_against() }),
                (None, Some((column, pure))) if kind.has_mirror() => {
                    Self::Test(Test { column, pure, kind: kind.mirrored(), against: left.into_against() })
                }
                (None, _) => Self::Opaque,
            },
        }
    }

    /// `left kind ANY (items)`; `None` for what is no constant.
    pub(in crate::sql) fn any_of(left: &Shape<'a>, kind: TestKind, items: Option<Vec<Constant>>) -> Self {
        match (left.subject(), items) {
            (Some((column, pure)), Some(items)) => {
                Self::Test(Test { column, pure, kind, against: Against::OneOf(items) })
            }
            _ => Self::Opaque,
        }
    }

    /// `left IN (list)`.
    pub(in crate::sql) fn one_of(left: Shape<'a>, list: &[Shape<'a>]) -> Self {
        match (left, list) {
            (left, [only @ Shape::Query(_)]) => Self::compare(left, TestKind::Equal, only.clone()),
            (Shape::Row(left), list) => Self::one_of_rows(&left, list),
            (left, list) => Self::any_of(&left, TestKind::Equal, constants(list.iter())),
        }
    }

    /// `(a, b) IN ((1, 2), (3, 4))`: column by column.
    fn one_of_rows(left: &[Shape<'a>], list: &[Shape<'a>]) -> Self {
        let of_column = |index: usize| {
            let items: Option<Vec<_>> = list
                .iter()
                .map(|row| match row {
                    Shape::Row(items) => items.get(index),
                    _ => None,
                })
                .collect();
            constants(items?.into_iter())
        };
        let tests = left.iter().enumerate();
        Self::All(tests.map(|(index, one)| Self::any_of(one, TestKind::Equal, of_column(index))).collect())
    }

    /// `NOT condition`.
    pub(in crate::sql) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            Self::Test(test) if !matches!(test.against, Against::OneOf(_)) => {
                Self::Test(Test { kind: test.kind.negated(), ..test })
            }
            other => Self::Not(Box::new(other)),
        }
    }
}

/// The values of a list, if they are all the same for every row.
fn constants<'s, 'a: 's>(list: impl Iterator<Item = &'s Shape<'a>>) -> Option<Vec<Constant>> {
    list.map(|item| match item {
        Shape::Constant(constant) => Some(*constant),
        Shape::Array(_) => Some(Constant::Computed),
        _ => None,
    })
    .collect()
}
