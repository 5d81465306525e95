//! Errors and notices: reading the server's, and saying our own.

use super::encode::{frame, put_cstr};
use super::frame::BackendTag;
use super::reader::{DecodeError, Reader};

/// Field types of an ErrorResponse or NoticeResponse.
pub mod field {
    /// Severity, in the server's language.
    pub const SEVERITY: u8 = b'S';
    /// Severity, never translated.
    pub const SEVERITY_PLAIN: u8 = b'V';
    /// SQLSTATE.
    pub const CODE: u8 = b'C';
    /// The message.
    pub const MESSAGE: u8 = b'M';
    /// DETAIL.
    pub const DETAIL: u8 = b'D';
    /// HINT.
    pub const HINT: u8 = b'H';
    /// Where in the query text, in characters from 1.
    pub const POSITION: u8 = b'P';
}

/// The fields of an ErrorResponse or NoticeResponse that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportFields<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportFields<'a> {
    /// Decodes a body.
    ///
    /// # Errors
    /// A field without NUL, no terminator, or bytes behind it.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        while reader.u8()? != 0 {
            reader.cstr()?;
        }
        reader.end()?;
        Ok(Self { bytes: &body[..body.len() - 1] })
    }

    /// Field types and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || Some((reader.u8().ok()?, reader.cstr().ok()?)))
    }

    /// The value of a field.
    #[must_use]
    pub fn value(&self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find_map(|(each, value)| (each == kind).then_some(value))
    }

    /// SQLSTATE, if it is five ASCII letters or digits.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&'a str> {
        let code = std::str::from_utf8(self.value(field::CODE)?).ok()?;
        let good = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        good.then_some(code)
    }

    /// The message, for people: bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn message(&self) -> String {
        String::from_utf8_lossy(self.value(field::MESSAGE).unwrap_or_default()).into_owned()
    }

    /// Whether the server ends the session with it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        let severity = self.value(field::SEVERITY_PLAIN).or_else(|| self.value(field::SEVERITY));
        matches!(severity, Some(b"FATAL" | b"PANIC"))
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// Worth knowing, and worth worrying about.
    Warning,
    /// Worth knowing.
    Notice,
}

impl Severity {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
        }
    }

    const fn tag(self) -> BackendTag {
        match self {
            Self::Error | Self::Fatal => BackendTag::ErrorResponse,
            Self::Warning | Self::Notice => BackendTag::NoticeResponse,
        }
    }
}

/// An error or notice of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How bad it is; decides whether it goes out as an error or as a notice.
    pub severity: Severity,
    /// SQLSTATE.
    pub code: &'static str,
    /// One line.
    pub message: String,
    /// More, for DETAIL.
    pub detail: Option<String>,
    /// What to do, for HINT.
    pub hint: Option<String>,
    /// Where in the query text, in characters from 1.
    pub position: Option<usize>,
}

impl Report {
    /// A report without detail and hint.
    #[must_use]
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), detail: None, hint: None, position: None }
    }

    /// FATAL, see [`Report::new`].
    #[must_use]
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, code, message)
    }

    /// ERROR, see [`Report::new`].
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// NOTICE, see [`Report::new`].
    #[must_use]
    pub fn notice(message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, "00000", message)
    }

    /// With this DETAIL.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With this HINT.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Appends it as a whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let severity = self.severity.as_str();
        let position = self.position.map(|position| position.to_string());
        let fields = [
            (field::SEVERITY, Some(severity)),
            (field::SEVERITY_PLAIN, Some(severity)),
            (field::CODE, Some(self.code)),
            (field::MESSAGE, Some(self.message.as_str())),
            (field::DETAIL, self.detail.as_deref()),
            (field::HINT, self.hint.as_deref()),
            (field::POSITION, position.as_deref()),
        ];
        frame(out, self.severity.tag().byte(), |body| {
            for (kind, value) in fields {
                if let Some(value) = value {
                    body.push(kind);
                    put_cstr(body, value.as_bytes());
                }
            }
            body.push(0);
        });
    }

    /// It as a whole frame.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Header;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_must_be_terminated_once() {
        assert!(ReportFields::decode(b"\0").unwrap().iter().next().is_none());
        assert_eq!(ReportFields::decode(b""), Err(DecodeError::Truncated));
        assert_eq!(ReportFields::decode(b"Mtext\0"), Err(DecodeError::Truncated));
        assert_eq!(ReportFields::decode(b"Mtext\0\0M"), Err(DecodeError::Trailing));
        assert_eq!(ReportFields::decode(b"Mtext"), Err(DecodeError::Unterminated));
    }

    #[test]
    fn notices_and_errors_have_their_tags() {
        assert_eq!(Report::notice("x").to_bytes()[0], b'N');
        assert_eq!(Report::new(Severity::Warning, "01000", "x").to_bytes()[0], b'N');
        assert_eq!(Report::error("42501", "x").to_bytes()[0], b'E');
        assert_eq!(Report::fatal("08P01", "x").to_bytes()[0], b'E');
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(body: Vec<u8>) {
            if let Ok(fields) = ReportFields::decode(&body) {
                prop_assert!(fields.iter().all(|(kind, _)| kind != 0));
                let _ = (fields.sqlstate(), fields.message(), fields.is_fatal());
            }
        }

        #[test]
        fn what_we_say_can_be_read(
            message: String, detail: Option<String>, hint: Option<String>, position: Option<usize>,
        ) {
            let mut report = Report::fatal("42501", message.clone());
            report.detail.clone_from(&detail);
            report.hint.clone_from(&hint);
            report.position = position;
            let bytes = report.to_bytes();
            let header = Header::backend(&bytes).unwrap().unwrap();
            prop_assert_eq!(header.total(), bytes.len());
            let fields = ReportFields::decode(header.body(&bytes).unwrap()).unwrap();
            let text = |text: &String| text.replace('\0', "").into_bytes();
            prop_assert_eq!(fields.sqlstate(), Some("42501"));
            prop_assert!(fields.is_fatal());
            prop_assert_eq!(fields.message().into_bytes(), text(&message));
            prop_assert_eq!(fields.value(field::DETAIL).map(<[u8]>::to_vec), detail.as_ref().map(text));
            prop_assert_eq!(fields.value(field::HINT).map(<[u8]>::to_vec), hint.as_ref().map(text));
            let position = position.map(|position| position.to_string().into_bytes());
            prop_assert_eq!(fields.value(field::POSITION).map(<[u8]>::to_vec), position);
        }
    }
}
