//! Frames: one type byte, a length that counts itself but not the type byte, a body.
//!
//! ```text
//! offset 0   tag      u8        what the body is
//! offset 1   length   u32 BE    4 + number of body bytes
//! offset 5   body     length - 4 bytes
//! ```
//!
//! A length is judged before anything is buffered for it, so that no peer makes us reserve memory by
//! announcing a large message.

use thiserror::Error;

/// Bytes before the body.
pub const HEADER_BYTES: usize = 5;
/// Largest length of a client message that carries no text or data: `PQ_SMALL_MESSAGE_LIMIT`.
pub const SMALL_MESSAGE_LIMIT: u32 = 10_000;
/// Largest length of any client message: `PQ_LARGE_MESSAGE_LIMIT`, that is `MaxAllocSize - 1`.
pub const LARGE_MESSAGE_LIMIT: u32 = 0x3fff_ffff - 1;
/// Largest length of a password or SASL message: `PG_MAX_AUTH_TOKEN_LENGTH`.
pub const AUTHENTICATION_MESSAGE_LIMIT: u32 = 65_535;
/// Largest length of a server message: what its signed length field can say.
pub const BACKEND_MESSAGE_LIMIT: u32 = i32::MAX as u32;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A type byte that clients do not send at this point. Postgres answers FATAL 08P01 with this text.
    #[error("invalid frontend message type {0}")]
    UnknownFrontendTag(u8),
    /// A type byte that no server sends.
    #[error("invalid backend message type {0}")]
    UnknownBackendTag(u8),
    /// The length does not even count itself. Postgres closes the connection without an answer.
    #[error("invalid message length {length} in message type {tag}: below 4")]
    TooShort {
        /// The type byte.
        tag: u8,
        /// The length field.
        length: u32,
    },
    /// The length is beyond what the type may have. Postgres closes the connection without an answer.
    #[error("invalid message length {length} in message type {tag}: above {limit}")]
    TooLong {
        /// The type byte.
        tag: u8,
        /// The length field.
        length: u32,
        /// The largest that is allowed for this type.
        limit: u32,
    },
}

/// The first five bytes of a frame, with a length that was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    tag: u8,
    length: u32,
}

impl Header {
    /// Reads the header of a client message after login. `None`: more bytes are needed.
    ///
    /// # Errors
    /// An unknown type (as soon as its one byte is there), or a length that is too short or too long for it.
    pub fn frontend(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&tag) = bytes.first() else {
            return Ok(None);
        };
        let known = FrontendTag::from_byte(tag).ok_or(FrameError::UnknownFrontendTag(tag))?;
        Self::within(bytes, known.length_limit())
    }

    /// Reads the header of a client message during authentication, where only `p` is allowed.
    /// `None`: more bytes are needed.
    ///
    /// # Errors
    /// Another type, or a length that is too short or too long.
    pub fn authentication(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        match bytes.first() {
            None => Ok(None),
            Some(b'p') => Self::within(bytes, AUTHENTICATION_MESSAGE_LIMIT),
            Some(&tag) => Err(FrameError::UnknownFrontendTag(tag)),
        }
    }

    /// Reads the header of a server message. `None`: more bytes are needed.
    ///
    /// # Errors
    /// An unknown type (as soon as its one byte is there), or a length that is too short or too long.
    pub fn backend(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&tag) = bytes.first() else {
            return Ok(None);
        };
        BackendTag::from_byte(tag).ok_or(FrameError::UnknownBackendTag(tag))?;
        Self::within(bytes, BACKEND_MESSAGE_LIMIT)
    }

    fn within(bytes: &[u8], limit: u32) -> Result<Option<Self>, FrameError> {
        let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        if length < 4 {
            return Err(FrameError::TooShort { tag, length });
        }
        if length > limit {
            return Err(FrameError::TooLong { tag, length, limit });
        }
        Ok(Some(Self { tag, length }))
    }

    /// The type byte.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self.tag
    }

    /// The length field: the body and these four bytes.
    #[must_use]
    pub const fn length(self) -> u32 {
        self.length
    }

    /// Bytes of the body.
    #[must_use]
    pub const fn body_len(self) -> usize {
        self.length as usize - 4
    }

    /// Bytes of the whole frame, type byte included.
    #[must_use]
    pub const fn total(self) -> usize {
        self.length as usize + 1
    }

    /// The body, if `bytes`, which start at the type byte, hold all of it.
    #[must_use]
    pub fn body(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(HEADER_BYTES..self.total())
    }
}

