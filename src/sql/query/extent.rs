//! Whether a condition can leave rows out: the difference between `UPDATE ... WHERE id = 1` and
//! `UPDATE ... WHERE id = id`.

use super::bounds;
use super::scope::{Columns, Grounds, Own};
use super::shape::{Against, Column, Condition, Constant, Exposed, QueryShape, Relation, Shape, Test, TestKind};
use crate::sql::keyword::Keyword;

/// Columns that every row has and that tell nothing about it. `ctid` tells a row apart where it is equal to one; above,
/// below and other than one there are all of them.
const SYSTEM_COLUMNS: [&str; 5] = ["tableoid", "xmin", "xmax", "cmin", "cmax"];

/// Each source is held against each other one; with more than these, no condition counts.
pub(super) const MAX_SOURCES: usize = 16;

/// A relation, or what stands in its place.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    /// Its alias, or its name.
    pub(super) alias: &'a str,
    /// The relations whose rows it shows all of.
    pub(super) exposes: Exposed<'a>,
    /// How its rows are known to be few of those there are.
    pub(super) narrowed: Narrowed,
    /// On what grounds that is known, and what it exposes.
    pub(super) grounds: Grounds,
    /// Its columns.
    pub(super) columns: Columns<'a>,
}

/// How the rows of a source are known to be some only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Narrowed {
    /// They are not.
    No,
    /// It has no others: values, a limited query.
    Itself,
    /// A condition of the query around it leaves some out.
    Filtered,
}

/// Two sources, by their place, that a join without a condition that can be judged ties together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) one: usize,
    pub(super) two: usize,
    /// Rows of one side without a partner stay.
    pub(super) outer: bool,
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

impl<'a> Source<'a> {
    /// A relation of which every row is there.
    pub(super) fn whole(alias: &'a str, relation: Relation<'a>) -> Self {
        let grounds = Grounds::default();
        let columns = Columns::Of(relation);
        Self { alias, exposes: Exposed::one(relation), narrowed: Narrowed::No, grounds, columns }
    }
}

/// How literals are looked at: the texts of tokens.
pub(super) trait Literals {
    /// The text of a literal. Who asks makes the answer depend on it.
    fn text(&mut self, token: usize) -> &str;

    /// Whether it is a string.
    fn is_string(&self, token: usize) -> bool;
}

/// Whose columns a question is about.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// Those of an alias, and with `true` those without a qualifier.
    Of(&'a str, bool),
    /// Those without a qualifier, whosever they are.
    Unqualified,
}

/// Whether rows are left out, and on what grounds.
type Excluded = Option<Grounds>;

/// They are if this is so, whatever else is.
fn surely(so: bool) -> Excluded {
    so.then(Grounds::default)
}

/// By whichever leaves rows out on the best grounds.
fn best(several: impl Iterator<Item = Excluded>) -> Excluded {
    let mut best: Excluded = None;
    for grounds in several.flatten() {
        best = Some(best.map_or(grounds.clone(), |best| best.better(grounds)));
        if best.as_ref().is_some_and(Grounds::is_sure) {
            break;
        }
    }
    best
}

/// One question about one condition.
struct Judge<'j, 'a> {
    whose: Whose<'a>,
    /// What its columns may be compared with.
    sources: &'j [Source<'a>],
    literals: &'j mut dyn Literals,
    /// What is judged is one of several alternatives.
    alternative: bool,
}

