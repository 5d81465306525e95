//! What the tests of the lexer and the analysis stand on.

#[path = "../../tests/support/pieces.rs"]
pub(crate) mod pieces;
#[path = "../../tests/support/server_parser.rs"]
pub(crate) mod server_parser;
#[path = "../../tests/support/server_scanner.rs"]
pub(crate) mod server_scanner;
