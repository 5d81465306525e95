//! Whose column a name without a qualifier is. Postgres takes the innermost query that has one of that name, and says
//! nothing: `id IN (SELECT id FROM t)` compares every row with itself where `t` has no `id`. So a query counts as one that
//! does not depend on the row around it only on the ground that its names are its own. Where the text does not show
//! that, the catalog may.

use std::collections::HashSet;
use std::rc::Rc;

use super::extent::{MAX_SOURCES, Source};
use super::few::add_few;
use super::shape::Relation;

/// Columns that every relation has, not so every query in FROM.
const OF_EVERY_RELATION: [&str; 6] = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// How often a name of one statement is looked for in a query; beyond that none is taken for the query's own.
const MOST_LOOKS: usize = 200_000;

/// How many queries a bound may rest on, and how many names of them on the catalog.
const MOST_GROUNDS: usize = 32;
const MOST_ASSUMPTIONS: usize = 256;

/// The columns of a source, as far as the text tells.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) enum Columns<'a> {
    /// Those of a relation.
    Of(Relation<'a>),
    /// These.
    Listed(Rc<HashSet<&'a str>>),
    /// It may have any.
    #[default]
    Unknown,
}

impl<'a> Columns<'a> {
    /// Those of VALUES, which seldom has more and seldom goes by these names.
    pub(super) fn of_values() -> Self {
        let names = ["column1", "column2", "column3", "column4", "column5", "column6", "column7", "column8"];
        Self::Listed(HashSet::from(names).into())
    }

    /// The same with these names for some of them.
    pub(super) fn renamed(self, names: &[&'a str]) -> Self {
        match self {
            columns if names.is_empty() => columns,
            Self::Listed(list) => Self::Listed(list.iter().chain(names).copied().collect::<HashSet<_>>().into()),
            Self::Of(_) | Self::Unknown => Self::Unknown,
        }
    }
}

/// Queries whose names must be their own for something to hold.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct Grounds {
    queries: Vec<usize>,
    /// There are too many to remember, so that it does not hold.
    lost: bool,
}

impl Grounds {
    /// Whether it holds whosever the names are.
    pub(super) const fn is_sure(&self) -> bool {
        self.queries.is_empty() && !self.lost
    }

    /// These and those.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.lost |= other.lost | add_few(&mut self.queries, &other.queries, MOST_GROUNDS);
        self
    }

    /// Whichever asks for less.
    pub(super) fn better(self, other: Self) -> Self {
        if (other.lost, other.queries.len()) < (self.lost, self.queries.len()) { other } else { self }
    }
}

/// Whether the names of a query are its own.
#[derive(Debug)]
pub(super) enum Own {
    /// They are, or are if the grounds hold.
    If(Grounds),
    /// One of them is not.
    No,
}

/// One query and what it names without a qualifier.
#[derive(Debug)]
struct Scope<'a> {
    names: Vec<&'a str>,
    /// The queries inside it.
    inner: Vec<usize>,
    /// It is an item of FROM and sees nothing of the others there.
    apart: bool,
    sources: Sources<'a>,
}

/// What a query reads from.
#[derive(Debug)]
enum Sources<'a> {
    /// These, by their aliases.
    Known(Vec<(&'a str, Columns<'a>)>),
    /// Too many to look at.
    Many,
}

/// The queries of one statement.
#[derive(Debug, Default)]
pub(super) struct Scopes<'a> {
    all: Vec<Scope<'a>>,
    /// Those being read, the innermost last.
    open: Vec<usize>,
    /// What stands here may name what the query returns by the names that it gives it.
    muted: bool,
    looks: usize,
}

/// A name, and the relations of which one must have such a column.
pub(super) type Assumed<'a> = (&'a str, Vec<Relation<'a>>);

/// A name on its way from its query outwards.
enum Found<'a> {
    /// It is a column of a query that it has passed.
    Own,
    /// If it is one of these relations'.
    Perhaps(Vec<Relation<'a>>),
    /// It is not.
    Nowhere,
}

impl<'a> Scopes<'a> {
    /// A query begins.
    pub(super) fn enter(&mut self) {
        let sources = Sources::Known(Vec::new());
        self.all.push(Scope { names: Vec::new(), inner: Vec::new(), apart: false, sources });
        self.open.push(self.all.len() - 1);
    }

    /// A column without a qualifier.
    pub(super) fn name(&mut self, name: &'a str) {
        if self.muted || OF_EVERY_RELATION.contains(&name) {
            return;
        }
        if let Some(scope) = self.innermost() {
            scope.names.push(name);
        }
    }