impl<'a> Judge<'_, 'a> {
    /// Whether rows of the target exist, for all we know, that do not meet one of the conditions.
    fn excluded_by_any(&mut self, conditions: &[&Condition<'a>]) -> Excluded {
        best(conditions.iter().map(|condition| self.judge(condition, false)))
    }

    fn judge(&mut self, condition: &Condition<'a>, negated: bool) -> Excluded {
        match condition {
            Condition::Opaque => None,
            Condition::Test(Test { against: Against::OneOf(items), kind, column, pure, .. }) if negated => {
                surely(*kind == TestKind::Equal && *pure && self.is_of_target(*column) && self.none_of_narrows(items))
            }
            Condition::Test(test) if negated => self.test(&Test { kind: test.kind.negated(), ..test.clone() }),
            Condition::Test(test) => self.test(test),
            Condition::Not(inner) => self.judge(inner, !negated),
            // Rows without a partner are what NOT EXISTS is asked for: as a rule most of them, and all of them where the
            // query finds nothing.
            Condition::Exists(_) if negated || self.alternative => None,
            Condition::Exists(query) => self.bounded_by(query).cloned(),
            Condition::All(parts) if !negated => best(parts.iter().map(|part| self.judge(part, false))),
            Condition::Any(parts) if negated => best(parts.iter().map(|part| self.judge(part, true))),
            Condition::All(parts) | Condition::Any(parts) => {
                // Alternatives may leave none out together. Which rows a query among them has is not looked at, so no
                // query counts here.
                let around = std::mem::replace(&mut self.alternative, true);
                let mut each = parts.iter().map(|part| self.judge(part, negated));
                let each = each.try_fold(Grounds::default(), |all, one| Some(all.and(&one?)));
                self.alternative = around;
                each.filter(|_| !covers(parts, negated, self.literals))
            }
        }
    }

    fn test(&mut self, test: &Test<'a>) -> Excluded {
        if !self.is_of_target(test.column) || (test.column.name == "ctid" && test.kind != TestKind::Equal) {
            return None;
        }
        surely(match &test.against {
            Against::Nothing => test.pure && test.kind != TestKind::NotNull,
            Against::Opaque => false,
            Against::Constant(constant) => {
                let derived = [TestKind::Equal, TestKind::Like, TestKind::Regex, TestKind::Contains];
                (test.pure || derived.contains(&test.kind)) && self.narrows(test.kind, *constant)
            }
            Against::OneOf(items) => self.one_of_narrows(test, items),
            Against::Array(items) => match test.kind {
                TestKind::Equal => test.pure,
                TestKind::Contains => test.pure && !items.is_empty() && !items.contains(&Constant::Computed),
                _ => false,
            },
            // One row of few may be below, or above, all that there are.
            Against::Column(other) if test.kind == TestKind::Equal && test.pure => return self.is_narrowed(*other),
            Against::Query(query) if !self.alternative => return self.query_narrows(test.kind, query),
            Against::Column(_) | Against::Query(_) => false,
        })
    }

    /// Whether comparing a column with the rows of a query leaves rows out. To be among all the rows of a relation does
    /// not, whichever relation it is; to be none of some rows leaves out those few at most, and none where there are none.
    fn query_narrows(&self, kind: TestKind, query: &QueryShape<'a>) -> Excluded {
        // One value of few rows may be below, or above, all that there are.
        if kind != TestKind::Equal {
            return None;
        }
        let independent = !query.outer && !query.reaches_out;
        let few = independent && (query.exposes.is_nothing() || (query.single && query.exposes.is_known()));
        best([self.bounded_by(query).cloned(), few.then(|| query.grounds.clone())].into_iter())
    }

    /// Whether a query has rows for some of the target's only.
    fn bounded_by<'q>(&self, query: &'q QueryShape<'a>) -> Option<&'q Grounds> {
        let Whose::Of(target, _) = self.whose else { return None };
        query.bounds.iter().find(|(alias, _)| *alias == target).map(|(_, grounds)| grounds)
    }

    fn is_of_target(&self, column: Column<'a>) -> bool {
        !SYSTEM_COLUMNS.contains(&column.name)
            && match (self.whose, column.qualifier) {
                (Whose::Of(alias, _), Some(qualifier)) => qualifier == alias,
                (Whose::Of(_, unqualified), None) => unqualified,
                (Whose::Unqualified, qualifier) => qualifier.is_none(),
            }
    }

    /// Whether a column is surely one of a relation whose own rows are some only: that a row has a partner among
    /// all the rows of another relation leaves no row out that we know of.
    fn is_narrowed(&self, column: Column<'a>) -> Excluded {
        let qualifier = column.qualifier?;
        let source = self.sources.iter().find(|source| source.alias == qualifier);
        source.filter(|source| source.narrowed != Narrowed::No).map(|source| source.grounds.clone())
    }

    /// Whether comparing a column with any of some values leaves rows out: each must.
    fn one_of_narrows(&mut self, test: &Test<'a>, items: &[Constant]) -> bool {
        match test.kind {
            TestKind::Equal => !are_all_truths(items, self.literals),
            TestKind::Like | TestKind::Regex => items.iter().all(|item| self.narrows(test.kind, *item)),
            TestKind::Below | TestKind::Above => {
                test.pure && !items.is_empty() && items.iter().all(|item| self.narrows(test.kind, *item))
            }
            _ => false,
        }
    }

    /// Whether being none of some values leaves rows out, as being unlike one of them does. `'{}'` is a list of none.
    fn none_of_narrows(&mut self, items: &[Constant]) -> bool {
        items.iter().any(|item| match item {
            Constant::Literal { token, .. } if self.literals.text(*token).trim() == "{}" => false,
            item => self.narrows(TestKind::Unlike, *item),
        })
    }

    /// Whether comparing a column with a constant leaves rows out. `id > 0` and `name LIKE '%'` do not.
    fn narrows(&mut self, kind: TestKind, constant: Constant) -> bool {
        match constant {
            Constant::External | Constant::Parameter => kind != TestKind::NotContains,
            Constant::Computed => kind == TestKind::Equal,
            // What is due, expired or to come is told by that.
            Constant::Clock => matches!(kind, TestKind::Equal | TestKind::Above | TestKind::Below),
            Constant::Word(word) => {
                word != Keyword::Null && matches!(kind, TestKind::Equal | TestKind::Unlike)
                    || (word == Keyword::Null && kind == TestKind::Equal)
            }
            Constant::Literal { token, negative } => self.literal_narrows(kind, token, negative),
        }
    }

    fn literal_narrows(&mut self, kind: TestKind, token: usize, negative: bool) -> bool {
        if kind == TestKind::Equal {
            return true;
        }
        let text = self.literals.text(token);
        match kind {
            TestKind::Above => !bounds::is_low(text, negative, 1.0),
            TestKind::Unlike => !bounds::is_low(text, negative, 0.0),
            TestKind::Below => !bounds::is_high(text, negative),
            TestKind::Like => text.chars().any(|c| c != '%' && c != '_'),
            TestKind::Regex => bounds::must_have(text),
            TestKind::NotLike | TestKind::NotRegex => !text.is_empty(),
            TestKind::Contains => bounds::is_some(text),
            TestKind::Equal
            | TestKind::NotContains
            | TestKind::Null
            | TestKind::NotNull
            | TestKind::True
            | TestKind::False => false,
        }
    }
}

