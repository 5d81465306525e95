//! What pgsluice says itself, appended to a buffer as whole frames.
//!
//! Everything written here is ours or was taken from frames within their limits (1 GiB), so that a body always
//! fits its length field. Strings lose NUL bytes: they would end early and let the rest be read as fields.

use super::frame::{BackendTag, FrontendTag};
use super::startup::ProtocolVersion;

/// Appends a frame with the body that `body` writes.
pub fn frame(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    counted(out, body);
}

/// Appends a length that counts itself and what `rest` writes: a startup packet or the tail of a frame.
fn counted(out: &mut Vec<u8>, rest: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    rest(out);
    let length = u32::try_from(out.len() - start).expect("what we say is far below 4 GiB, see above");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a string with its NUL. NUL bytes within it are dropped.
pub fn put_cstr(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|byte| **byte != 0));
    out.push(0);
}

/// Query.
pub fn query(out: &mut Vec<u8>, sql: &str) {
    frame(out, FrontendTag::Query.byte(), |body| {
        put_cstr(body, sql.as_bytes());
    });
}

/// Parse, with no parameter types.
pub fn parse(out: &mut Vec<u8>, name: &[u8], sql: &[u8]) {
    frame(out, FrontendTag::Parse.byte(), |body| {
        put_cstr(body, name);
        put_cstr(body, sql);
        body.extend([0; 2]);
    });
}

/// Bind, with no values and all results as text.
pub fn bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8]) {
    frame(out, FrontendTag::Bind.byte(), |body| {
        put_cstr(body, portal);
        put_cstr(body, statement);
        body.extend([0; 6]);
    });
}

/// Execute.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], max_rows: i32) {
    frame(out, FrontendTag::Execute.byte(), |body| {
        put_cstr(body, portal);
        body.extend(max_rows.to_be_bytes());
    });
}

/// Close of a portal (`P`) or statement (`S`).
pub fn close(out: &mut Vec<u8>, kind: u8, name: &[u8]) {
    frame(out, FrontendTag::Close.byte(), |body| {
        body.push(kind);
        put_cstr(body, name);
    });
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    frame(out, FrontendTag::Sync.byte(), |_| {});
}

/// Flush.
pub fn flush(out: &mut Vec<u8>) {
    frame(out, FrontendTag::Flush.byte(), |_| {});
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    frame(out, FrontendTag::Terminate.byte(), |_| {});
}

/// A PasswordMessage. The caller zeroizes `out`.
pub fn password(out: &mut Vec<u8>, password: &[u8]) {
    frame(out, b'p', |body| put_cstr(body, password));
}

/// A SASLInitialResponse.
pub fn sasl_initial_response(out: &mut Vec<u8>, mechanism: &str, response: &[u8]) {
    frame(out, b'p', |body| {
        put_cstr(body, mechanism.as_bytes());
        let length = u32::try_from(response.len()).expect("a client-first-message is short");
        body.extend(length.to_be_bytes());
        body.extend(response);
    });
}

/// A SASLResponse.
pub fn sasl_response(out: &mut Vec<u8>, response: &[u8]) {
    frame(out, b'p', |body| body.extend(response));
}

/// A startup packet.
pub fn startup<'p>(
    out: &mut Vec<u8>,
    version: ProtocolVersion,
    parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
) {
    counted(out, |body| {
        body.extend(version.code().to_be_bytes());
        for (name, value) in parameters {
            put_cstr(body, name.as_bytes());
            put_cstr(body, value.as_bytes());
        }
        body.push(0);
    });
}

/// An SSLRequest.
pub fn ssl_request(out: &mut Vec<u8>) {
    counted(out, |body| body.extend(80_877_103_u32.to_be_bytes()));
}

/// A CancelRequest.
pub fn cancel_request(out: &mut Vec<u8>, pid: i32, secret: &[u8]) {
    counted(out, |body| {
        body.extend(80_877_102_u32.to_be_bytes());
        body.extend(pid.to_be_bytes());
        body.extend(secret);
    });
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    frame(out, BackendTag::Authentication.byte(), |body| {
        body.extend([0; 4]);
    });
}

/// AuthenticationCleartextPassword.
pub fn authentication_cleartext(out: &mut Vec<u8>) {
    frame(out, BackendTag::Authentication.byte(), |body| {
        body.extend(3_u32.to_be_bytes());
    });
}

/// AuthenticationSASL with these mechanisms.
pub fn authentication_sasl<'m>(out: &mut Vec<u8>, mechanisms: impl IntoIterator<Item = &'m [u8]>) {
    frame(out, BackendTag::Authentication.byte(), |body| {
        body.extend(10_u32.to_be_bytes());
        for mechanism in mechanisms {
            put_cstr(body, mechanism);
        }
        body.push(0);
    });
}

