//! Which calls in a stored expression the planner may run: it computes calls of functions labelled IMMUTABLE once all
//! their arguments are constants (`eval_const_expressions`, `src/backend/optimizer/util/clauses.c`), and does so with the
//! indexes, statistics, checks and partition keys of each table that it looks at.
//!
//! A call with a column among its arguments is left for the rows. But an argument in which a column is written may
//! still become a constant: `coalesce('k', a)`, `a + null`, `(row('k', a)).f1`. So an argument counts as one that
//! keeps its column only where that is certain.

use super::node_tree::{Node, Value, nodes, parse};
use crate::blast::facts::FIRST_USER_OID;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callee {
    Function(u32),
    Operator(u32),
    /// The input function of a type.
    Type(u32),
}

/// A call of something of users in a stored expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) callee: Callee,
    /// Whether its arguments may all become constants.
    pub(super) constant: bool,
}

/// The calls of users' functions and operators in the text of an expression; `None` where it is not understood.
/// `inlined` says whether a call may be replaced by what stands in its body, which may leave the arguments out.
pub(super) fn calls(text: &str, inlined: impl Fn(Callee) -> bool) -> Option<Vec<Call>> {
    let trees = parse(text)?;
    let mut visit = Visit { inlined, calls: Vec::new() };
    for node in nodes(&trees) {
        visit.node(node, false)?;
    }
    Some(visit.calls)
}

struct Visit<F> {
    inlined: F,
    calls: Vec<Call>,
}

impl<F: Fn(Callee) -> bool> Visit<F> {
    /// `tested` says whether what stands for the tested value of the CASE or the array around keeps a column.
    fn node(&mut self, node: &Node<'_>, tested: bool) -> Option<()> {
        let callees = callees(node)?;
        if !callees.is_empty() {
            let constant = !arguments(node).into_iter().any(|argument| self.keeps(argument, tested));
            let of_users = callees.into_iter().filter(|callee| callee.oid() >= FIRST_USER_OID);
            self.calls.extend(of_users.map(|callee| Call { callee, constant }));
        }
        let within = match node.label {
            "CASEEXPR" | "ARRAYCOERCEEXPR" => self.all_keep(&node.nodes("arg"), tested),
            _ => tested,
        };
        for (field, child) in node.children() {
            self.node(child, if field == "arg" { tested } else { within })?;
        }
        Some(())
    }

    /// Whether a value certainly is no constant, whatever the planner makes of it.
    fn keeps(&self, node: &Node<'_>, tested: bool) -> bool {
        let all = |field| self.all_keep(&node.nodes(field), tested);
        match node.label {
            "VAR" => true,
            "CASETESTEXPR" => tested,
            "RELABELTYPE" | "COLLATEEXPR" | "COERCEVIAIO" | "COERCETODOMAIN" | "ARRAYCOERCEEXPR" | "NULLTEST"
            | "BOOLEANTEST" => all("arg"),
            "FIELDSELECT" => node.nodes("arg").first().is_some_and(|arg| arg.label == "VAR"),
            "BOOLEXPR" => all("args"),
            "COALESCEEXPR" => node.nodes("args").first().is_some_and(|first| self.keeps(first, tested)),
            "CASEEXPR" => {
                let tested = all("arg");
                let first = node.nodes("args").first().and_then(|when| when.nodes("expr").first().copied());
                first.is_some_and(|condition| self.keeps(condition, tested))
            }
            "ARRAYEXPR" => node.nodes("elements").iter().any(|element| self.keeps(element, tested)),
            "SUBSCRIPTINGREF" => all("refexpr"),
            "MINMAXEXPR" => node.nodes("args").iter().any(|argument| self.keeps(argument, tested)),
            "FUNCEXPR" | "OPEXPR" | "DISTINCTEXPR" | "NULLIFEXPR" | "SCALARARRAYOPEXPR" => {
                // One argument that is null makes a call null.
                let arguments = arguments(node);
                arguments.iter().any(|argument| self.keeps(argument, tested))
                    && arguments.iter().all(|argument| self.keeps(argument, tested) || is_plain(argument))
                    && callees(node).is_some_and(|callees| !callees.into_iter().any(&self.inlined))
            }
            _ => false,
        }
    }

    /// Whether there are some and all of them keep a column.
    fn all_keep(&self, nodes: &[&Node<'_>], tested: bool) -> bool {
        !nodes.is_empty() && nodes.iter().all(|node| self.keeps(node, tested))
    }
}

impl Callee {
    pub(super) const fn oid(self) -> u32 {
        match self {
            Self::Function(oid) | Self::Operator(oid) | Self::Type(oid) => oid,
        }
    }
}

/// What computing a node calls; `None` where it should say so and does not. The function of an operator is left out:
/// the server itself does not trust that field.
fn callees(node: &Node<'_>) -> Option<Vec<Callee>> {
    let number = |field| node.token(field)?.parse().ok();
    Some(match node.label {
        "FUNCEXPR" => vec![Callee::Function(number("funcid")?)],
        "OPEXPR" | "DISTINCTEXPR" | "NULLIFEXPR" | "SCALARARRAYOPEXPR" => vec![Callee::Operator(number("opno")?)],
        "COERCEVIAIO" => vec![Callee::Type(number("resulttype")?)],
        "ROWCOMPAREEXPR" => {
            let [Value::List(operators)] = node.field("opnos") else { return None };
            let [Value::Token("o"), operators @ ..] = operators.as_slice() else { return None };
            let oid = |value: &Value<'_>| match value {
                Value::Token(token) => token.parse().ok().map(Callee::Operator),
                _ => None,
            };
            operators.iter().map(oid).collect::<Option<_>>()?
        }
        _ => Vec::new(),
    })
}