/// Whether a list is one of truth values, with both among them.
fn are_all_truths(items: &[Constant], literals: &mut dyn Literals) -> bool {
    /// With more, it is no list of those.
    const MOST: usize = 4;
    let words = items.iter().filter(|item| matches!(item, Constant::Word(Keyword::True | Keyword::False)));
    let both = words.count() > 1;
    if both || items.len() < 2 || items.len() > MOST {
        return both;
    }
    let mut seen = [false; 2];
    for item in items {
        match item {
            Constant::Word(Keyword::Null) => {}
            Constant::Word(word) => seen[usize::from(*word == Keyword::True)] = true,
            Constant::Literal { token, .. } if literals.is_string(*token) => match bounds::truth(literals.text(*token))
            {
                Some(truth) => seen[usize::from(truth)] = true,
                None => return false,
            },
            _ => return false,
        }
    }
    seen == [true, true]
}

/// One test of a column among alternatives.
struct Alternative<'c> {
    column: &'c str,
    kind: TestKind,
    /// It is one of truth if the column is.
    is_text: bool,
}

/// Whether alternatives that each leave rows out leave none out together: `id = 5 OR id <> 5`.
fn covers(parts: &[Condition<'_>], negated: bool, literals: &mut dyn Literals) -> bool {
    let mut seen = Vec::new();
    for part in parts {
        collect_tests(part, negated, literals, &mut seen);
    }
    seen.sort_by_key(|test| test.column);
    seen.chunk_by(|one, two| one.column == two.column).any(|tests| {
        let has = |wanted: &[TestKind]| tests.iter().any(|test| wanted.contains(&test.kind));
        // Among other texts, `'t'` is one of them.
        let are_truths = !has(&[TestKind::Equal]) || !tests.iter().any(|test| test.is_text);
        let unlike = [TestKind::Unlike, TestKind::NotLike, TestKind::NotRegex, TestKind::NotNull];
        (tests.len() > 1 && has(&unlike))
            || (has(&[TestKind::Below]) && has(&[TestKind::Above]))
            || (has(&[TestKind::True]) && has(&[TestKind::False]) && are_truths)
    })
}

fn collect_tests<'c>(
    condition: &'c Condition<'_>,
    negated: bool,
    literals: &mut dyn Literals,
    seen: &mut Vec<Alternative<'c>>,
) {
    match condition {
        Condition::Test(test) => {
            let kind = if negated { test.kind.negated() } else { test.kind };
            let (kind, is_text) = truth_kind(kind, &test.against, literals);
            seen.push(Alternative { column: test.column.name, kind, is_text });
        }
        Condition::Not(inner) => collect_tests(inner, !negated, literals, seen),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                collect_tests(part, negated, literals, seen);
            }
        }
        Condition::Exists(_) | Condition::Opaque => {}
    }
}

