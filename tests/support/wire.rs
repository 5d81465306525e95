//! A client that speaks the protocol byte by byte, so that a test can send what no driver sends
//! and see every message that comes back.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

/// How long a reply may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message of the server: its type byte and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

/// An error or a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) severity: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

/// Everything the server said up to ReadyForQuery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The types of all messages, in order.
    pub(crate) kinds: String,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    pub(crate) tags: Vec<String>,
    pub(crate) errors: Vec<Report>,
    pub(crate) notices: Vec<Report>,
    /// `I`, `T` or `E`; 0 when the server closed the connection instead.
    pub(crate) status: u8,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    port: u16,
    pub(crate) parameters: HashMap<String, String>,
    /// The body of BackendKeyData: the process id, then the secret.
    key: Vec<u8>,
}

impl Wire {
    /// Connects to a loopback port and logs in where no password is asked for.
    pub(crate) fn connect(port: u16, startup: &[(&str, &str)]) -> Result<Self, Report> {
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for (key, value) in startup {
            body.extend_from_slice(&text(key));
            body.extend_from_slice(&text(value));
        }
        body.push(0);
        let stream = open(port);
        let mut wire = Self { stream, port, parameters: HashMap::new(), key: Vec::new() };
        wire.raw(&framed(&body));
        loop {
            let Some(message) = wire.read() else {
                return Err(Report { message: "closed".to_owned(), ..Report::default() });
            };
            match message.kind {
                b'R' => assert_eq!(message.body, [0; 4], "the server asks for a password"),
                b'S' => {
                    let mut fields = message.body.split(|byte| *byte == 0).map(lossy);
                    wire.parameters.insert(fields.next().unwrap(), fields.next().unwrap());
                }
                b'K' => wire.key = message.body,
                b'E' => return Err(report(&message.body)),
                b'Z' => return Ok(wire),
                _ => {}
            }
        }
    }

    /// The process id that BackendKeyData named.
    pub(crate) fn process_id(&self) -> u32 {
        u32::from_be_bytes(self.key[..4].try_into().unwrap())
    }

    /// Sends a cancel request for this session, on a connection of its own.
    pub(crate) fn cancel(&self) {
        let body = [&80_877_102_u32.to_be_bytes()[..], &self.key].concat();
        let mut stream = open(self.port);
        stream.write_all(&framed(&body)).unwrap();
        let _ = stream.read(&mut [0]);
    }

    /// Closes our half of the connection; the other stays open.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads until the server closes its half.
    pub(crate) fn wait_for_close(mut self) {
        while self.read().is_some() {}
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, kind: u8, body: &[u8]) {
        self.raw(&message(kind, body));
    }

    /// Reads one message; `None` when the server closed the connection.
    pub(crate) fn read(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        if let Err(error) = self.stream.read_exact(&mut head) {
            let kind = error.kind();
            assert!(kind != std::io::ErrorKind::WouldBlock, "no reply within {PATIENCE:?}");
            return None;
        }
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).ok()?;
        Some(Message { kind: head[0], body })
    }

    /// Sends a simple query and reads up to ReadyForQuery.
    pub(crate) fn query(&mut self, sql: &str) -> Reply {
        self.raw(&query(sql));
        self.reply()
    }

    /// Reads up to ReadyForQuery.
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_with(|_, _| {})
    }

    /// Reads up to ReadyForQuery, showing each message as it comes, with the session so that it
    /// can be answered.
    pub(crate) fn reply_with(&mut self, mut seen: impl FnMut(&mut Self, &Message)) -> Reply {
        let mut reply = Reply::default();
        while let Some(message) = self.read() {
            reply.take(&message);
            seen(self, &message);
            if message.kind == b'Z' {
                break;
            }
        }
        reply
    }
}

impl Message {
    /// The notice or the error that this message carries.
    pub(crate) fn report(&self) -> Option<Report> {
        matches!(self.kind, b'E' | b'N').then(|| report(&self.body))
    }
}

impl Report {
    /// Whether this is the notice that a statement is held.
    pub(crate) fn is_hold(&self) -> bool {
        self.message.starts_with("pgsluice: held as h-")
    }
}

impl Reply {
    fn take(&mut self, message: &Message) {
        self.kinds.push(char::from(message.kind));
        match message.kind {
            b'D' => self.rows.push(fields(&message.body)),
            b'C' => self.tags.push(lossy(message.body.strip_suffix(&[0]).unwrap())),
            b'E' => self.errors.push(report(&message.body)),
            b'N' => self.notices.push(report(&message.body)),
            b'Z' => self.status = message.body[0],
            _ => {}
        }
    }
}

/// A message with its type and its length.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &framed(body)].concat()
}

/// A simple query.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &text(sql))
}

/// Parse, into the unnamed statement.
pub(crate) fn parse(sql: &str) -> Vec<u8> {
    parse_as("", sql)
}

/// Parse, into a statement of this name.
pub(crate) fn parse_as(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[text(name), text(sql), vec![0, 0]].concat())
}

/// Bind of the unnamed statement to the unnamed portal, all values in text.
pub(crate) fn bind(values: &[&str]) -> Vec<u8> {
    let count = u16::try_from(values.len()).expect("a test binds few values");
    let mut body = [&[0, 0, 0, 0][..], &count.to_be_bytes()].concat();
    for value in values {
        body.extend_from_slice(&u32::try_from(value.len()).expect("a test binds short values").to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    message(b'B', &[&body[..], &[0, 0]].concat())
}

/// Bind of the statement of this name to the unnamed portal, without values.
pub(crate) fn bind_named(name: &str) -> Vec<u8> {
    message(b'B', &[text(""), text(name), vec![0; 6]].concat())
}

/// Execute of the unnamed portal, without a limit.
pub(crate) fn execute() -> Vec<u8> {
    message(b'E', &[0; 5])
}

/// Sync.
pub(crate) fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// A string with the zero byte that ends it.
pub(crate) fn text(string: &str) -> Vec<u8> {
    [string.as_bytes(), &[0]].concat()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a test sends less than 4 GiB");
    [&length.to_be_bytes()[..], body].concat()
}

fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn report(body: &[u8]) -> Report {
    let mut report = Report::default();
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let value = lossy(&field[1..]);
        match field[0] {
            b'S' => report.severity = value,
            b'C' => report.code = value,
            b'M' => report.message = value,
            b'D' => report.detail = Some(value),
            b'H' => report.hint = Some(value),
            _ => {}
        }
    }
    report
}

fn fields(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = &body[2..];
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_at(4);
        let length = i32::from_be_bytes(length.try_into().unwrap());
        let (value, after) = after.split_at(usize::try_from(length).unwrap_or(0));
        fields.push((length >= 0).then(|| lossy(value)));
        rest = after;
    }
    fields
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