    /// Until the end of what follows, names may be those of what the query returns. Returns what was before, for
    /// [`Scopes::unmute`].
    pub(super) const fn mute(&mut self) -> bool {
        std::mem::replace(&mut self.muted, true)
    }

    pub(super) const fn unmute(&mut self, before: bool) {
        self.muted = before;
    }

    /// How many queries there are so far inside the one being read.
    pub(super) fn inside(&self) -> usize {
        self.open.last().and_then(|query| self.all.get(*query)).map_or(0, |scope| scope.inner.len())
    }

    /// Those inside it from the place `first` on stand in FROM without LATERAL.
    pub(super) fn set_apart(&mut self, first: usize) {
        let inner =
            self.innermost().map_or_else(Vec::new, |scope| scope.inner.get(first..).unwrap_or_default().to_vec());
        for query in inner {
            if let Some(scope) = self.all.get_mut(query) {
                scope.apart = true;
            }
        }
    }

    /// The query being read ends; whether its names are its own.
    pub(super) fn leave(&mut self, sources: &[Source<'a>]) -> Own {
        let Some(query) = self.open.pop() else { return Own::No };
        if let Some(around) = self.innermost() {
            around.inner.push(query);
        }
        if let Some(scope) = self.all.get_mut(query) {
            scope.sources = if sources.len() > MAX_SOURCES {
                Sources::Many
            } else {
                Sources::Known(sources.iter().map(|source| (source.alias, source.columns.clone())).collect())
            };
        }
        match self.assumed(query) {
            None => Own::No,
            Some(assumed) if assumed.is_empty() => Own::If(Grounds::default()),
            Some(_) => Own::If(Grounds { queries: vec![query], lost: false }),
        }
    }

    /// The names that the grounds rest on, each with the relations of which one must have it; `None` where they do not hold.
    pub(super) fn assumptions(&mut self, grounds: &Grounds) -> Option<Vec<Assumed<'a>>> {
        let mut all = Vec::new();
        for query in if grounds.lost { return None } else { &grounds.queries } {
            all.extend(self.assumed(*query)?);
            if all.len() > MOST_ASSUMPTIONS {
                return None;
            }
        }
        Some(all)
    }

    fn innermost(&mut self) -> Option<&mut Scope<'a>> {
        let query = *self.open.last()?;
        self.all.get_mut(query)
    }

    /// The names in a query, and in those inside it, that are its own if they are columns of these relations. `None` where
    /// one of them is not its own, or nobody knows.
    fn assumed(&mut self, query: usize) -> Option<Vec<Assumed<'a>>> {
        let mut assumed: Vec<Assumed<'a>> = Vec::new();
        let mut path = Vec::new();
        let mut steps = vec![Step::Enter(query)];
        while let Some(step) = steps.pop() {
            let Step::Enter(inner) = step else {
                path.pop();
                continue;
            };
            let Some(scope) = self.all.get(inner) else { continue };
            path.push(scope);
            for name in &scope.names {
                self.looks += path.len();
                if self.looks > MOST_LOOKS {
                    return None;
                }
                match find(name, &path) {
                    Found::Own => {}
                    Found::Nowhere => return None,
                    Found::Perhaps(relations) => {
                        if !assumed.iter().any(|known| known.0 == *name && known.1 == relations) {
                            assumed.push((name, relations));
                        }
                    }
                }
                if assumed.len() > MOST_ASSUMPTIONS {
                    return None;
                }
            }
            steps.push(Step::Leave);
            steps.extend(scope.inner.iter().map(|inner| Step::Enter(*inner)));
        }
        Some(assumed)
    }
}

/// On the way through the queries.
enum Step {
    Enter(usize),
    Leave,
}

/// Looks for a name in queries, the innermost last.
fn find<'a>(name: &'a str, path: &[&Scope<'a>]) -> Found<'a> {
    let mut relations = Vec::new();
    let mut seen = true;
    for scope in path.iter().rev() {
        if std::mem::replace(&mut seen, !scope.apart) {
            let Sources::Known(sources) = &scope.sources else { return Found::Nowhere };
            for (alias, columns) in sources {
                match columns {
                    // The alias alone is the whole row.
                    _ if *alias == name => return Found::Own,
                    Columns::Unknown => return Found::Own,
                    Columns::Listed(list) if list.contains(name) => return Found::Own,
                    Columns::Listed(_) => {}
                    Columns::Of(relation) => relations.push(*relation),
                }
            }
        }
    }
    if relations.is_empty() { Found::Nowhere } else { Found::Perhaps(relations) }
}
