//! Messages of a server that a session must understand, as borrowed views of their bodies. All others are
//! forwarded by their header alone. Errors and notices are in [`super::report`], `R` in [`super::auth`].

use super::frontend::Oids;
use super::reader::{DecodeError, Reader};
use super::startup::{ProtocolVersion, SECRET_BYTES};

/// What ReadyForQuery says about the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// Outside a transaction block (`I`).
    Idle,
    /// Inside one (`T`).
    InTransaction,
    /// Inside one that failed (`E`).
    Failed,
}

impl TransactionStatus {
    /// Decodes the body of a ReadyForQuery.
    ///
    /// # Errors
    /// Not exactly one byte, or an unknown status.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let status = match reader.u8()? {
            b'I' => Self::Idle,
            b'T' => Self::InTransaction,
            b'E' => Self::Failed,
            _ => return Err(DecodeError::Invalid("transaction status")),
        };
        reader.end()?;
        Ok(status)
    }

    /// The status byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// `C`: which command is done, and on how many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The whole tag, e.g. `INSERT 0 5`.
    pub tag: &'a [u8],
}

impl<'a> CommandComplete<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// No NUL, or bytes behind it.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let tag = reader.cstr()?;
        reader.end()?;
        Ok(Self { tag })
    }

    /// The command without its numbers, e.g. `INSERT` or `CREATE TABLE`.
    #[must_use]
    pub fn command(&self) -> &'a [u8] {
        let mut command = self.tag;
        // At most two numbers follow a command: the OID that only INSERT has, and the rows.
        for _ in 0..2 {
            command = split_number(command).map_or(command, |(before, _)| before);
        }
        command
    }

    /// The number of rows; `None` if the tag has none.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        let (_, digits) = split_number(self.tag)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Splits a decimal number off the end.
fn split_number(tag: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = tag.iter().rposition(|byte| *byte == b' ')?;
    let (before, digits) = (&tag[..space], &tag[space + 1..]);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then_some((before, digits))
}

/// `S`: a setting that the server reports, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> ParameterStatus<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A string without NUL, or bytes behind the second.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (name, value) = (reader.cstr()?, reader.cstr()?);
        reader.end()?;
        Ok(Self { name, value })
    }
}

/// `K`: what a cancel request must carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// The backend's process id.
    pub pid: i32,
    /// Its secret, 4 to 256 bytes. Never to be printed.
    pub secret: &'a [u8],
}

impl<'a> BackendKeyData<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A secret shorter than 4 or longer than 256 bytes.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let pid = reader.i32()?;
        let secret = reader.take_rest();
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(DecodeError::Invalid("length of the cancel secret"));
        }
        Ok(Self { pid, secret })
    }
}

impl std::fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendKeyData").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// `v`: the server speaks an older protocol than asked for, or does not know some `_pq_.` options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest version it speaks. (The manual says minor version; the server sends the whole.)
    pub newest: ProtocolVersion,
    /// The options it does not know.
    pub unknown_options: Vec<&'a [u8]>,
}

impl<'a> NegotiateProtocolVersion<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let newest = ProtocolVersion::from_code(reader.u32()?);
        let count = reader.u32()?;
        let mut unknown_options = Vec::new();
        // Each option takes at least its NUL, so the body bounds the loop whatever the count says.
        for _ in 0..count {
            unknown_options.push(reader.cstr()?);
        }
        reader.end()?;
        Ok(Self { newest, unknown_options })
    }
}

/// `t`: the types of a statement's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription<'a> {
    /// The types.
    pub types: Oids<'a>,
}

impl<'a> ParameterDescription<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let types = Oids::decode(&mut reader)?;
        reader.end()?;
        Ok(Self { types })
    }
}

/// How many columns the body of a RowDescription (`T`) announces; its start is enough.
///
/// # Errors
/// Fewer than two bytes.
pub fn column_count(body: &[u8]) -> Result<u16, DecodeError> {
    Reader::new(body).u16()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ready_for_query_is_one_known_byte() {
        for status in [TransactionStatus::Idle, TransactionStatus::InTransaction, TransactionStatus::Failed] {
            assert_eq!(TransactionStatus::decode(&[status.byte()]), Ok(status));
        }
        assert!(TransactionStatus::decode(b"X").is_err());
        assert!(TransactionStatus::decode(b"").is_err());
        assert_eq!(TransactionStatus::decode(b"II"), Err(DecodeError::Trailing));
    }

    #[test]
    fn command_tags_give_command_and_rows() {
        let cases: [(&[u8], &[u8], Option<u64>); 7] = [
            (b"INSERT 0 5\0", b"INSERT", Some(5)),
            (b"SELECT 100000\0", b"SELECT", Some(100_000)),
            (b"COPY 3\0", b"COPY", Some(3)),
            (b"CREATE TABLE\0", b"CREATE TABLE", None),
            (b"BEGIN\0", b"BEGIN", None),
            (b"\0", b"", None),
            (b"SELECT 99999999999999999999999\0", b"SELECT", None),
        ];
        for (body, command, rows) in cases {
            let complete = CommandComplete::decode(body).unwrap();
            assert_eq!((complete.command(), complete.rows()), (command, rows));
        }
    }

    #[test]
    fn cancel_secrets_are_bounded_and_never_printed() {
        let key = BackendKeyData::decode(b"\0\0\0\x07abcd").unwrap();
        assert_eq!((key.pid, key.secret), (7, &b"abcd"[..]));
        assert!(!format!("{key:?}").contains("abcd"));
        assert!(BackendKeyData::decode(b"\0\0\0\x07abc").is_err());
        assert!(BackendKeyData::decode(&[0; 260]).is_ok());
        assert!(BackendKeyData::decode(&[0; 261]).is_err());
    }

    #[test]
    fn negotiation_lists_unknown_options() {
        let body = b"\0\x03\0\x02\0\0\0\x02_pq_.a\0_pq_.b\0";
        let answer = NegotiateProtocolVersion::decode(body).unwrap();
        assert_eq!(answer.newest, ProtocolVersion::V3_2);
        assert_eq!(answer.unknown_options, [b"_pq_.a", b"_pq_.b"]);
        let endless = b"\0\x03\0\x02\xff\xff\xff\xff_pq_.a\0";
        assert_eq!(NegotiateProtocolVersion::decode(endless), Err(DecodeError::Unterminated));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(body: Vec<u8>) {
            let _ = TransactionStatus::decode(&body);
            if let Ok(complete) = CommandComplete::decode(&body) {
                prop_assert!(complete.tag.starts_with(complete.command()));
                let _ = complete.rows();
            }
            let _ = ParameterStatus::decode(&body);
            let _ = BackendKeyData::decode(&body);
            let _ = NegotiateProtocolVersion::decode(&body);
            let _ = ParameterDescription::decode(&body);
            let _ = column_count(&body);
        }
    }
}
