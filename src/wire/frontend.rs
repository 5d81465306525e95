//! Messages of a client after login, as borrowed views of their bodies.
//!
//! Each `decode` takes the body of one frame, without type byte and length, and takes all of it. Messages
//! without fields (Sync, Flush, Terminate, CopyDone) are judged by [`check_empty`]; CopyData needs no body.

use super::reader::{DecodeError, Reader};

/// Bytes of a statement or portal name that Postgres tells apart (`NAMEDATALEN - 1`): its tables of prepared
/// statements and portals cut longer keys off, so two names that agree in these bytes are one name.
pub const SIGNIFICANT_NAME_BYTES: usize = 63;

/// The part of a statement or portal name that decides which entry it names.
#[must_use]
pub fn significant(name: &[u8]) -> &[u8] {
    &name[..name.len().min(SIGNIFICANT_NAME_BYTES)]
}

/// Judges the body of a message that has no fields.
///
/// # Errors
/// [`DecodeError::Trailing`] if there are bytes.
pub const fn check_empty(body: &[u8]) -> Result<(), DecodeError> {
    Reader::new(body).end()
}

/// `Q`: run SQL text, which may be several statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The text, in the client's encoding.
    pub sql: &'a [u8],
}

impl<'a> Query<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// No NUL, or bytes behind it.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let sql = reader.cstr()?;
        reader.end()?;
        Ok(Self { sql })
    }
}

/// `P`: prepare one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Name of the statement; empty for the unnamed one.
    pub name: &'a [u8],
    /// The text, in the client's encoding.
    pub sql: &'a [u8],
    /// Types given beforehand for the parameters; may be fewer than the statement has.
    pub parameter_types: Oids<'a>,
}

impl<'a> Parse<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        let sql = reader.cstr()?;
        let parameter_types = Oids::decode(&mut reader)?;
        reader.end()?;
        Ok(Self { name, sql, parameter_types })
    }
}

/// A list of OIDs inside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oids<'a> {
    bytes: &'a [u8],
}

impl<'a> Oids<'a> {
    /// Reads a 16-bit count and that many OIDs.
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u16()?);
        Ok(Self { bytes: reader.bytes(count * 4)? })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The OIDs in order; 0 leaves a type to the server.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// A list of format codes inside a message: none (all text), one (for all), or one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats<'a> {
    bytes: &'a [u8],
}

impl<'a> Formats<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u16()?);
        Ok(Self { bytes: reader.bytes(count * 2)? })
    }

    /// How many codes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The codes in order: 0 text, 1 binary; Postgres refuses others.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u16> + use<'a> {
        self.bytes.as_chunks::<2>().0.iter().map(|code| u16::from_be_bytes(*code))
    }

    /// The code that holds for the value at `index`; `None` if the list gives it none.
    #[must_use]
    pub fn of(&self, index: usize) -> Option<u16> {
        match self.len() {
            0 => Some(0),
            1 => self.iter().next(),
            _ => self.iter().nth(index),
        }
    }
}

/// `B`: bind values to a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Name of the portal to make; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Name of the statement.
    pub statement: &'a [u8],
    /// Formats of the values.
    pub formats: Formats<'a>,
    /// The values.
    pub values: Values<'a>,
    /// Formats of the result columns.
    pub result_formats: Formats<'a>,
}

impl<'a> Bind<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left, or there are several formats but not one for each value.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let statement = reader.cstr()?;
        let formats = Formats::decode(&mut reader)?;
        let values = Values::decode(&mut reader)?;
        let result_formats = Formats::decode(&mut reader)?;
        reader.end()?;
        if formats.len() > 1 && formats.len() != values.len() {
            return Err(DecodeError::Invalid("number of parameter formats"));
        }
        Ok(Self { portal, statement, formats, values, result_formats })
    }
}

/// The names in a Bind: all that is needed to know which statement and portal it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindNames<'a> {
    /// Name of the portal to make.
    pub portal: &'a [u8],
    /// Name of the statement.
    pub statement: &'a [u8],
}