/// `active = true` is `active`, and so is `active = 't'`, which a text says.
fn truth_kind(kind: TestKind, against: &Against<'_>, literals: &mut dyn Literals) -> (TestKind, bool) {
    let of = |truth: bool| if truth { TestKind::True } else { TestKind::False };
    match (kind, against) {
        (TestKind::Equal, Against::Constant(Constant::Word(word @ (Keyword::True | Keyword::False)))) => {
            (of(*word == Keyword::True), false)
        }
        (TestKind::Equal, Against::Constant(Constant::Literal { token, .. })) if literals.is_string(*token) => {
            bounds::truth(literals.text(*token)).map_or((kind, false), |truth| (of(truth), true))
        }
        _ => (kind, false),
    }
}

/// What a query inside a condition is, from its sources and its conditions. `around` are the aliases of the queries
/// around it whose columns it names; `own`: whether what it names without a qualifier is its own.
pub(super) fn query_shape<'a>(
    mut sources: Vec<Source<'a>>,
    links: &[Link],
    conditions: &[&Condition<'a>],
    around: Vec<&'a str>,
    own: Own,
    literals: &mut dyn Literals,
) -> QueryShape<'a> {
    narrow(&mut sources, links, conditions, literals);
    let exposes = sources.iter().fold(Exposed::default(), |all, source| match source.narrowed {
        Narrowed::No => all.and(&source.exposes),
        Narrowed::Itself | Narrowed::Filtered => all.and(&source.exposes.clone().limited()),
    });
    let mut grounds = sources.iter().fold(Grounds::default(), |all, source| all.and(&source.grounds));
    let reaches_out = match own {
        Own::If(names) => {
            grounds = grounds.and(&names);
            false
        }
        Own::No => true,
    };
    let few = around.len().max(sources.len()) <= MAX_SOURCES;
    let around = if few { around } else { Vec::new() };
    let bounds = around.into_iter().filter_map(|alias| {
        let mut judge = Judge { whose: Whose::Of(alias, false), sources: &sources, literals, alternative: false };
        Some((alias, judge.excluded_by_any(conditions)?))
    });
    let bounds = bounds.collect();
    QueryShape { exposes, outer: sources.is_empty(), reaches_out, bounds, grounds, ..QueryShape::default() }
}

