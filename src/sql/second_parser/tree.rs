//! The server's tree of a statement as plain data: what it is called, what its fields are. The walk over it needs no
//! list of the three hundred kinds of nodes that could forget one.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};

/// A part of a tree. What has its default value is left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// Nothing, zero, false, an empty text or list.
    Nothing,
    Number(i64),
    Text(String),
    List(Vec<Tree>),
    /// A node whose kind is clear from where it stands.
    Fields(Vec<(&'static str, Tree)>),
    /// A node that says its kind.
    Node(&'static str, Vec<(&'static str, Tree)>),
}

impl Tree {
    /// # Errors
    ///
    /// A kind of data that no tree has.
    pub(super) fn of(node: &impl Serialize) -> Result<Self, Unfit> {
        node.serialize(Maker)
    }

    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> &Self {
        let fields = self.fields();
        fields.iter().find(|(field, _)| *field == name).map_or(&Self::Nothing, |(_, value)| value)
    }

    pub(super) fn fields(&self) -> &[(&'static str, Self)] {
        match self {
            Self::Fields(fields) | Self::Node(_, fields) => fields,
            _ => &[],
        }
    }

    /// What kind of node it is, where it says so.
    pub(super) fn kind(&self) -> &'static str {
        if let Self::Node(kind, _) = self { kind } else { "" }
    }

    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(super) fn number(&self) -> i64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Data that no tree has.
#[derive(Debug)]
pub(super) struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tree")
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct Maker;

fn number<T: TryInto<i64>>(value: T) -> Result<Tree, Unfit> {
    let number = value.try_into().map_err(|_| Unfit)?;
    Ok(if number == 0 { Tree::Nothing } else { Tree::Number(number) })
}

impl ser::Serializer for Maker {
    type Ok = Tree;
    type Error = Unfit;
    type SerializeSeq = Items;
    type SerializeTuple = Impossible<Tree, Unfit>;
    type SerializeTupleStruct = Impossible<Tree, Unfit>;
    type SerializeTupleVariant = Impossible<Tree, Unfit>;
    type SerializeMap = Impossible<Tree, Unfit>;
    type SerializeStruct = Struct;
    type SerializeStructVariant = Impossible<Tree, Unfit>;

    fn serialize_bool(self, value: bool) -> Result<Tree, Unfit> {
        number(i64::from(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_i16(self, value: i16) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_i32(self, value: i32) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_i64(self, value: i64) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_u8(self, value: u8) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_u16(self, value: u16) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_u32(self, value: u32) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_u64(self, value: u64) -> Result<Tree, Unfit> {
        number(value)
    }

    fn serialize_f32(self, _: f32) -> Result<Tree, Unfit> {
        Ok(Tree::Nothing)
    }

    fn serialize_f64(self, _: f64) -> Result<Tree, Unfit> {
        Ok(Tree::Nothing)
    }

    fn serialize_char(self, value: char) -> Result<Tree, Unfit> {
        Ok(Tree::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Tree, Unfit> {
        Ok(if value.is_empty() { Tree::Nothing } else { Tree::Text(value.to_owned()) })
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Tree, Unfit> {
        Err(Unfit)
    }

    fn serialize_none(self) -> Result<Tree, Unfit> {
        Ok(Tree::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, Unfit> {
        value.serialize(Self)
    }

    fn serialize_unit(self) -> Result<Tree, Unfit> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, Unfit> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Tree, Unfit> {
        Ok(Tree::Node(variant, Vec::new()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Tree, Unfit> {
        value.serialize(Self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, Unfit> {
        Ok(match value.serialize(Self)? {
            Tree::Fields(fields) => Tree::Node(variant, fields),
            // The value of a constant.
            value => Tree::Node(variant, vec![("value", value)]),
        })
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Unfit> {
        Ok(Items(Vec::with_capacity(length.unwrap_or(0))))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unfit> {
        Err(Unfit)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unfit> {
        Err(Unfit)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unfit> {
        Err(Unfit)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unfit> {
        Err(Unfit)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Struct, Unfit> {
        Ok(Struct { wrapper: name == "Node", fields: Vec::new() })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unfit> {
        Err(Unfit)
    }
}

struct Items(Vec<Tree>);

impl ser::SerializeSeq for Items {
    type Ok = Tree;
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.0.push(value.serialize(Maker)?);
        Ok(())
    }

    fn end(self) -> Result<Tree, Unfit> {
        Ok(if self.0.is_empty() { Tree::Nothing } else { Tree::List(self.0) })
    }
}

struct Struct {
    /// It is the message around a node, with one field of no interest.
    wrapper: bool,
    fields: Vec<(&'static str, Tree)>,
}

impl ser::SerializeStruct for Struct {
    type Ok = Tree;
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unfit> {
        let value = value.serialize(Maker)?;
        if !value.is_nothing() {
            self.fields.push((name, value));
        }
        Ok(())
    }

    fn end(mut self) -> Result<Tree, Unfit> {
        if self.wrapper {
            return Ok(self.fields.pop().map_or(Tree::Nothing, |(_, node)| node));
        }
        Ok(Tree::Fields(self.fields))
    }
}
