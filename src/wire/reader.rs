//! A cursor that never leaves the bytes it was given.

use thiserror::Error;

/// Why a message body is not what its type says it is. The texts are those of Postgres'
/// `src/backend/libpq/pqformat.c`, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A field reaches past the end of the body.
    #[error("insufficient data left in message")]
    Truncated,
    /// A string has no NUL before the end of the body.
    #[error("invalid string in message")]
    Unterminated,
    /// Bytes are left after the last field.
    #[error("invalid message format")]
    Trailing,
    /// A field has a value that its type does not know; says which.
    #[error("invalid {0} in message")]
    Invalid(&'static str),
}

/// Reads the fields of one message body from front to back. Every method either takes whole fields or fails
/// and takes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if none is left.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A 16-bit number, big-endian. Counts are read so: Postgres takes them as unsigned.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer than two bytes are left.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A signed 16-bit number, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer than two bytes are left.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A 32-bit number, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer than four bytes are left.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A signed 32-bit number, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer than four bytes are left.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A string: the bytes up to the next NUL, which is taken but not returned. No encoding is assumed.
    ///
    /// # Errors
    /// [`DecodeError::Unterminated`] if there is no NUL.
    pub fn cstr(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = memchr::memchr(0, self.rest).ok_or(DecodeError::Unterminated)?;
        let taken = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(taken)
    }

    /// A value with its length before it, as in Bind and DataRow; `None` is NULL (length -1).
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the length is below -1 or reaches past the end.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut ahead = *self;
        let length = ahead.i32()?;
        let value = if length == -1 {
            None
        } else {
            let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
            Some(ahead.bytes(length)?)
        };
        *self = ahead;
        Ok(value)
    }

    /// Everything that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Must be called after the last field.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if bytes are left.
    pub const fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_fields_in_order() {
        let mut reader = Reader::new(b"\x01\x00\x02\xff\xff\xff\xffname\0\x00\x00\x00\x01z");
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.value(), Ok(None));
        assert_eq!(reader.cstr(), Ok(&b"name"[..]));
        assert_eq!(reader.end(), Err(DecodeError::Trailing));
        assert_eq!(reader.value(), Ok(Some(&b"z"[..])));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_failed_read_takes_nothing() {
        let mut reader = Reader::new(b"\x00\x00\x00\x09abc");
        assert_eq!(reader.value(), Err(DecodeError::Truncated));
        assert_eq!(reader.bytes(8), Err(DecodeError::Truncated));
        assert_eq!(reader.i32(), Ok(9));
        assert_eq!(reader.cstr(), Err(DecodeError::Unterminated));
        assert_eq!(reader.rest(), b"abc");
    }

    #[test]
    fn a_length_below_minus_one_is_no_value() {
        for length in [-2_i32, i32::MIN] {
            let bytes = length.to_be_bytes();
            assert_eq!(Reader::new(&bytes).value(), Err(DecodeError::Truncated));
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_and_what_is_left_is_what_came(bytes: Vec<u8>, count in 0_usize..40) {
            let mut reader = Reader::new(&bytes);
            match reader.bytes(count) {
                Ok(taken) => prop_assert_eq!([taken, reader.rest()].concat(), bytes),
                Err(_) => {
                    prop_assert!(count > bytes.len());
                    prop_assert_eq!(reader.rest(), &bytes[..]);
                }
            }
        }
    }
}