/// Finds out of which sources the conditions, and the joins, leave rows out. One that is compared with a narrowed one is
/// narrowed by that too, so this goes on until nothing changes.
pub(super) fn narrow<'a>(
    sources: &mut [Source<'a>],
    links: &[Link],
    conditions: &[&Condition<'a>],
    literals: &mut dyn Literals,
) {
    if sources.len() > MAX_SOURCES {
        return;
    }
    let alone = sources.len() == 1;
    // What is sure goes first: where it is enough, nothing rests on more.
    for sure in [true, false] {
        while narrow_once(sources, links, conditions, literals, sure) {}
    }
    if alone || sources.iter().all(|one| one.narrowed != Narrowed::No) {
        return;
    }
    // Whosever the column is, its relation is narrowed, and with it all that are compared with each other.
    let mut judge = Judge { whose: Whose::Unqualified, sources, literals, alternative: false };
    let someone = judge.excluded_by_any(conditions);
    if let Some(grounds) = someone.filter(|_| are_connected(sources, links, conditions)) {
        let grounds = sources.iter().fold(grounds, |all, source| all.and(&source.grounds));
        for source in sources.iter_mut() {
            source.narrowed = Narrowed::Filtered;
            source.grounds = grounds.clone();
        }
    }
}

/// One round of that; whether it changed anything. `sure`: by what holds on no grounds only.
fn narrow_once<'a>(
    sources: &mut [Source<'a>],
    links: &[Link],
    conditions: &[&Condition<'a>],
    literals: &mut dyn Literals,
    sure: bool,
) -> bool {
    let alone = sources.len() == 1;
    let mut changes = false;
    for index in 0..sources.len() {
        if sources[index].narrowed == Narrowed::Filtered {
            continue;
        }
        let mut judge = Judge { whose: Whose::Of(sources[index].alias, alone), sources, literals, alternative: false };
        let excluded = judge.excluded_by_any(conditions).map(|grounds| grounds.and(&sources[index].grounds));
        if let Some(grounds) = excluded.filter(|grounds| !sure || grounds.is_sure()) {
            sources[index].narrowed = Narrowed::Filtered;
            sources[index].grounds = grounds;
            changes = true;
        }
    }
    for link in links {
        let most = sources[link.one].narrowed.max(sources[link.two].narrowed);
        let grounds = sources[link.one].grounds.clone().and(&sources[link.two].grounds);
        for place in [link.one, link.two] {
            // Rows without a partner stay, unless a condition on what they lack takes them out.
            let stay = link.outer && most != Narrowed::Filtered;
            if sources[place].narrowed < most && !stay && (!sure || grounds.is_sure()) {
                sources[place].narrowed = most;
                sources[place].grounds = grounds.clone();
                changes = true;
            }
        }
    }
    changes
}

/// Whether every source is compared with another, and all with each other by way of others.
fn are_connected(sources: &[Source<'_>], links: &[Link], conditions: &[&Condition<'_>]) -> bool {
    let place = |column: Column<'_>| sources.iter().position(|source| Some(source.alias) == column.qualifier);
    let mut pairs: Vec<(usize, usize)> = links.iter().map(|link| (link.one, link.two)).collect();
    let mut conjuncts = conditions.to_vec();
    while let Some(conjunct) = conjuncts.pop() {
        match conjunct {
            Condition::All(parts) => conjuncts.extend(parts),
            Condition::Test(Test { column, kind: TestKind::Equal, against: Against::Column(other), .. }) => {
                pairs.extend(place(*column).zip(place(*other)));
            }
            _ => {}
        }
    }
    let mut reached = vec![false; sources.len()];
    reached[0] = true;
    for _ in 1..sources.len() {
        for (one, two) in &pairs {
            let either = reached[*one] || reached[*two];
            (reached[*one], reached[*two]) = (either, either);
        }
    }
    reached.into_iter().all(|is_reached| is_reached)
}

/// `COALESCE(c, 0)`: still one value a value of the column.
pub(super) fn derived<'a>(arguments: &[Shape<'a>]) -> Shape<'a> {
    match arguments {
        [Shape::Column(column) | Shape::Cast(column) | Shape::Derived(column), rest @ ..]
            if rest.iter().all(Shape::is_constant) =>
        {
            Shape::Derived(*column)
        }
        [first @ .., Shape::Column(column) | Shape::Cast(column) | Shape::Derived(column)]
            if first.iter().all(Shape::is_constant) =>
        {
            Shape::Derived(*column)
        }
        _ => Shape::computed(arguments),
    }
}
