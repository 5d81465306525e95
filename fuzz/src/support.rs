//! What the tests of the lexer and the analysis stand on; they use more of it.

#[path = "../../tests/support/pieces.rs"]
pub(crate) mod pieces;
#[allow(unused_imports, reason = "the tests name more of it")]
#[path = "../../tests/support/server_parser.rs"]
pub(crate) mod server_parser;
#[path = "../../tests/support/server_scanner.rs"]
pub(crate) mod server_scanner;
