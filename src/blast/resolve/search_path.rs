//! The setting `search_path`.

use crate::sql::settings::is_opaque;

/// Where names without a schema are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SearchPath {
    /// These schemas in this order, as the setting has them: `$user` is not replaced yet, and `pg_temp` and
    /// `pg_catalog` stand there only where the setting names them.
    Known(Vec<String>),
    /// Something we did not see through may have set it: a name may mean any schema's.
    #[default]
    Unknown,
}

impl SearchPath {
    /// Whether no name beyond ASCII stands in it, as far as it is known.
    pub(crate) fn is_ascii(&self) -> bool {
        match self {
            Self::Known(schemas) => schemas.iter().all(|schema| schema.is_ascii()),
            Self::Unknown => true,
        }
    }

    /// From the text of the setting `search_path` (`SplitIdentifierString`, `src/backend/utils/adt/varlena.c`):
    /// names separated by commas, folded to lower case unless quoted. What is not such a list is unknown.
    #[must_use]
    pub fn parse(setting: &str) -> Self {
        let mut schemas = Vec::new();
        let mut rest = setting.trim_start_matches(is_space);
        if rest.is_empty() {
            return Self::Known(schemas);
        }
        loop {
            let Some((name, after)) = identifier(rest) else { return Self::Unknown };
            schemas.push(name);
            let after = after.trim_start_matches(is_space);
            if after.is_empty() {
                return Self::Known(schemas);
            }
            let Some(next) = after.strip_prefix(',') else { return Self::Unknown };
            rest = next.trim_start_matches(is_space);
        }
    }
}

/// `scanner_isspace`.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The name at the beginning of a list, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    /// `NAMEDATALEN - 1`: longer names are cut by the server, and we leave that to it.
    const LONGEST: usize = 63;
    let (name, rest) = if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => break (name, after),
            }
        }
    } else {
        let end = text.find(|character| is_space(character) || character == ',').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        // Folding of other letters depends on the server's locale.
        if name.is_empty() || !name.is_ascii() || name.contains('"') {
            return None;
        }
        (name.to_ascii_lowercase(), rest)
    };
    // What a schema is called that we cannot read is not known, and neither is what it holds.
    let is_read = !is_opaque(&name) && !name.contains(char::REPLACEMENT_CHARACTER);
    (is_read && name.len() <= LONGEST).then_some((name, rest))
}
