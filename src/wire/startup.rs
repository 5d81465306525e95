//! The packets before login, which have no type byte.
//!
//! ```text
//! offset 0   length   u32 BE    counts itself; 8 to 10,000 here
//! offset 4   code     u32 BE    a protocol version, or one of three request codes
//! offset 8   rest     length - 8 bytes
//! ```
//!
//! Exactly the first eight bytes must be read before it is known whether TLS begins behind them.

use thiserror::Error;

use super::reader::{DecodeError, Reader};

/// Bytes that are read first, no more.
pub const HEAD_BYTES: usize = 8;
/// Largest packet before login, length field included.
pub const PACKET_LIMIT: u32 = 10_000;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// Bounds of the secret in BackendKeyData and CancelRequest, in bytes.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    /// 3 since 2003.
    pub major: u16,
    /// 0, or 2 since Postgres 18; 1 was never given out.
    pub minor: u16,
}

impl ProtocolVersion {
    /// What every server and client knows.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// Cancel secrets of up to 256 bytes.
    pub const V3_2: Self = Self { major: 3, minor: 2 };
    /// The newest that pgsluice speaks.
    pub const NEWEST: Self = Self::V3_2;

    /// The version in a packet's code field.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        Self { major: (code >> 16) as u16, minor: (code & 0xffff) as u16 }
    }

    /// The packet's code field.
    #[must_use]
    pub const fn code(self) -> u32 {
        (self.major as u32) << 16 | self.minor as u32
    }

    /// Length of the cancel secrets that we give out under this version, in bytes.
    #[must_use]
    pub const fn secret_bytes(self) -> usize {
        if self.minor >= 2 { 32 } else { 4 }
    }
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a packet is, from its code field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// The client wants TLS.
    SslRequest,
    /// The client wants GSSAPI encryption.
    GssEncRequest,
    /// The client wants the statement of another session cancelled.
    CancelRequest,
    /// The client wants a session; the version is not judged yet.
    Startup(ProtocolVersion),
}

/// The first eight bytes of a packet, with a length that was found good for its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketHead {
    /// What it is.
    pub kind: PacketKind,
    /// How many bytes follow the eight.
    pub rest_bytes: usize,
}

/// Why the first eight bytes are no packet. Postgres closes the connection without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid length of startup packet: {0}")]
pub struct PacketLengthError(pub u32);

impl PacketHead {
    /// Reads the eight bytes.
    ///
    /// # Errors
    /// A length below 8, above [`PACKET_LIMIT`], or not that of the request it claims to be.
    pub const fn parse(head: [u8; HEAD_BYTES]) -> Result<Self, PacketLengthError> {
        let [a, b, c, d, e, f, g, h] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length < HEAD_BYTES as u32 || length > PACKET_LIMIT {
            return Err(PacketLengthError(length));
        }
        let rest_bytes = length as usize - HEAD_BYTES;
        let code = u32::from_be_bytes([e, f, g, h]);
        let (kind, good) = match code {
            SSL_REQUEST => (PacketKind::SslRequest, rest_bytes == 0),
            GSSENC_REQUEST => (PacketKind::GssEncRequest, rest_bytes == 0),
            CANCEL_REQUEST => (
                PacketKind::CancelRequest,
                rest_bytes >= 4 + *SECRET_BYTES.start() && rest_bytes <= 4 + *SECRET_BYTES.end(),
            ),
            version => (PacketKind::Startup(ProtocolVersion::from_code(version)), true),
        };
        if good { Ok(Self { kind, rest_bytes }) } else { Err(PacketLengthError(length)) }
    }
}

/// The body of a CancelRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelRequest<'a> {
    /// The backend's process id, as BackendKeyData gave it.
    pub pid: i32,
    /// The secret, 4 to 256 bytes.
    pub secret: &'a [u8],
}

impl<'a> CancelRequest<'a> {
    /// Decodes what follows the eight bytes.
    ///
    /// # Errors
    /// A secret shorter than 4 or longer than 256 bytes.
    pub fn decode(rest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(rest);
        let pid = reader.i32()?;
        let secret = reader.take_rest();
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(DecodeError::Invalid("length of the cancel secret"));
        }
        Ok(Self { pid, secret })
    }
}

impl std::fmt::Debug for CancelRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelRequest").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// The parameters of a startup packet in the order in which they came, duplicates included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartupParameters<'a> {
    bytes: &'a [u8],
}

impl<'a> StartupParameters<'a> {
    /// Decodes what follows the eight bytes: pairs of strings, ended by an empty name as the last byte.
    ///
    /// # Errors
    /// A string without NUL, a name without value, no terminator, or bytes behind it. Postgres answers
    /// FATAL 08P01 "invalid startup packet layout: expected terminator as last byte".
    pub fn decode(rest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(rest);
        loop {
            let before = reader.rest();
            if reader.cstr()?.is_empty() {
                reader.end()?;
                return Ok(Self { bytes: &rest[..rest.len() - before.len()] });
            }
            reader.cstr()?;
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || Some((reader.cstr().ok()?, reader.cstr().ok()?)))
    }

    /// The value of a name; of several the last, as in Postgres.
    #[must_use]
    pub fn last(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().filter_map(|(key, value)| (key == name).then_some(value)).last()
    }
}

