//! What is asked of a policy.

use crate::sql::Effect;

/// What one statement or message would do, as the policy sees it. Together with the identity and
/// [`Engine::version`](super::Engine::version) it determines the verdict, so it can be the key of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request<'a> {
    /// The database the session is connected to.
    pub database: &'a str,
    /// What it does. None at all is asked as a read of the database.
    pub effects: &'a [Effect],
    /// Rows it would change, where known.
    pub rows: Option<u64>,
    /// Whether it runs inside a transaction block.
    pub in_transaction: bool,
    /// How it reaches the server.
    pub carrier: Carrier,
}

/// How a request reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Carrier {
    /// As SQL.
    #[default]
    Statement,
    /// As a FunctionCall message: a function by its OID, without SQL.
    FunctionCall,
}