macro_rules! tags {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* $variant = $byte,)*
        }

        impl $name {
            /// Every tag there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The tag of a type byte, if there is one.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The type byte.
            #[must_use]
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// The name that the manual gives the message.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

tags! {
    /// What a client may say after login. `p` is absent: Postgres refuses it there as an invalid type.
    FrontendTag {
        /// Bind values to a statement, making a portal.
        Bind = b'B',
        /// Close a statement or portal.
        Close = b'C',
        /// A piece of COPY data.
        CopyData = b'd',
        /// End of COPY data.
        CopyDone = b'c',
        /// COPY given up by the client.
        CopyFail = b'f',
        /// Describe a statement or portal.
        Describe = b'D',
        /// Run a portal.
        Execute = b'E',
        /// Send what is buffered.
        Flush = b'H',
        /// Call a function by OID.
        FunctionCall = b'F',
        /// Prepare a statement.
        Parse = b'P',
        /// Run SQL text.
        Query = b'Q',
        /// End of an extended-protocol batch.
        Sync = b'S',
        /// Good-bye.
        Terminate = b'X',
    }
}

impl FrontendTag {
    /// The largest length Postgres takes for this type (`SocketBackend` in `postgres.c`).
    #[must_use]
    pub const fn length_limit(self) -> u32 {
        match self {
            Self::Query | Self::FunctionCall | Self::Bind | Self::Parse | Self::CopyData => LARGE_MESSAGE_LIMIT,
            Self::Close
            | Self::CopyDone
            | Self::CopyFail
            | Self::Describe
            | Self::Execute
            | Self::Flush
            | Self::Sync
            | Self::Terminate => SMALL_MESSAGE_LIMIT,
        }
    }
}

tags! {
    /// What a server may say.
    BackendTag {
        /// Any request for, or answer to, authentication.
        Authentication = b'R',
        /// What a cancel request must carry.
        BackendKeyData = b'K',
        /// A Bind is done.
        BindComplete = b'2',
        /// A Close is done.
        CloseComplete = b'3',
        /// A statement is done.
        CommandComplete = b'C',
        /// A piece of COPY data.
        CopyData = b'd',
        /// End of COPY data.
        CopyDone = b'c',
        /// COPY from the client begins.
        CopyInResponse = b'G',
        /// COPY to the client begins.
        CopyOutResponse = b'H',
        /// COPY in both directions (replication) begins.
        CopyBothResponse = b'W',
        /// A row.
        DataRow = b'D',
        /// The query string held no statement.
        EmptyQueryResponse = b'I',
        /// An error.
        ErrorResponse = b'E',
        /// The result of a FunctionCall.
        FunctionCallResponse = b'V',
        /// An older protocol, or unknown protocol options.
        NegotiateProtocolVersion = b'v',
        /// Describe: returns no rows.
        NoData = b'n',
        /// A notice.
        NoticeResponse = b'N',
        /// A NOTIFY.
        NotificationResponse = b'A',
        /// Describe: the parameters of a statement.
        ParameterDescription = b't',
        /// The value of a reported setting.
        ParameterStatus = b'S',
        /// A Parse is done.
        ParseComplete = b'1',
        /// An Execute stopped at its row limit.
        PortalSuspended = b's',
        /// The server waits for the next batch.
        ReadyForQuery = b'Z',
        /// The columns of the rows that follow.
        RowDescription = b'T',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(tag: u8, length: u32) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend(length.to_be_bytes());
        bytes
    }

    #[test]
    fn every_tag_round_trips_and_none_is_double() {
        for byte in 0..=u8::MAX {
            assert_eq!(FrontendTag::from_byte(byte).map_or(byte, FrontendTag::byte), byte);
            assert_eq!(BackendTag::from_byte(byte).map_or(byte, BackendTag::byte), byte);
        }
        assert_eq!(FrontendTag::ALL.len(), 13);
        assert_eq!(BackendTag::ALL.len(), 24);
        assert_eq!(FrontendTag::Query.name(), "Query");
    }

    #[test]
    fn needs_five_bytes() {
        let bytes = frame(b'Q', 9);
        for end in 0..HEADER_BYTES {
            assert_eq!(Header::frontend(&bytes[..end]), Ok(None));
        }
        let header = Header::frontend(&bytes).unwrap().unwrap();
        assert_eq!((header.body_len(), header.total()), (5, 10));
        assert_eq!(header.body(&bytes), None);
        assert_eq!(header.body(b"Q\0\0\0\x09abcd\0tail"), Some(&b"abcd\0"[..]));
    }

    #[test]
    fn an_unknown_type_is_refused_at_its_first_byte() {
        assert_eq!(Header::frontend(b"p"), Err(FrameError::UnknownFrontendTag(b'p')));
        assert_eq!(Header::frontend(b"\0"), Err(FrameError::UnknownFrontendTag(0)));
        assert_eq!(Header::authentication(b"Q"), Err(FrameError::UnknownFrontendTag(b'Q')));
        assert_eq!(Header::backend(b"Q"), Err(FrameError::UnknownBackendTag(b'Q')));
    }

    #[test]
    fn a_length_must_count_itself() {
        for length in 0..4 {
            let error = FrameError::TooShort { tag: b'S', length };
            assert_eq!(Header::frontend(&frame(b'S', length)), Err(error));
            assert_eq!(Header::backend(&frame(b'S', length)), Err(error));
        }
        assert!(Header::frontend(&frame(b'S', 4)).unwrap().is_some());
    }

    #[test]
    fn lengths_are_capped_as_postgres_caps_them() {
        for tag in FrontendTag::ALL {
            let limit = tag.length_limit();
            assert!(Header::frontend(&frame(tag.byte(), limit)).unwrap().is_some());
            assert!(matches!(Header::frontend(&frame(tag.byte(), limit + 1)), Err(FrameError::TooLong { .. })));
        }
        assert_eq!(FrontendTag::Execute.length_limit(), 10_000);
        assert_eq!(FrontendTag::CopyData.length_limit(), 1_073_741_822);
        assert!(Header::authentication(&frame(b'p', 65_535)).is_ok());
        assert!(Header::authentication(&frame(b'p', 65_536)).is_err());
        assert!(Header::backend(&frame(b'D', 0x8000_0000)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            for header in [Header::frontend(&bytes), Header::backend(&bytes), Header::authentication(&bytes)]
                .into_iter().flatten().flatten()
            {
                prop_assert_eq!(header.total(), header.body_len() + HEADER_BYTES);
                let body = header.body(&bytes);
                prop_assert_eq!(body.is_some(), bytes.len() >= header.total());
            }
        }
    }
}
