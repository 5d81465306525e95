//! Function calls: `func_expr`, with the spellings that the SQL standard gives some of them.

use super::Parser;
use super::expression::{last_two, remember};
use super::extent::derived;
use super::shape::{Constant, Shape};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::idioms::setting_named_by_condition;
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

/// Functions of one column whose values tell its rows apart nearly as well as the column does.
const KEEPS_ROWS_APART: [&str; 7] = ["btrim", "encode", "lower", "ltrim", "md5", "rtrim", "upper"];

/// Functions that return as many rows as their arguments hold.
const UNPACKS: [&str; 17] = [
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "json_populate_recordset",
    "json_to_recordset",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_populate_recordset",
    "jsonb_to_recordset",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
];

/// Other functions that return rows, as many as they like.
const GENERATES: [&str; 5] =
    ["generate_series", "generate_subscripts", "jsonb_path_query", "jsonb_path_query_tz", "regexp_matches"];

/// Whether a function returns as many rows as what is given to it in the text or by the client.
pub(super) fn unpacks(name: &str) -> bool {
    UNPACKS.contains(&name)
}

/// Functions that say what time it is.
const CLOCKS: [&str; 4] = ["clock_timestamp", "now", "statement_timestamp", "transaction_timestamp"];

impl<'a> Parser<'a> {
    /// `name(...)`, behind the name.
    pub(super) fn function_call(&mut self, parts: &[&'a str]) -> Parsed<Shape<'a>> {
        let arguments = self.plain_call(parts)?;
        if self.cursor.at_kind(TokenKind::String) {
            // `varbit(3) '101'`: a constant of a type with a modifier.
            self.cursor.advance();
            return Ok(Shape::Constant(Constant::Computed));
        }
        self.window_and_filter()?;
        let name = parts.last().copied().unwrap_or_default();
        let given = |argument: &Shape<'a>| {
            argument.is_constant() || matches!(argument, Shape::Column(_) | Shape::Cast(_) | Shape::Derived(_))
        };
        if GENERATES.contains(&name) || (unpacks(name) && !arguments.iter().all(given)) {
            self.generators += 1;
        }
        Ok(match parts {
            [.., "date_part" | "date_trunc"] if self.is_coarse(arguments.first()) => Shape::Opaque,
            [.., "date" | "date_part" | "date_trunc"] => derived(&arguments).or_clock(&arguments),
            // All but what the characters given leave of it may be the same for every row.
            [.., "btrim" | "ltrim" | "rtrim"] if arguments.len() > 1 => Shape::Opaque,
            [.., name @ ("left" | "substr")] => self.beginning(&arguments, if *name == "left" { 2 } else { 3 }),
            [.., name] if KEEPS_ROWS_APART.contains(name) => derived(&arguments),
            [.., name] if CLOCKS.contains(name) => Shape::Constant(Constant::Clock),
            _ => Shape::computed(&arguments),
        })
    }

    /// `left(x, n)`, `substr(x, 1, n)`: the beginning of a text, unless it is an empty one. `count`: how many arguments
    /// say so.
    fn beginning(&mut self, arguments: &[Shape<'a>], count: usize) -> Shape<'a> {
        let (true, [text, rest @ ..]) = (self.judges, arguments) else { return Shape::Opaque };
        let first = count == 2 || self.literal_argument(rest.first()) == Some("1");
        let length = self.literal_argument(rest.last()).and_then(|length| length.parse::<u32>().ok());
        let negative = matches!(rest.last(), Some(Shape::Constant(Constant::Literal { negative: true, .. })));
        if text.is_constant() {
            return Shape::computed(arguments);
        }
        let is_some = first && !negative && length.is_some_and(|length| length > 0);
        if arguments.len() == count && is_some { derived(std::slice::from_ref(text)) } else { Shape::Opaque }
    }

    /// Whether an argument names a part of a time that is the same for all that are written down.
    fn is_coarse(&mut self, field: Option<&Shape<'a>>) -> bool {
        self.judges && self.literal_argument(field).is_some_and(is_coarse)
    }

    /// `name(...)` without what may follow it: `func_application`.
    pub(super) fn plain_call(&mut self, parts: &[&'a str]) -> Parsed<Vec<Shape<'a>>> {
        self.found.call(last_two(parts));
        let arguments = self.nested(Self::arguments)?;
        match parts {
            ["set_config"] | [.., "pg_catalog", "set_config"] => self.call_of_set_config(&arguments),
            ["setval"] | [.., "pg_catalog", "setval"] => self.call_of_setval(&arguments),
            _ => {}
        }
        Ok(arguments)
    }

    /// The text of an argument that is a string.
    fn literal_argument(&mut self, argument: Option<&Shape<'a>>) -> Option<&'a str> {
        match argument {
            Some(Shape::Constant(Constant::Literal { token, .. })) => {
                self.found.depends_on_literals = true;
                Some(self.cursor.text_of(*token))
            }
            _ => None,
        }
    }

    fn call_of_set_config(&mut self, arguments: &[Shape<'a>]) {
        let named = self.literal_argument(arguments.first());
        let name = named.or_else(|| setting_named_by_condition(self.cursor.statement()));
        let value = self.literal_argument(arguments.get(1));
        let local = !matches!(arguments.get(2), Some(Shape::Constant(Constant::Word(Keyword::False))));
        self.set_config(name, value, local);
    }

    fn call_of_setval(&mut self, arguments: &[Shape<'a>]) {
        let name = self.literal_argument(arguments.first()).unwrap_or_default();
        self.sets_sequence(name);
    }

    /// A call of `setval`; an empty name where it is no literal.
    pub(in crate::sql) fn sets_sequence(&mut self, name: &str) {
        let object = Object::new(ObjectKind::Sequence, name);
        self.found.effect_because(Effect::new(Action::Alter, object), format!("sets the sequence {name}"));
    }

    /// `( [ALL|DISTINCT] [VARIADIC] a, name => b [ORDER BY ...] )`, `(*)`
    pub(in crate::sql) fn arguments(&mut self) -> Parsed<Vec<Shape<'a>>> {
        let mut shapes = Vec::new();
        self.cursor.open()?;
        if !self.cursor.eat_operator("*") && !self.cursor.at_kind(TokenKind::CloseParen) {
            self.cursor.eat_any(&[Keyword::All, Keyword::Distinct]);
            self.list(|parser| {
                let argument = parser.argument()?;
                remember(&mut shapes, argument);
                Ok(())
            })?;
            self.order_by()?;
        }
        self.cursor.close()?;
        if shapes.is_empty() {
            shapes.push(Shape::Constant(Constant::Computed));
        }
        Ok(shapes)
    }

    /// One argument, perhaps named.
    pub(super) fn argument(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.eat(Keyword::Variadic);
        let named = matches!(self.cursor.kind_at(1), Some(TokenKind::Assign | TokenKind::Arrow));
        if named {
            self.cursor.name(NamePosition::TypeOrFunction)?;
            self.cursor.advance();
        }
        self.expression()
    }

    /// `WITHIN GROUP (...) FILTER (...) OVER ...`
    pub(super) fn window_and_filter(&mut self) -> Parsed<()> {
        if self.cursor.at(Keyword::Within) && self.cursor.at_ahead(1, Keyword::Group) {
            self.cursor.advance();
            self.cursor.advance();
            self.parenthesized(|parser| parser.order_by())?;
        }
        if self.cursor.at(Keyword::Filter) && self.cursor.kind_at(1) == Some(TokenKind::OpenParen) {
            self.cursor.advance();
            self.parenthesized(|parser| {
                parser.cursor.expect(Keyword::Where)?;
                parser.expression().map(drop)
            })?;
        }
        if self.cursor.at(Keyword::Over) {
            self.cursor.advance();
            if self.cursor.at_kind(TokenKind::OpenParen) {
                return self.nested(Self::window_specification);
            }
            self.cursor.name(NamePosition::Column)?;
        }
        Ok(())
    }

    /// `( [name] [PARTITION BY ...] [ORDER BY ...] [frame] )`
    pub(super) fn window_specification(&mut self) -> Parsed<()> {
        self.cursor.open()?;
        let frame = [Keyword::Range, Keyword::Rows, Keyword::Groups];
        if !self.cursor.at(Keyword::Partition) && !self.cursor.at_any(&frame) {
            self.cursor.eat_name(NamePosition::Column);
        }
        if self.cursor.eat(Keyword::Partition) {
            self.cursor.expect(Keyword::By)?;
            self.expression_list()?;
        }
        self.order_by()?;
        if self.cursor.eat_any(&frame).is_some() {
            self.frame()?;
        }
        self.cursor.close()
    }

    fn frame(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Between) {
            self.frame_bound()?;
            self.cursor.expect(Keyword::And)?;
        }
        self.frame_bound()?;
        if self.cursor.eat(Keyword::Exclude) {
            if self.cursor.eat(Keyword::Current) {
                return self.cursor.expect(Keyword::Row);
            }
            if self.cursor.eat(Keyword::No) {
                return self.cursor.expect(Keyword::Others);
            }
            if self.cursor.eat_any(&[Keyword::Group, Keyword::Ties]).is_none() {
                return self.cursor.refuse("a frame's exclusion is expected");
            }
        }
        Ok(())
    }

    fn frame_bound(&mut self) -> Parsed<()> {
        if self.cursor.eat_all(&[Keyword::Current, Keyword::Row]) {
            return Ok(());
        }
        let sides = [Keyword::Preceding, Keyword::Following];
        let unbounded = self.cursor.at(Keyword::Unbounded)
            && matches!(self.cursor.keyword_at(1), Some(Keyword::Preceding | Keyword::Following));
        if unbounded {
            self.cursor.advance();
        } else {
            // Not `a_expr` but one that stops before AND: the frame is `BETWEEN a AND b`.
            self.basic_expression()?;
        }
        if self.cursor.eat_any(&sides).is_some() { Ok(()) } else { self.cursor.refuse("PRECEDING or FOLLOWING") }
    }

    /// A call with a grammar of its own: `func_expr_common_subexpr`. `None` where the word is just a name here.
    pub(super) fn special_function(&mut self, keyword: Keyword) -> Parsed<Option<Shape<'a>>> {
        if let Some(shape) = self.session_value(keyword)? {
            return Ok(Some(shape));
        }
        if keyword == Keyword::Collation && self.cursor.at_ahead(1, Keyword::For) {
            self.cursor.advance();
            self.cursor.advance();
            self.found.system_call("pg_collation_for");
            self.parenthesized(|parser| parser.expression())?;
            return Ok(Some(Shape::Opaque));
        }
        if self.cursor.kind_at(1) != Some(TokenKind::OpenParen) {
            return Ok(None);
        }
        self.nested(|parser| match keyword {
            Keyword::Cast | Keyword::Treat => parser.cast(keyword).map(Some),
            Keyword::Coalesce | Keyword::Greatest | Keyword::Least | Keyword::Nullif | Keyword::Grouping => {
                parser.expression_function(keyword).map(Some)
            }
            Keyword::Extract => parser.extract().map(Some),
            Keyword::Normalize => parser.normalize().map(Some),
            Keyword::Overlay => parser.overlay().map(Some),
            Keyword::Position => parser.position().map(Some),
            Keyword::Substring => parser.substring().map(Some),
            Keyword::Trim => parser.trim().map(Some),
            _ => match parser.xml_function(keyword)? {
                None => parser.json_function(keyword),
                some => Ok(some),
            },
        })
    }

    /// `CURRENT_DATE`, `USER` and their like, which take no parentheses.
    fn session_value(&mut self, keyword: Keyword) -> Parsed<Option<Shape<'a>>> {
        let mut value = Constant::Computed;
        match keyword {
            Keyword::CurrentDate => {
                value = Constant::Clock;
                self.cursor.advance();
            }
            Keyword::CurrentRole
            | Keyword::CurrentUser
            | Keyword::SessionUser
            | Keyword::User
            | Keyword::CurrentCatalog => self.cursor.advance(),
            // A column's name to servers before 16.
            Keyword::SystemUser => {
                self.found.system_call("system_user");
                self.cursor.advance();
            }
            Keyword::CurrentSchema if self.cursor.kind_at(1) != Some(TokenKind::OpenParen) => self.cursor.advance(),
            Keyword::CurrentTime | Keyword::CurrentTimestamp | Keyword::Localtime | Keyword::Localtimestamp => {
                value = Constant::Clock;
                self.cursor.advance();
                if self.cursor.at_kind(TokenKind::OpenParen) {
                    self.type_modifier()?;
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(Shape::Constant(value)))
    }

    fn cast(&mut self, keyword: Keyword) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.parenthesized(|parser| {
            let inner = parser.expression()?;
            parser.cursor.expect(Keyword::As)?;
            if keyword == Keyword::Cast {
                let to = parser.type_name()?;
                return Ok(inner.cast(to.as_deref()));
            }
            // TREAT(x AS t) calls the function named like the type.
            let name = parser.type_name()?;
            if let Some(name) = name {
                parser.found.call(crate::sql::Name { schema: Some("pg_catalog".to_owned()), name });
            }
            Ok(Shape::Opaque)
        })
    }

    /// COALESCE and the others that are expressions of their own.
    fn expression_function(&mut self, keyword: Keyword) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        let arguments = self.parenthesized(|parser| parser.expression_list())?;
        if keyword == Keyword::Nullif {
            self.found.operator("=");
        }
        Ok(match keyword {
            // Every row may lack what is looked up in a value, and then be the same.
            Keyword::Coalesce if matches!(arguments.first(), Some(Shape::Derived(_))) => Shape::Opaque,
            Keyword::Coalesce => derived(&arguments),
            Keyword::Grouping => Shape::Opaque,
            _ => Shape::computed(&arguments),
        })
    }

    /// `EXTRACT(field FROM x)`
    fn extract(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        // The name is `date_part` on servers before 14.
        self.found.system_call("extract");
        self.parenthesized(|parser| {
            let field = parser.cursor.text();
            if parser.cursor.eat_kind(TokenKind::String) {
                parser.found.depends_on_literals |= parser.judges;
            } else {
                parser.cursor.name(NamePosition::NonReserved)?;
            }
            parser.cursor.expect(Keyword::From)?;
            let from = parser.expression()?;
            if is_coarse(field) {
                return Ok(Shape::Opaque);
            }
            Ok(derived(std::slice::from_ref(&from)).or_clock(&[from]))
        })
    }

    fn normalize(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.found.system_call("normalize");
        self.parenthesized(|parser| {
            parser.expression()?;
            if parser.cursor.eat_kind(TokenKind::Comma) {
                let forms = [Keyword::Nfc, Keyword::Nfd, Keyword::Nfkc, Keyword::Nfkd];
                if parser.cursor.eat_any(&forms).is_none() {
                    return parser.cursor.refuse("a normal form is expected");
                }
            }
            Ok(Shape::Opaque)
        })
    }

    fn overlay(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.cursor.open()?;
        if self.plain_arguments("overlay")? {
            return Ok(Shape::Opaque);
        }
        self.expression()?;
        if !self.cursor.eat(Keyword::Placing) {
            return self.plain_rest("overlay");
        }
        self.found.system_call("overlay");
        self.expression()?;
        self.cursor.expect(Keyword::From)?;
        self.expression()?;
        if self.cursor.eat(Keyword::For) {
            self.expression()?;
        }
        self.cursor.close()?;
        Ok(Shape::Opaque)
    }

    fn position(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.found.system_call("position");
        self.parenthesized(|parser| {
            parser.basic_expression()?;
            parser.cursor.expect(Keyword::In)?;
            parser.basic_expression()?;
            Ok(Shape::Opaque)
        })
    }

    /// `SUBSTRING(x FROM i FOR n)`, `SUBSTRING(x SIMILAR p ESCAPE e)`, `SUBSTRING(x, i, n)`
    fn substring(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.cursor.open()?;
        if self.plain_arguments("substring")? {
            return Ok(Shape::Opaque);
        }
        let first = self.expression()?;
        let (mut start, mut length) = (None, None);
        match self.cursor.keyword() {
            Some(Keyword::Similar) => {
                self.cursor.advance();
                self.found.system_call("substring");
                self.expression()?;
                self.cursor.expect(Keyword::Escape)?;
                self.expression()?;
            }
            Some(Keyword::From | Keyword::For) => {
                self.found.system_call("substring");
                if self.cursor.at(Keyword::For) {
                    // Its argument is cast to the type of a length.
                    self.found.system_type("int4");
                }
                while let Some(which) = self.cursor.eat_any(&[Keyword::From, Keyword::For]) {
                    let value = Some(self.expression()?);
                    *(if which == Keyword::From { &mut start } else { &mut length }) = value;
                }
            }
            _ => {
                self.plain_rest("substring")?;
                return Ok(Shape::Opaque);
            }
        }
        self.cursor.close()?;
        Ok(match (start, length) {
            (None, Some(length)) => self.beginning(&[first, length], 2),
            (Some(start), Some(length)) => self.beginning(&[first, start, length], 3),
            _ => Shape::Opaque,
        })
    }

    /// `()`, or arguments that begin with a name or VARIADIC: a plain call of whatever has that name.
    fn plain_arguments(&mut self, name: &str) -> Parsed<bool> {
        if self.cursor.eat_kind(TokenKind::CloseParen) {
            self.call_by_word(name);
            return Ok(true);
        }
        let named = matches!(self.cursor.kind_at(1), Some(TokenKind::Assign | TokenKind::Arrow));
        if named || self.cursor.at(Keyword::Variadic) {
            self.argument()?;
            self.plain_rest(name)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// `, b, c)` behind the first argument of a plain call.
    fn plain_rest(&mut self, name: &str) -> Parsed<Shape<'a>> {
        self.call_by_word(name);
        while self.cursor.eat_kind(TokenKind::Comma) {
            self.argument()?;
        }
        self.cursor.close()?;
        Ok(Shape::Opaque)
    }

    /// A plain call of a function that is named like a key word: the search path finds it.
    pub(in crate::sql) fn call_by_word(&mut self, name: &str) {
        self.found.call(crate::sql::Name { schema: None, name: name.to_owned() });
    }

    /// `TRIM([BOTH|LEADING|TRAILING] [x] FROM y)`, `TRIM(x, y)`
    fn trim(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        let side = self.cursor.keyword_at(1);
        let function = match side {
            Some(Keyword::Leading) => "ltrim",
            Some(Keyword::Trailing) => "rtrim",
            _ => "btrim",
        };
        self.found.system_call(function);
        self.parenthesized(|parser| {
            parser.cursor.eat_any(&[Keyword::Both, Keyword::Leading, Keyword::Trailing]);
            let mut arguments = Vec::new();
            if !parser.cursor.at(Keyword::From) {
                arguments.push(parser.expression()?);
            }
            if parser.cursor.eat(Keyword::From) || parser.cursor.eat_kind(TokenKind::Comma) {
                arguments.extend(parser.expression_list()?);
            }
            Ok(if arguments.len() > 1 { Shape::Opaque } else { derived(&arguments) })
        })
    }
}

/// Whether a part of a time is the same for all that are written down.
fn is_coarse(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    matches!(
        field.as_str(),
        "c" | "cent" | "centuries" | "century" | "decade" | "decades" | "era" | "mil" | "millennia" | "millennium"
    ) || field.starts_with("timezone")
}