/// BackendKeyData.
pub fn backend_key_data(out: &mut Vec<u8>, pid: i32, secret: &[u8]) {
    frame(out, BackendTag::BackendKeyData.byte(), |body| {
        body.extend(pid.to_be_bytes());
        body.extend(secret);
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    frame(out, BackendTag::ParameterStatus.byte(), |body| {
        put_cstr(body, name.as_bytes());
        put_cstr(body, value.as_bytes());
    });
}

/// NegotiateProtocolVersion.
pub fn negotiate_protocol_version<'o>(
    out: &mut Vec<u8>,
    newest: ProtocolVersion,
    unknown_options: impl ExactSizeIterator<Item = &'o [u8]>,
) {
    frame(out, BackendTag::NegotiateProtocolVersion.byte(), |body| {
        body.extend(newest.code().to_be_bytes());
        let count = u32::try_from(unknown_options.len()).expect("they fit into a startup packet");
        body.extend(count.to_be_bytes());
        for option in unknown_options {
            put_cstr(body, option);
        }
    });
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: super::backend::TransactionStatus) {
    frame(out, BackendTag::ReadyForQuery.byte(), |body| {
        body.push(status.byte());
    });
}

/// CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    frame(out, BackendTag::CommandComplete.byte(), |body| {
        put_cstr(body, tag.as_bytes());
    });
}

/// `text`, the type of all columns and parameters that are ours: its binary format is its text.
const TEXT_OID: u32 = 25;

/// RowDescription of columns of type `text`.
pub fn row_description(out: &mut Vec<u8>, columns: &[&str]) {
    frame(out, BackendTag::RowDescription.byte(), |body| {
        let count = u16::try_from(columns.len()).expect("our tables have few columns");
        body.extend(count.to_be_bytes());
        for name in columns {
            put_cstr(body, name.as_bytes());
            // No column of a table; its type, of any length, without a modifier; as text.
            body.extend([0; 6]);
            body.extend(TEXT_OID.to_be_bytes());
            body.extend((-1_i16).to_be_bytes());
            body.extend((-1_i32).to_be_bytes());
            body.extend([0; 2]);
        }
    });
}

/// DataRow. NUL bytes, which no text of Postgres' can have, are dropped.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<String>]) {
    frame(out, BackendTag::DataRow.byte(), |body| {
        let count = u16::try_from(values.len()).expect("our tables have few columns");
        body.extend(count.to_be_bytes());
        for value in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(text) => counted_value(body, text),
            }
        }
    });
}

