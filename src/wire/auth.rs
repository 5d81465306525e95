//! Authentication: what the server asks for (`R`), and what the client answers (`p`).

use super::reader::{DecodeError, Reader};

/// An `R` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Done: the client is who they say.
    Ok,
    /// The password as it is.
    CleartextPassword,
    /// The password hashed with this salt.
    Md5Password {
        /// Four random bytes of the server.
        salt: [u8; 4],
    },
    /// GSSAPI.
    Gss,
    /// SSPI.
    Sspi,
    /// More of GSSAPI or SSPI.
    GssContinue(&'a [u8]),
    /// SASL, with these mechanisms.
    Sasl(Mechanisms<'a>),
    /// The server's challenge within SASL.
    SaslContinue(&'a [u8]),
    /// The server's last word within SASL.
    SaslFinal(&'a [u8]),
    /// A method that we do not know, by its code.
    Other(u32),
}

impl<'a> Authentication<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let request = match reader.u32()? {
            0 => Self::Ok,
            3 => Self::CleartextPassword,
            5 => Self::Md5Password { salt: reader.array()? },
            7 => Self::Gss,
            8 => Self::GssContinue(reader.take_rest()),
            9 => Self::Sspi,
            10 => Self::Sasl(Mechanisms::decode(&mut reader)?),
            11 => Self::SaslContinue(reader.take_rest()),
            12 => Self::SaslFinal(reader.take_rest()),
            code => {
                reader.take_rest();
                Self::Other(code)
            }
        };
        reader.end()?;
        Ok(request)
    }
}

/// The SASL mechanisms that a server offers, in its order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms<'a> {
    bytes: &'a [u8],
}

impl<'a> Mechanisms<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.rest();
        loop {
            let before = reader.rest().len();
            if reader.cstr()?.is_empty() {
                return Ok(Self { bytes: &start[..start.len() - before] });
            }
        }
    }

    /// Their names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || reader.cstr().ok())
    }

    /// Whether a mechanism is offered.
    #[must_use]
    pub fn offers(&self, name: &str) -> bool {
        self.iter().any(|offered| offered == name.as_bytes())
    }
}

/// A `p` message in answer to a request for a password: the password, or its MD5 answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordMessage<'a> {
    /// The bytes without the NUL. Never to be printed.
    pub password: &'a [u8],
}

impl<'a> PasswordMessage<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// No NUL, or bytes behind it (Postgres: "invalid password packet size").
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let password = reader.cstr()?;
        reader.end()?;
        Ok(Self { password })
    }
}

impl std::fmt::Debug for PasswordMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordMessage { .. }")
    }
}

/// A `p` message that begins SASL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// The mechanism the client chose.
    pub mechanism: &'a [u8],
    /// Its first message; `None` if it has none.
    pub response: Option<&'a [u8]>,
}

impl<'a> SaslInitialResponse<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field runs past the end, or bytes are left.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mechanism = reader.cstr()?;
        let response = reader.value()?;
        reader.end()?;
        Ok(Self { mechanism, response })
    }
}

impl std::fmt::Debug for SaslInitialResponse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaslInitialResponse")
            .field("mechanism", &String::from_utf8_lossy(self.mechanism))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_told_apart() {
        let decode = |body: &'static [u8]| Authentication::decode(body);
        assert_eq!(decode(b"\0\0\0\0"), Ok(Authentication::Ok));
        assert_eq!(decode(b"\0\0\0\0x"), Err(DecodeError::Trailing));
        assert_eq!(decode(b"\0\0\0\x03"), Ok(Authentication::CleartextPassword));
        assert_eq!(decode(b"\0\0\0\x05salt"), Ok(Authentication::Md5Password { salt: *b"salt" }));
        assert_eq!(decode(b"\0\0\0\x05sal"), Err(DecodeError::Truncated));
        assert_eq!(decode(b"\0\0\0\x0br=x"), Ok(Authentication::SaslContinue(b"r=x")));
        assert_eq!(decode(b"\0\0\0\x06x"), Ok(Authentication::Other(6)));
    }

    #[test]
    fn mechanisms_end_with_an_empty_name() {
        let Ok(Authentication::Sasl(mechanisms)) =
            Authentication::decode(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
        else {
            unreachable!("is SASL")
        };
        assert_eq!(mechanisms.iter().count(), 2);
        assert!(mechanisms.offers("SCRAM-SHA-256"));
        assert!(!mechanisms.offers("SCRAM"));
        assert_eq!(Authentication::decode(b"\0\0\0\x0aSCRAM-SHA-256\0"), Err(DecodeError::Unterminated));
        assert_eq!(Authentication::decode(b"\0\0\0\x0aSCRAM-SHA-256\0\0x"), Err(DecodeError::Trailing));
    }

    #[test]
    fn passwords_are_never_printed() {
        let message = PasswordMessage::decode(b"hunter2\0").unwrap();
        assert_eq!(message.password, b"hunter2");
        assert_eq!(format!("{message:?}"), "PasswordMessage { .. }");
        assert_eq!(PasswordMessage::decode(b"hunter2\0x"), Err(DecodeError::Trailing));
        let first = SaslInitialResponse::decode(b"SCRAM-SHA-256\0\0\0\0\x03n,,").unwrap();
        assert_eq!(first.response, Some(&b"n,,"[..]));
        assert!(!format!("{first:?}").contains("n,,"));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(body: Vec<u8>, code in 0_u32..14) {
            let _ = Authentication::decode(&body);
            if let Ok(Authentication::Sasl(mechanisms)) =
                Authentication::decode(&[&code.to_be_bytes()[..], &body].concat())
            {
                prop_assert!(mechanisms.iter().all(|name| !name.is_empty()));
            }
            let _ = PasswordMessage::decode(&body);
            let _ = SaslInitialResponse::decode(&body);
        }
    }
}
