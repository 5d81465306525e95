//! Casts that stand in no text: those the server looks up by itself when it makes JSON of a value.

use crate::sql::functions::keyword_call;

/// Whether a function, of the server or of an extension, may look for a cast to `json` to make JSON of a value of a type
/// of users (`json_categorize_type`). Those that take JSON apart do not; that is not worth a list which may miss one.
#[must_use]
pub(crate) fn makes_json(function: &str) -> bool {
    function.contains("json")
}

/// The types that a call may cast its arguments to without naming them.
pub(super) fn casts_to(function: &str) -> &'static [&'static str] {
    if !makes_json(function) {
        &[]
    } else if keyword_call(function).is_some() {
        // `JSON_VALUE` and its kin cast what they are given to one of these (`transformJsonValueExpr`).
        &["json", "jsonb", "text", "bytea"]
    } else {
        // The server looks for casts to `json` for `jsonb` too.
        &["json"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_json_casts_to_it() {
        for function in ["to_json", "to_jsonb", "row_to_json", "json_agg", "jsonb_object_agg", "array_to_json"] {
            assert_eq!(casts_to(function), ["json"], "{function}");
        }
        for function in ["json_object", "json_scalar", "json_value", "json"] {
            assert!(casts_to(function).contains(&"jsonb"), "{function}");
        }
        assert!(casts_to("lower").is_empty());
    }
}