fn counted_value(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(text.bytes().filter(|byte| *byte != 0));
    let length = u32::try_from(out.len() - start - 4).expect("what we say is far below 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// ParameterDescription of parameters of type `text`.
pub fn parameter_description(out: &mut Vec<u8>, count: usize) {
    frame(out, BackendTag::ParameterDescription.byte(), |body| {
        let number = u16::try_from(count).expect("our commands have few parameters");
        body.extend(number.to_be_bytes());
        for _ in 0..number {
            body.extend(TEXT_OID.to_be_bytes());
        }
    });
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    frame(out, BackendTag::ParseComplete.byte(), |_| {});
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    frame(out, BackendTag::BindComplete.byte(), |_| {});
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    frame(out, BackendTag::CloseComplete.byte(), |_| {});
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    frame(out, BackendTag::NoData.byte(), |_| {});
}

/// EmptyQueryResponse.
pub fn empty_query_response(out: &mut Vec<u8>) {
    frame(out, BackendTag::EmptyQueryResponse.byte(), |_| {});
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut Vec<u8>) {
    frame(out, BackendTag::PortalSuspended.byte(), |_| {});
}

#[cfg(test)]
mod tests {
    use super::super::auth::{Authentication, PasswordMessage, SaslInitialResponse};
    use super::super::backend::{
        BackendKeyData, CommandComplete, NegotiateProtocolVersion, ParameterStatus, TransactionStatus,
    };
    use super::super::frame::Header;
    use super::super::frontend::{Bind, Execute, Parse, Query, check_empty};
    use super::super::startup::{CancelRequest, PacketHead, PacketKind, StartupParameters};
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The body of the one frame that was written.
    fn client(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        let header = Header::frontend(&out).or_else(|_| Header::authentication(&out)).unwrap().unwrap();
        assert_eq!(header.total(), out.len());
        header.body(&out).unwrap().to_vec()
    }

    fn server(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        let header = Header::backend(&out).unwrap().unwrap();
        assert_eq!(header.total(), out.len());
        header.body(&out).unwrap().to_vec()
    }

    fn packet(write: impl FnOnce(&mut Vec<u8>)) -> (PacketKind, Vec<u8>) {
        let mut out = Vec::new();
        write(&mut out);
        let head = PacketHead::parse(*out.first_chunk().unwrap()).unwrap();
        let rest = out.split_off(8);
        assert_eq!(rest.len(), head.rest_bytes);
        (head.kind, rest)
    }

    #[test]
    fn fixed_messages() {
        for write in [sync, flush, terminate] {
            assert_eq!(check_empty(&client(write)), Ok(()));
        }
        assert_eq!(Authentication::decode(&server(authentication_ok)), Ok(Authentication::Ok));
        assert_eq!(Authentication::decode(&server(authentication_cleartext)), Ok(Authentication::CleartextPassword));
        assert_eq!(packet(ssl_request), (PacketKind::SslRequest, vec![]));
        let body = server(|out| ready_for_query(out, TransactionStatus::Failed));
        assert_eq!(TransactionStatus::decode(&body), Ok(TransactionStatus::Failed));
    }

    #[test]
    fn tables_are_said_as_text() {
        let body = server(|out| row_description(out, &["id", "state"]));
        assert_eq!(super::super::backend::column_count(&body), Ok(2));
        assert_eq!(body.len(), 2 + 2 * 18 + "id\0state\0".len());
        let body = server(|out| data_row(out, &[Some("a\0b".to_owned()), None]));
        assert_eq!(body, b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff");
        let body = server(|out| parameter_description(out, 2));
        let types = super::super::backend::ParameterDescription::decode(&body).unwrap().types;
        assert_eq!(types.iter().collect::<Vec<_>>(), [25, 25]);
        for write in [parse_complete, bind_complete, close_complete, no_data, empty_query_response, portal_suspended] {
            assert!(server(write).is_empty());
        }
    }

    proptest! {
        #[test]
        fn what_we_say_can_be_read(
            a in "[^\0]{0,20}", b in "[^\0]{0,20}", rows: i32, pid: i32, secret in vec(any::<u8>(), 4..=256),
        ) {
            let body = client(|out| query(out, &a));
            prop_assert_eq!(Query::decode(&body).unwrap().sql, a.as_bytes());
            let body = client(|out| parse(out, a.as_bytes(), b.as_bytes()));
            let parsed = Parse::decode(&body).unwrap();
            prop_assert_eq!((parsed.name, parsed.sql), (a.as_bytes(), b.as_bytes()));
            let body = client(|out| bind(out, a.as_bytes(), b.as_bytes()));
            prop_assert_eq!(Bind::decode(&body).unwrap().statement, b.as_bytes());
            let body = client(|out| execute(out, a.as_bytes(), rows));
            prop_assert_eq!(Execute::decode(&body).unwrap(), Execute { portal: a.as_bytes(), max_rows: rows });
            let body = client(|out| password(out, a.as_bytes()));
            prop_assert_eq!(PasswordMessage::decode(&body).unwrap().password, a.as_bytes());
            let body = client(|out| sasl_initial_response(out, &a, &secret));
            prop_assert_eq!(SaslInitialResponse::decode(&body).unwrap().response, Some(&secret[..]));
            prop_assert_eq!(&client(|out| sasl_response(out, &secret)), &secret);

            let body = server(|out| backend_key_data(out, pid, &secret));
            prop_assert_eq!(BackendKeyData::decode(&body).unwrap(), BackendKeyData { pid, secret: &secret });
            let (kind, body) = packet(|out| cancel_request(out, pid, &secret));
            prop_assert_eq!(kind, PacketKind::CancelRequest);
            prop_assert_eq!(CancelRequest::decode(&body).unwrap(), CancelRequest { pid, secret: &secret });

            let body = server(|out| parameter_status(out, &a, &b));
            prop_assert_eq!(ParameterStatus::decode(&body).unwrap().value, b.as_bytes());
            let body = server(|out| command_complete(out, &a));
            prop_assert_eq!(CommandComplete::decode(&body).unwrap().tag, a.as_bytes());
        }

        #[test]
        fn lists_can_be_read(names in vec("[a-z_.]{1,9}", 0..5)) {
            let bytes: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
            let body = server(|out| authentication_sasl(out, bytes.iter().copied()));
            let Ok(Authentication::Sasl(mechanisms)) = Authentication::decode(&body) else { unreachable!("SASL") };
            prop_assert_eq!(&mechanisms.iter().collect::<Vec<_>>(), &bytes);
            let body = server(|out| negotiate_protocol_version(out, ProtocolVersion::V3_2, bytes.iter().copied()));
            prop_assert_eq!(&NegotiateProtocolVersion::decode(&body).unwrap().unknown_options, &bytes);
            let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "value")).collect();
            let (kind, rest) = packet(|out| startup(out, ProtocolVersion::V3_0, pairs.iter().copied()));
            prop_assert_eq!(kind, PacketKind::Startup(ProtocolVersion::V3_0));
            prop_assert_eq!(StartupParameters::decode(&rest).unwrap().iter().count(), names.len());
        }

        #[test]
        fn no_string_ends_early(text: Vec<u8>) {
            let body = client(|out| parse(out, &text, b"x"));
            prop_assert_eq!(Parse::decode(&body).unwrap().sql, b"x");
        }
    }
}