/// Reads the names from the first bytes of a Bind's body, which may be much larger. `None`: `prefix` ends
/// before the names do.
#[must_use]
pub fn bind_names(prefix: &[u8]) -> Option<BindNames<'_>> {
    let mut reader = Reader::new(prefix);
    let portal = reader.cstr().ok()?;
    let statement = reader.cstr().ok()?;
    Some(BindNames { portal, statement })
}

/// A list of values inside a Bind or FunctionCall, found whole when it was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.u16()?;
        let start = reader.rest();
        for _ in 0..count {
            reader.value()?;
        }
        let taken = start.len() - reader.rest().len();
        Ok(Self { count, bytes: &start[..taken] })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order; `None` is NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| reader.value().ok())
    }
}

/// What a Describe or Close is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A prepared statement (`S`).
    Statement,
    /// A portal (`P`).
    Portal,
}

/// `D` or `C`: describe or close a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Which of the two.
    pub target: Target,
    /// Its name.
    pub name: &'a [u8],
}

impl<'a> Named<'a> {
    /// Decodes a body of a Describe or Close.
    ///
    /// # Errors
    /// An unknown kind, no NUL, or bytes behind it.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let target = match reader.u8()? {
            b'S' => Target::Statement,
            b'P' => Target::Portal,
            _ => return Err(DecodeError::Invalid("kind of what is described or closed")),
        };
        let name = reader.cstr()?;
        reader.end()?;
        Ok(Self { target, name })
    }
}

/// `E`: run a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Name of the portal.
    pub portal: &'a [u8],
    /// Most rows to return before suspending; zero or below is no limit. No limit on what a statement changes.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let portal = reader.cstr()?;
        let max_rows = reader.i32()?;
        reader.end()?;
        Ok(Self { portal, max_rows })
    }
}

/// `F`: call a function by OID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function.
    pub oid: u32,
    /// Formats of the arguments.
    pub formats: Formats<'a>,
    /// The arguments.
    pub arguments: Values<'a>,
    /// Format of the result.
    pub result_format: u16,
}

