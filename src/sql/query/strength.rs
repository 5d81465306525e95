//! Binding strengths, weakest first, as `gram.y` declares them.

pub(super) const ANY: u8 = 0;
pub(super) const OR: u8 = 1;
pub(super) const AND: u8 = 2;
pub(super) const NOT: u8 = 3;
pub(super) const IS: u8 = 4;
pub(super) const COMPARISON: u8 = 5;
pub(super) const LIKE: u8 = 6;
pub(super) const OPERATOR: u8 = 7;
pub(super) const SUM: u8 = 8;
pub(super) const PRODUCT: u8 = 9;
pub(super) const POWER: u8 = 10;
pub(super) const AT: u8 = 11;
pub(super) const COLLATE: u8 = 12;
pub(super) const SIGN: u8 = 13;
pub(super) const CAST: u8 = 14;

/// That of an operator's symbol.
pub(super) fn of_symbol(symbol: &str) -> u8 {
    match symbol {
        "<" | ">" | "=" | "<=" | ">=" | "<>" => COMPARISON,
        "+" | "-" => SUM,
        "*" | "/" | "%" => PRODUCT,
        "^" => POWER,
        _ => OPERATOR,
    }
}