fn arguments<'n, 'a>(node: &'n Node<'a>) -> Vec<&'n Node<'a>> {
    ["args", "arg", "largs", "rargs"].iter().flat_map(|field| node.nodes(field)).collect()
}

/// Whether a value is a constant that is not null.
fn is_plain(node: &Node<'_>) -> bool {
    match node.label {
        "CONST" => node.token("constisnull") == Some("false"),
        "RELABELTYPE" | "COLLATEEXPR" => node.nodes("arg").into_iter().all(is_plain),
        "ARRAYEXPR" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMN: &str = "{VAR :varno 1 :varattno 2}";
    const TEXT: &str = "{CONST :consttype 25 :constisnull false :constvalue 5 [ 20 0 0 0 107 ]}";
    const NULL: &str = "{CONST :consttype 25 :constisnull true :constvalue <>}";

    fn call(function: u32, arguments: &[&str]) -> String {
        format!("{{FUNCEXPR :funcid {function} :args ({}) :location 1}}", arguments.join(" "))
    }

    fn operator(operator: u32, arguments: &[&str]) -> String {
        format!("{{OPEXPR :opno {operator} :opfuncid 0 :args ({})}}", arguments.join(" "))
    }

    /// Whether the planner may run a call of a function of users with that argument. Function 20000 may be inlined.
    #[track_caller]
    fn is_constant(argument: &str) -> bool {
        let text = format!("({})", call(16384, &[argument]));
        let calls = calls(&text, |callee| callee == Callee::Function(20_000)).unwrap();
        calls.iter().find(|call| call.callee == Callee::Function(16384)).unwrap().constant
    }

    #[test]
    fn arguments_that_keep_a_column() {
        let case = |when: &str| {
            format!("{{CASEEXPR :arg {COLUMN} :args ({{CASEWHEN :expr {when} :result {TEXT}}}) :defresult {NULL}}}")
        };
        for argument in [
            COLUMN.to_owned(),
            call(871, &[COLUMN]),
            call(16500, &[TEXT, COLUMN]),
            operator(654, &[COLUMN, TEXT]),
            format!("{{RELABELTYPE :arg {COLUMN}}}"),
            format!("{{COALESCEEXPR :args ({COLUMN} {TEXT})}}"),
            format!("{{ARRAYEXPR :elements ({TEXT} {COLUMN})}}"),
            format!("{{BOOLEXPR :boolop and :args ({COLUMN} {COLUMN})}}"),
            case(&operator(98, &["{CASETESTEXPR :typeId 25}", TEXT])),
        ] {
            assert!(!is_constant(&argument), "{argument}");
        }
    }

    #[test]
    fn arguments_that_may_become_constants() {
        for argument in [
            TEXT.to_owned(),
            NULL.to_owned(),
            call(871, &[TEXT]),
            operator(654, &[COLUMN, NULL]),
            operator(654, &[COLUMN, &call(871, &[TEXT])]),
            call(20_000, &[COLUMN]),
            format!("{{COALESCEEXPR :args ({TEXT} {COLUMN})}}"),
            format!("{{BOOLEXPR :boolop or :args ({COLUMN} {TEXT})}}"),
            format!("{{FIELDSELECT :arg {{ROWEXPR :args ({TEXT} {COLUMN})}} :fieldnum 1}}"),
            format!("{{CASEEXPR :arg <> :args ({{CASEWHEN :expr {TEXT} :result {TEXT}}}) :defresult {COLUMN}}}"),
            format!("{{CASEEXPR :arg {TEXT} :args ({{CASEWHEN :expr {{CASETESTEXPR}} :result {TEXT}}})}}"),
            format!("{{NEWEXPR :arg {COLUMN}}}"),
        ] {
            assert!(is_constant(&argument), "{argument}");
        }
        assert!(calls(&call(16384, &[]), |_| false).unwrap()[0].constant);
    }

    #[test]
    fn every_kind_of_call_is_seen() {
        let seen = |text: &str| calls(text, |_| false);
        let constant = |callee| Some(vec![Call { callee, constant: true }]);
        assert_eq!(seen(&operator(16400, &[TEXT])), constant(Callee::Operator(16400)));
        for label in ["DISTINCTEXPR", "NULLIFEXPR", "SCALARARRAYOPEXPR"] {
            let text = format!("{{{label} :opno 16400 :args ({TEXT} {TEXT})}}");
            assert_eq!(seen(&text), constant(Callee::Operator(16400)), "{label}");
        }
        let text = format!("{{ROWCOMPAREEXPR :opnos (o 97 16400) :largs ({TEXT}) :rargs ({TEXT})}}");
        assert_eq!(seen(&text), constant(Callee::Operator(16400)));
        let text = format!("{{COERCEVIAIO :arg {TEXT} :resulttype 16400}}");
        assert_eq!(seen(&text), constant(Callee::Type(16400)));
        let text = format!("{{NEWEXPR :x {}}}", call(16400, &[TEXT]));
        assert_eq!(seen(&text), constant(Callee::Function(16400)));
        let element = call(16400, &["{CASETESTEXPR}"]);
        assert_eq!(
            seen(&format!("{{ARRAYCOERCEEXPR :arg {TEXT} :elemexpr {element}}}")),
            constant(Callee::Function(16400))
        );
        assert!(!seen(&format!("{{ARRAYCOERCEEXPR :arg {COLUMN} :elemexpr {element}}}")).unwrap()[0].constant);
        assert_eq!(seen(&call(871, &[TEXT])), Some(Vec::new()));
        for unclear in ["{FUNCEXPR :args <>}", "{OPEXPR :opno x}", "{ROWCOMPAREEXPR :opnos <>}", "{FUNCEXPR"] {
            assert_eq!(seen(unclear), None, "{unclear}");
        }
    }
}