impl<'a> FunctionCall<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let oid = reader.u32()?;
        let formats = Formats::decode(&mut reader)?;
        let arguments = Values::decode(&mut reader)?;
        let result_format = reader.u16()?;
        reader.end()?;
        Ok(Self { oid, formats, arguments, result_format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn cstr() -> impl Strategy<Value = Vec<u8>> {
        vec(1_u8.., 0..12)
    }

    fn count(items: usize) -> [u8; 2] {
        u16::try_from(items).unwrap().to_be_bytes()
    }

    fn values(list: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = count(list.len()).to_vec();
        for value in list {
            match value {
                None => bytes.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    bytes.extend(value);
                }
            }
        }
        bytes
    }

    #[test]
    fn a_query_is_one_string_and_nothing_more() {
        assert_eq!(Query::decode(b"SELECT 1\0").unwrap().sql, b"SELECT 1");
        assert_eq!(Query::decode(b"SELECT 1"), Err(DecodeError::Unterminated));
        assert_eq!(Query::decode(b"SELECT 1\0DELETE\0"), Err(DecodeError::Trailing));
        assert_eq!(Query::decode(b""), Err(DecodeError::Unterminated));
    }

    #[test]
    fn names_that_agree_in_63_bytes_are_one() {
        let long = [b'x'; 80];
        assert_eq!(significant(&long), significant(&long[..63]));
        assert_ne!(significant(&long), significant(&long[..62]));
        assert_eq!(significant(b""), b"");
    }

    #[test]
    fn counts_are_unsigned() {
        let mut body = b"\0SELECT 1\0\x80\x00".to_vec();
        assert_eq!(Parse::decode(&body), Err(DecodeError::Truncated));
        body.extend([0; 4 * 0x8000]);
        assert_eq!(Parse::decode(&body).unwrap().parameter_types.len(), 0x8000);
    }

    #[test]
    fn a_bind_with_too_few_formats_is_refused() {
        let body = b"\0\0\0\x02\0\0\0\0\0\x01\xff\xff\xff\xff\0\0";
        assert_eq!(Bind::decode(body), Err(DecodeError::Invalid("number of parameter formats")));
    }

    #[test]
    fn describe_and_close_know_two_kinds() {
        assert_eq!(Named::decode(b"Sname\0"), Ok(Named { target: Target::Statement, name: b"name" }));
        assert_eq!(Named::decode(b"P\0").unwrap().target, Target::Portal);
        assert!(matches!(Named::decode(b"Xname\0"), Err(DecodeError::Invalid(_))));
        assert_eq!(Named::decode(b"Sname\0x"), Err(DecodeError::Trailing));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(body: Vec<u8>) {
            let _ = Query::decode(&body);
            let _ = Named::decode(&body);
            let _ = Execute::decode(&body);
            let _ = bind_names(&body);
            if let Ok(parse) = Parse::decode(&body) {
                prop_assert_eq!(parse.parameter_types.iter().count(), parse.parameter_types.len());
            }
            if let Ok(bind) = Bind::decode(&body) {
                prop_assert_eq!(bind.values.iter().count(), bind.values.len());
            }
            if let Ok(call) = FunctionCall::decode(&body) {
                prop_assert_eq!(call.arguments.iter().count(), call.arguments.len());
            }
        }

        #[test]
        fn parse_round_trips(name in cstr(), sql in cstr(), types: Vec<u32>, extra in 0_u8..2) {
            let mut body = [&name[..], b"\0", &sql, b"\0", &count(types.len())].concat();
            body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
            body.extend(vec![0; usize::from(extra)]);
            let parse = Parse::decode(&body);
            if extra == 0 {
                let parse = parse.unwrap();
                prop_assert_eq!((parse.name, parse.sql), (&name[..], &sql[..]));
                prop_assert_eq!(parse.parameter_types.iter().collect::<Vec<_>>(), types);
            } else {
                prop_assert_eq!(parse, Err(DecodeError::Trailing));
            }
        }

        #[test]
        fn bind_round_trips(
            portal in cstr(), statement in cstr(),
            list in vec(proptest::option::of(vec(any::<u8>(), 0..9)), 0..9),
            result_formats in vec(0_u16..3, 0..4), cut: prop::sample::Index,
        ) {
            let mut body = [&portal[..], b"\0", &statement, b"\0\0\x01\0\x01", &values(&list)].concat();
            body.extend(count(result_formats.len()));
            body.extend(result_formats.iter().flat_map(|code| code.to_be_bytes()));
            let bind = Bind::decode(&body).unwrap();
            prop_assert_eq!((bind.portal, bind.statement), (&portal[..], &statement[..]));
            prop_assert_eq!(bind.formats.of(7), Some(1));
            prop_assert_eq!(bind.values.iter().map(|value| value.map(<[u8]>::to_vec)).collect::<Vec<_>>(), list);
            prop_assert_eq!(bind.result_formats.iter().collect::<Vec<_>>(), result_formats);

            let cut = cut.index(body.len());
            prop_assert!(Bind::decode(&body[..cut]).is_err());
            let names_end = portal.len() + statement.len() + 2;
            prop_assert_eq!(bind_names(&body[..cut]).is_some(), cut >= names_end);
        }

        #[test]
        fn function_call_round_trips(oid: u32, list in vec(proptest::option::of(vec(any::<u8>(), 0..9)), 0..9)) {
            let body = [&oid.to_be_bytes()[..], b"\0\0", &values(&list), b"\0\x01"].concat();
            let call = FunctionCall::decode(&body).unwrap();
            prop_assert_eq!((call.oid, call.result_format), (oid, 1));
            prop_assert_eq!(call.arguments.iter().map(|value| value.map(<[u8]>::to_vec)).collect::<Vec<_>>(), list);
        }
    }
}
