//! The functions of a database as people read them: names, signatures, sources.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::{Catalog, CatalogError, queries};
use crate::blast::Facts;

/// A function, procedure or aggregate that is neither the server's own nor that of a reviewed extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSummary {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The types of its arguments, as `pg_get_function_identity_arguments` writes them.
    pub arguments: String,
    /// `pg_proc.oid`.
    pub oid: u32,
    /// SHA-256, in hex, of all that makes its meaning.
    pub hash: String,
    /// `function`, `procedure`, `aggregate` or `window`.
    pub kind: String,
    /// Its language.
    pub language: String,
}

/// All that there is to see of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSource {
    /// Which it is.
    #[serde(flatten)]
    pub summary: FunctionSummary,
    /// The statement that makes it; of an aggregate, the functions that it is made of.
    pub definition: String,
    /// The role that owns it.
    pub owner: String,
    /// Whether it runs with its owner's rights.
    pub security_definer: bool,
    /// `SET` clauses, as `name=value`.
    pub settings: Vec<String>,
    /// Whether its names were resolved when it was made (`BEGIN ATOMIC`).
    pub resolved: bool,
}

impl Catalog {
    /// The functions of a database that are not reviewed, with the facts they were found in.
    ///
    /// # Errors
    ///
    /// The upstream cannot be asked.
    pub async fn functions(
        &self,
        database: &str,
    ) -> Result<(Vec<FunctionSummary>, std::sync::Arc<Facts>), CatalogError> {
        let facts = self.refresh(database).await?;
        let all = facts.functions.values().flatten().filter(|function| !function.code.reviewed);
        let unreviewed: HashSet<u32> = all.map(|function| function.code.oid).collect();
        let rows = self.ask(database, &format!("{} order by 2, 3, 4", queries::FUNCTION_SUMMARIES)).await?;
        let functions = rows.iter().filter_map(summary).filter(|function| unreviewed.contains(&function.oid));
        Ok((functions.collect(), facts))
    }

    /// One function as it is now; `None` where there is none with that OID.
    ///
    /// # Errors
    ///
    /// The upstream cannot be asked.
    pub async fn function(&self, database: &str, oid: u32) -> Result<Option<FunctionSource>, CatalogError> {
        let rows = self.ask(database, &format!("{} and p.oid = {oid}", queries::FUNCTION_SUMMARIES)).await?;
        Ok(rows.first().and_then(source))
    }

    /// Asks something of the catalogs, where names mean what `pg_catalog` says.
    async fn ask(&self, database: &str, query: &str) -> Result<Vec<SimpleQueryRow>, CatalogError> {
        let database = self.database(database)?;
        let lent = database.measure().await?;
        let answer = lent.link().ask(&format!("{}; {query}; commit", queries::BEGIN)).await;
        match answer {
            Ok(messages) => {
                lent.done();
                let rows = messages.into_iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                Ok(rows.collect())
            }
            // What the connection is in the middle of is not known: it is closed.
            Err(error) => Err(error),
        }
    }
}

fn text(row: &SimpleQueryRow, column: usize) -> Option<String> {
    row.try_get(column).ok().flatten().map(str::to_owned)
}

fn summary(row: &SimpleQueryRow) -> Option<FunctionSummary> {
    let kind = match text(row, 5)?.as_str() {
        "p" => "procedure",
        "a" => "aggregate",
        "w" => "window",
        _ => "function",
    };
    Some(FunctionSummary {
        oid: text(row, 0)?.parse().ok()?,
        schema: text(row, 1)?,
        name: text(row, 2)?,
        arguments: text(row, 3)?,
        hash: text(row, 4)?,
        kind: kind.to_owned(),
        language: text(row, 6)?,
    })
}

fn source(row: &SimpleQueryRow) -> Option<FunctionSource> {
    Some(FunctionSource {
        summary: summary(row)?,
        definition: text(row, 7)?,
        owner: text(row, 8)?,
        security_definer: text(row, 9)? == "t",
        settings: text(row, 10)?.lines().map(str::to_owned).collect(),
        resolved: text(row, 11)? == "t",
    })
}
