//! The names that may stand for a value beside a string or a parameter.
//!
//! The server reads such a string as a value of the type of what stands beside it: of a column, or of a whole row. Of
//! which names that may be is collected here, rather too many than too few.

use std::collections::HashSet;

/// What one statement says of it.
#[derive(Debug, Default)]
pub(in crate::sql) struct Named<'a> {
    /// Columns, or what may be one.
    columns: Vec<&'a str>,
    /// Those without a qualifier: they may be rows.
    alone: Vec<&'a str>,
    /// Columns that the statement only returns: nothing stands beside them, unless another query is united with it.
    returned: Vec<&'a str>,
    /// What the rows of relations go by.
    rows: Vec<&'a str>,
    /// How many lists of columns are not written out.
    stars: usize,
    /// Columns get other names.
    renames: bool,
    /// Queries are united.
    unites: bool,
    /// Anything may stand beside a value.
    anything: bool,
    /// Where the query begins whose rows the statement returns.
    main: Option<usize>,
    main_is_next: bool,
}

impl<'a> Named<'a> {
    /// A statement follows.
    pub(super) fn statement(&mut self) {
        self.main_is_next = true;
    }

    /// The query itself begins here, behind its WITH; `is_main`: it is the statement's.
    pub(super) fn query(&mut self, is_main: bool, position: usize) {
        if is_main {
            self.main = Some(position);
        }
    }

    /// Whether the query that follows is the statement's own: asked once.
    pub(super) fn takes_main(&mut self) -> bool {
        std::mem::take(&mut self.main_is_next)
    }

    /// Whether the query that begins at that token returns its rows to nobody but the client.
    pub(super) fn is_main(&self, position: usize) -> bool {
        self.main == Some(position)
    }

    /// A column, by all parts of its name.
    pub(super) fn column(&mut self, parts: &[&'a str]) {
        self.columns.extend(parts.last());
        if let [name] = parts {
            self.alone.push(name);
        }
    }

    /// A field of a value, or a column that is assigned.
    pub(super) fn field(&mut self, name: &'a str) {
        self.columns.push(name);
    }

    /// A relation whose rows go by that name.
    pub(super) fn row(&mut self, name: &'a str) {
        self.rows.push(name);
    }

    /// How much has been seen, for [`returned_since`](Self::returned_since).
    pub(super) const fn seen(&self) -> (usize, usize) {
        (self.columns.len(), self.alone.len())
    }

    /// The column since then is only returned.
    pub(super) fn returned_since(&mut self, (columns, alone): (usize, usize)) {
        self.returned.extend(self.columns.drain(columns..));
        self.alone.truncate(alone);
    }

    /// All columns of something, in a list of what a query returns.
    pub(super) const fn star(&mut self) {
        self.stars += 1;
    }

    /// How many of those there have been.
    pub(super) const fn stars(&self) -> usize {
        self.stars
    }

    /// What a query returned since then stands for a value itself, unless it is only asked whether there is a row.
    pub(super) const fn is_value_since(&mut self, stars: usize) {
        self.anything |= self.stars > stars;
    }

    /// Columns get other names: those of a query.
    pub(super) const fn renames(&mut self) {
        self.renames = true;
    }

    /// Queries are united: what stands in one list stands beside what stands in the other.
    pub(super) const fn unites(&mut self) {
        self.unites = true;
    }

    /// Anything may stand beside a value.
    pub(super) const fn anything(&mut self) {
        self.anything = true;
    }

    /// The names in order; `None` where any may stand beside a value.
    pub(in crate::sql) fn finish(self) -> Option<Vec<String>> {
        let stars = self.stars > 0 && (self.unites || self.renames);
        if self.main.is_none() || self.anything || stars {
            return None;
        }
        let rows: HashSet<&str> = self.rows.into_iter().collect();
        if self.alone.iter().any(|name| rows.contains(name)) {
            return None;
        }
        if self.unites && self.returned.iter().any(|name| rows.contains(name)) {
            return None;
        }
        let returned = self.returned.into_iter().filter(|_| self.unites);
        let mut names: Vec<String> = self.columns.into_iter().chain(returned).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::{LexerSettings, SessionChange, analyze};

    #[track_caller]
    fn named(sql: &str) -> Option<Vec<String>> {
        let mut script = analyze(sql.as_bytes(), &LexerSettings::default());
        let statement = script.statements.remove(0);
        assert!(!statement.has_unknown(), "{sql}: {:?}", statement.reasons);
        match statement.session.into_iter().next() {
            Some(SessionChange::Prepare { body, .. } | SessionChange::DeclareCursor { body, .. }) => body.named_values,
            _ => statement.named_values,
        }
    }

    #[test]
    fn columns_count_where_something_may_stand_beside_them() {
        let names: [(&str, &[&str]); 16] = [
            ("select id, note from t where other = 'x'", &["other"]),
            ("select t.id as a, note b from s.t where t.other = $1 order by t.place", &["other", "place"]),
            ("select * from t where other = 'x'", &["other"]),
            ("select t.*, u.* from t, u where other = 'x'", &["other"]),
            ("select a || 'x', (b).c, (d) from t", &["a", "b", "c", "d"]),
            ("select a from t union select 'x'", &["a"]),
            ("select 1 from (select a from t) s where 'x' = $1", &["a"]),
            ("select 1 from (select * from t) s where c = 'x'", &["c"]),
            ("select 1 from t where exists (select * from u where c = 'x')", &["c"]),
            ("select 1 from (values ('x'), (a)) v(n) where n = 'x'", &["a", "n"]),
            ("with x as (select * from t) select b from x where c = 'x'", &["c"]),
            ("insert into t (a, b) select c from u where d = 'x'", &["a", "b", "c", "d"]),
            ("update t set a = 'x' where b = 'y'", &["a", "b"]),
            ("delete from t where b = 'y' returning c", &["b", "c"]),
            ("prepare p as select a from t where b = 'x'", &["b"]),
            ("explain select a from t where b = 'x'", &["b"]),
        ];
        for (sql, expected) in names {
            assert_eq!(named(sql).as_deref(), Some(&expected.map_to_strings()[..]), "{sql}");
        }
    }

    trait Strings {
        fn map_to_strings(&self) -> Vec<String>;
    }

    impl Strings for &[&str] {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    #[test]
    fn anything_counts_where_it_has_no_name_of_its_own() {
        for sql in [
            "select 1 from t where t = 'x'",
            "select 1 from t a where a = 'x'",
            "select coalesce(t, 'x') from t",
            "select t from t union select 'x'",
            "select * from t union select 'x'",
            "table t union select 'x'",
            "select 1 from t a(b) where b = 'x'",
            "select 1 from (select * from t) a(b) where b = 'x'",
            "select 1 from (t join u on true) as a(b, c) where b = 'x'",
            "with x(a) as (select * from t) select 1 from x where a = 'x'",
            "with x(a) as (table t) select 1 from x where a = 'x'",
            "select (select * from t) = 'x'",
            "select 'x' in (select * from t)",
            "select 'x' = any (array(select * from t))",
            "select 1 from t where t.* = 'x'",
            "select t.* = 'x' from t",
            "select row(t.*) = 'x' from t",
            "select f(t.*, 'x') from t",
            "select (t).*, 'x' from t",
            "insert into t values ('x')",
            "update t a set b = 'x' where a = 'x'",
            "create temp table t (a int check (a = 'x'))",
        ] {
            assert_eq!(named(sql), None, "{sql}");
        }
    }
}
