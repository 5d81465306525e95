//! What the lexer must know of the session: two settings change what the bytes of a statement mean.

use thiserror::Error;

/// The settings of a session that change how the server reads a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LexerSettings {
    /// `standard_conforming_strings`: off makes a backslash in `'...'` an escape.
    pub standard_conforming_strings: bool,
    /// `client_encoding`: what the bytes are.
    pub encoding: Encoding,
    /// `server_encoding`: the server converts first and then cuts and folds names in this one.
    pub server_encoding: ServerEncoding,
}

impl Default for LexerSettings {
    fn default() -> Self {
        Self { standard_conforming_strings: true, encoding: Encoding::Utf8, server_encoding: ServerEncoding::Utf8 }
    }
}

impl LexerSettings {
    /// Whether names beyond ASCII are read as the server reads them.
    #[must_use]
    pub const fn reads_names(&self) -> bool {
        match (self.encoding, self.server_encoding) {
            (Encoding::Bytes, _) => false,
            // SQL_ASCII may stand behind it, which converts nothing: the catalog has these bytes as other characters.
            (Encoding::Latin1, server) => !matches!(server, ServerEncoding::SingleByte),
            (Encoding::Utf8, _) => true,
        }
    }

    /// Whether the bytes of a name are those that the server has, whatever they are.
    #[must_use]
    pub const fn sends_names_as_they_are(&self) -> bool {
        matches!((self.encoding, self.server_encoding), (Encoding::Utf8, ServerEncoding::Utf8))
    }
}

/// A client encoding in which every byte of a character beyond ASCII is 0x80 or more, so that quotes,
/// comments and semicolons are where their bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8. Text that is not valid UTF-8 is refused, as the server refuses it.
    Utf8,
    /// ISO 8859-1: a byte is the code point of the same number.
    Latin1,
    /// Any other: single bytes, `EUC_*` or `SQL_ASCII`. Bytes beyond ASCII become private characters, see
    /// [`opaque_character`].
    Bytes,
}

/// What matters of the encoding of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerEncoding {
    /// UTF-8: names fold in ASCII only and are cut at 63 bytes of UTF-8.
    Utf8,
    /// Several bytes a character, but not UTF-8: where a name is cut cannot be told from here.
    MultiByte,
    /// One byte a character (`SQL_ASCII` too): names beyond ASCII fold by the database's locale.
    SingleByte,
}

/// A client encoding that the lexer does not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("client_encoding {name:?} is refused: {reason}; use UTF8, SQL_ASCII, a single-byte encoding or EUC_*")]
pub struct EncodingRefused {
    /// The value of `client_encoding`.
    pub name: String,
    /// Why.
    pub reason: &'static str,
}

/// `client_encoding` values in which a byte below 0x80 may be the second half of a character.
const UNSAFE_ENCODINGS: [&str; 13] = [
    "sjis",
    "shiftjis",
    "mskanji",
    "win932",
    "windows932",
    "big5",
    "win950",
    "windows950",
    "gbk",
    "gb18030",
    "johab",
    "shiftjis2004",
    "uhc",
];

/// The server's names and aliases of the rest (`pg_encname_tbl` in `src/common/encnames.c`), beside UTF-8 and
/// ISO 8859-1.
const BYTE_ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "koi8",
    "koi8r",
    "koi8u",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
];

impl Encoding {
    /// Reads a value of `client_encoding` the way the server does: letters and digits count, case does not.
    ///
    /// # Errors
    ///
    /// [`EncodingRefused`] where ASCII bytes may be parts of other characters, and for unknown names.
    pub fn from_client_encoding(name: &str) -> Result<Self, EncodingRefused> {
        let key = encoding_key(name);
        let refused = |reason| Err(EncodingRefused { name: name.to_owned(), reason });
        match key.as_str() {
            "utf8" | "unicode" => Ok(Self::Utf8),
            "latin1" | "iso88591" => Ok(Self::Latin1),
            key if BYTE_ENCODINGS.contains(&key) => Ok(Self::Bytes),
            key if UNSAFE_ENCODINGS.contains(&key)
                || key == "win936"
                || key == "windows936"
                || key == "win949"
                || key == "windows949" =>
            {
                refused("a byte of another character may look like a quote in it")
            }
            _ => refused("it is not known"),
        }
    }
}

impl ServerEncoding {
    /// Reads a value of `server_encoding`. Unknown names count as single-byte, the most careful reading.
    #[must_use]
    pub fn from_server_encoding(name: &str) -> Self {
        match encoding_key(name).as_str() {
            "utf8" | "unicode" => Self::Utf8,
            "euccn" | "eucjis2004" | "eucjp" | "euckr" | "euctw" | "muleinternal" => Self::MultiByte,
            _ => Self::SingleByte,
        }
    }
}

/// `clean_encoding_name` of the server: lower case, letters and digits only.
fn encoding_key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// First code point of the private characters that stand for bytes of encodings we do not decode.
const OPAQUE_BASE: u32 = 0x10_FF00;

/// The private character that stands for a byte beyond ASCII of an encoding we do not decode. One byte, one
/// character: different names stay different.
#[must_use]
pub fn opaque_character(byte: u8) -> char {
    char::from_u32(OPAQUE_BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether a name holds bytes we do not decode. Such a name must never be taken as "not in the catalog": what it
/// is in the catalog cannot be told. The lexer refuses it where it stands as a name; it may come out of a string.
#[must_use]
pub fn is_opaque(name: &str) -> bool {
    name.chars().any(|c| (OPAQUE_BASE + 0x80..=OPAQUE_BASE + 0xFF).contains(&u32::from(c)))
}
