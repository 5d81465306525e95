//! The server's text of a stored expression (`pg_node_tree`, `src/backend/nodes/outfuncs.c` and `read.c`), as a tree.
//!
//! Only the form is known here, not what the nodes mean: `{LABEL :field value ...}`, `(list)`, and tokens in which a
//! backslash takes the next character as it is.

/// How deep nodes and lists may stand in each other.
const MOST_DEPTH: usize = 256;
/// How long a text may be.
const MOST_BYTES: usize = 256 << 10;

/// What a field or a list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Node(Node<'a>),
    List(Vec<Value<'a>>),
    Token(&'a str),
}

/// A node: its label, and its fields in their order. The bytes of a constant are several values of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) label: &'a str,
    fields: Vec<(&'a str, Vec<Value<'a>>)>,
}

/// The trees of a text, one after the other. `None` where it has another form, or is too long or too deep.
pub(super) fn parse(text: &str) -> Option<Vec<Value<'_>>> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let mut reader = Reader { rest: text };
    let mut values = Vec::new();
    while let Some(token) = reader.token() {
        values.push(reader.value(token, 0)?);
    }
    Some(values)
}

impl<'a> Node<'a> {
    /// All that stands in a field; nothing where there is no such field.
    pub(super) fn field(&self, name: &str) -> &[Value<'a>] {
        self.fields.iter().find(|field| field.0 == name).map_or(&[], |field| &field.1)
    }

    /// The only token of a field.
    pub(super) fn token(&self, name: &str) -> Option<&'a str> {
        match self.field(name) {
            [Value::Token(token)] => Some(token),
            _ => None,
        }
    }

    /// The nodes in a field, those of a list in it included.
    pub(super) fn nodes(&self, name: &str) -> Vec<&Node<'a>> {
        nodes(self.field(name))
    }

    /// The nodes in all fields, with the names of these.
    pub(super) fn children(&self) -> impl Iterator<Item = (&'a str, &Node<'a>)> {
        self.fields.iter().flat_map(|(name, values)| nodes(values).into_iter().map(|node| (*name, node)))
    }
}

/// The nodes among values and in lists of them.
pub(super) fn nodes<'v, 'a>(values: &'v [Value<'a>]) -> Vec<&'v Node<'a>> {
    let mut nodes = Vec::new();
    for value in values {
        match value {
            Value::Node(node) => nodes.push(node),
            Value::List(list) => nodes.extend(self::nodes(list)),
            Value::Token(_) => {}
        }
    }
    nodes
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// `pg_strtok`.
    fn token(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches([' ', '\n', '\t']);
        let mut escaped = false;
        let mut end = text.len();
        for (at, character) in text.char_indices() {
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if matches!(character, '(' | ')' | '{' | '}') {
                end = at.max(1);
                break;
            } else if matches!(character, ' ' | '\n' | '\t') {
                end = at;
                break;
            }
        }
        let (token, rest) = text.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// The value that begins with a token.
    fn value(&mut self, token: &'a str, depth: usize) -> Option<Value<'a>> {
        if depth == MOST_DEPTH {
            return None;
        }
        match token {
            "{" => self.node(depth).map(Value::Node),
            "(" => {
                let mut list = Vec::new();
                loop {
                    match self.token()? {
                        ")" => return Some(Value::List(list)),
                        token => list.push(self.value(token, depth + 1)?),
                    }
                }
            }
            ")" | "}" => None,
            token => Some(Value::Token(token)),
        }
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        let label = self.token().filter(|label| label.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
        let mut fields: Vec<(&str, Vec<Value<'_>>)> = Vec::new();
        loop {
            let token = self.token()?;
            if token == "}" {
                return Some(Node { label, fields });
            }
            if let Some(name) = token.strip_prefix(':') {
                fields.push((name, Vec::new()));
            } else {
                let value = self.value(token, depth + 1)?;
                fields.last_mut()?.1.push(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lists_and_tokens_are_read() {
        let trees = parse("({A :x 1 :args ({B :v 2 [ 1 0 ]} {C}) :name \"a\\ \\)b\"}) <>").unwrap();
        let [Value::List(list), Value::Token("<>")] = trees.as_slice() else { panic!("{trees:?}") };
        let node = nodes(list)[0];
        assert_eq!((node.label, node.token("x"), node.token("name")), ("A", Some("1"), Some("\"a\\ \\)b\"")));
        let labels: Vec<_> = node.children().map(|(field, node)| (field, node.label)).collect();
        assert_eq!(labels, [("args", "B"), ("args", "C")]);
        assert_eq!(node.nodes("args")[0].field("v").len(), 5);
        assert!(node.field("y").is_empty());
    }

    #[test]
    fn what_has_no_such_form_is_nothing() {
        for text in ["{", "(", ")", "{A", "{A x}", "{A :x}}", "{A :x (}", "{}", "({A)"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(""), Some(Vec::new()));
        let deep = |depth| "(".repeat(depth) + &")".repeat(depth);
        assert!(parse(&deep(MOST_DEPTH)).is_some());
        assert_eq!(parse(&deep(MOST_DEPTH + 1)), None);
        assert_eq!(parse(&"(".repeat(MOST_BYTES)), None);
        assert_eq!(parse(&"x ".repeat(MOST_BYTES)), None);
    }
}