/// Splits the value of the `options` startup parameter into arguments: at ASCII white space, with a backslash
/// taking the next character as it is (`pg_split_opts` in `src/backend/utils/init/postinit.c`).
#[must_use]
pub fn split_options(options: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut characters = options.chars().peekable();
    loop {
        while characters.next_if(|c| is_space(*c)).is_some() {}
        if characters.peek().is_none() {
            return arguments;
        }
        let mut argument = String::new();
        while let Some(c) = characters.next_if(|c| !is_space(*c)) {
            // A backslash at the very end is dropped, as in Postgres.
            match c {
                '\\' => argument.extend(characters.next()),
                c => argument.push(c),
            }
        }
        arguments.push(argument);
    }
}

/// Writes arguments so that [`split_options`] gives them back. An empty one can only be the last: it comes from a
/// backslash with nothing behind it.
#[must_use]
pub fn join_options<'s>(arguments: impl IntoIterator<Item = &'s str>) -> String {
    let mut options = String::new();
    for argument in arguments {
        if !options.is_empty() {
            options.push(' ');
        }
        if argument.is_empty() {
            options.push('\\');
        }
        for c in argument.chars() {
            if is_space(c) || c == '\\' {
                options.push('\\');
            }
            options.push(c);
        }
    }
    options
}

/// C's `isspace` in the C locale.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn head(length: u32, code: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..].copy_from_slice(&code.to_be_bytes());
        bytes
    }

    #[test]
    fn heads_are_told_apart_and_bounded() {
        let kind = |length, code| PacketHead::parse(head(length, code)).map(|head| head.kind);
        assert_eq!(kind(8, 80_877_103), Ok(PacketKind::SslRequest));
        assert_eq!(kind(9, 80_877_103), Err(PacketLengthError(9)));
        assert_eq!(kind(8, 80_877_104), Ok(PacketKind::GssEncRequest));
        assert_eq!(kind(16, 80_877_102), Ok(PacketKind::CancelRequest));
        assert_eq!(kind(15, 80_877_102), Err(PacketLengthError(15)));
        assert_eq!(kind(268, 80_877_102), Ok(PacketKind::CancelRequest));
        assert_eq!(kind(269, 80_877_102), Err(PacketLengthError(269)));
        assert_eq!(kind(9, 0x0003_0000), Ok(PacketKind::Startup(ProtocolVersion::V3_0)));
        assert_eq!(kind(10_000, 0x0003_0002), Ok(PacketKind::Startup(ProtocolVersion::V3_2)));
        assert_eq!(kind(10_001, 0x0003_0000), Err(PacketLengthError(10_001)));
        assert_eq!(kind(7, 0x0003_0000), Err(PacketLengthError(7)));
        assert_eq!(kind(u32::MAX, 0x0003_0000), Err(PacketLengthError(u32::MAX)));
    }

    #[test]
    fn startup_parameters_keep_order_and_duplicates() {
        let parameters = StartupParameters::decode(b"user\0a\0user\0b\0options\0\0\0").unwrap();
        let pairs: Vec<_> = parameters.iter().collect();
        assert_eq!(pairs.len(), 3);
        assert_eq!(pairs[1], (&b"user"[..], &b"b"[..]));
        assert_eq!(parameters.last(b"user"), Some(&b"b"[..]));
        assert_eq!(parameters.last(b"database"), None);
    }

    #[test]
    fn the_terminator_is_the_last_byte() {
        assert!(StartupParameters::decode(b"\0").unwrap().iter().next().is_none());
        assert_eq!(StartupParameters::decode(b""), Err(DecodeError::Unterminated));
        assert_eq!(StartupParameters::decode(b"user\0a\0"), Err(DecodeError::Unterminated));
        assert_eq!(StartupParameters::decode(b"user\0"), Err(DecodeError::Unterminated));
        assert_eq!(StartupParameters::decode(b"user\0a\0\0x"), Err(DecodeError::Trailing));
    }

    #[test]
    fn options_are_split_as_postgres_splits_them() {
        assert_eq!(split_options(r"-c a=b\ c  --d-e=\\f"), ["-c", "a=b c", "--d-e=\\f"]);
        assert_eq!(split_options(" \t\n"), Vec::<String>::new());
        assert_eq!(split_options("a\\"), ["a"]);
        assert_eq!(split_options("\\"), [""]);
        assert_eq!(split_options("a\u{a0}b"), ["a\u{a0}b"]);
    }

    #[test]
    fn a_cancel_secret_is_never_printed() {
        let request = CancelRequest::decode(b"\0\0\x12\x34hunter2").unwrap();
        assert_eq!(request.pid, 0x1234);
        assert_eq!(format!("{request:?}"), "CancelRequest { pid: 4660, .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>, head: [u8; 8]) {
            let _ = PacketHead::parse(head);
            let _ = CancelRequest::decode(&bytes);
            if let Ok(parameters) = StartupParameters::decode(&bytes) {
                let length: usize = parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
                prop_assert_eq!(length + 1, bytes.len());
            }
            let _ = split_options(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn options_round_trip(arguments in vec("[ -~\t\n\\\\é]{1,12}", 0..6)) {
            let joined = join_options(arguments.iter().map(String::as_str));
            prop_assert_eq!(split_options(&joined), arguments);
        }

        #[test]
        fn split_options_are_joined_to_the_same(options in "[-a\\\\ ]{0,12}") {
            let arguments = split_options(&options);
            prop_assert_eq!(&split_options(&join_options(arguments.iter().map(String::as_str))), &arguments);
        }
    }
}
