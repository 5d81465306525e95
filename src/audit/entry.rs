//! An entry: the bytes of one leaf.
//!
//! # Layout
//!
//! One JSON object on one line, without spaces or a line end, UTF-8:
//!
//! ```text
//! {"index":0,                      the leaf's place in the log
//!  "time":"...","kind":"...",...,  the record, see `Record`
//!  "salt":"..."}                   16 random bytes in base64, without padding
//! ```
//!
//! What a terminal would not show as it is, is escaped, so that an entry can be looked at.
//!
//! These bytes are what is hashed (`SHA-256(0x00 || bytes)`, RFC 6962 section 2.1), stored, exported and printed by
//! `audit tail --json`; nothing is ever encoded a second time. An entry is at most 65,535 bytes, since C2SP
//! `tlog-tiles` gives its length in 16 bits.
//!
//! The salt makes the leaf's hash tell nothing of its content: whoever holds hashes, proofs or tiles but not the
//! entry cannot find out a short text by trying, also after the entry has been erased.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::encoded::write_number;

/// The longest entry.
pub const MAX_BYTES: usize = u16::MAX as usize;

/// The bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;

/// The longest that index and salt can make an entry beyond its record.
#[cfg(test)]
pub(super) const AROUND_RECORD_BYTES: usize = r#""index":18446744073709551615,"salt":"0123456789012345678901","#.len();

/// Appends the entry of an [encoded](super::Encoded) record to the buffer.
pub(super) fn encode(index: u64, record: &[u8], salt: [u8; SALT_BYTES], buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(b"{\"index\":");
    write_number(buffer, index);
    buffer.push(b',');
    buffer.extend_from_slice(record);
    buffer.extend_from_slice(b",\"salt\":\"");
    let mut text = [0; SALT_BYTES.div_ceil(3) * 4];
    let written = STANDARD_NO_PAD.encode_slice(salt, &mut text).expect("the buffer holds the salt's base64");
    buffer.extend_from_slice(&text[..written]);
    buffer.extend_from_slice(b"\"}");
    debug_assert!(buffer.len() - start <= MAX_BYTES, "the record was not bounded");
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::{Encoded, Record, RecordKind};

    #[test]
    fn an_entry_is_the_record_with_its_index_and_salt() {
        let mut record = Record::at(Timestamp::UNIX_EPOCH, RecordKind::Intent);
        record.set_sql(b"SELECT '\"\n'");
        let mut buffer = b"before".to_vec();
        encode(7, Encoded::of(record).as_bytes(), [0xff; 16], &mut buffer);
        assert_eq!(
            std::str::from_utf8(&buffer).unwrap(),
            r#"before{"index":7,"time":"1970-01-01T00:00:00.000Z","kind":"intent","sql":"SELECT '\"\n'","salt":"/////////////////////w"}"#
        );
    }
}
