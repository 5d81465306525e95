//! Who is at the other end of a control connection.

use std::io;

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::gate::{Approver, Origin};
use crate::text::untrusted::is_deceptive;

/// Names longer than this are nobody's (RFC 5280, `ub-common-name`).
const NAME_CHARACTERS_MAX: usize = 64;

/// Who is at the other end of a control connection, as the kernel or a certificate says; nobody names themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name. On the socket that of the operating system's user, `uid:N` where the system has none.
    pub name: String,
    /// Where they are.
    pub origin: Origin,
}

/// A certificate that names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Nameless {
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable,
    /// It has no common name, or several.
    #[error("its subject has to have exactly one common name (CN)")]
    NotOneName,
    /// The common name is no name that people can tell from others.
    #[error("its common name has to be 1 to 64 visible characters")]
    BadName,
}

impl Caller {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let uid = stream.peer_cred()?.uid();
        let name = match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            Ok(None) | Err(_) => format!("uid:{uid}"),
        };
        Ok(Self { name, origin: Origin::Local })
    }

    /// Reads the name from a certificate (DER) that a trusted authority has signed: the subject's common name, as
    /// Postgres' `cert` authentication does.
    ///
    /// # Errors
    ///
    /// The certificate names nobody.
    pub fn of_certificate(certificate: &[u8], address: String) -> Result<Self, Nameless> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Nameless::Unreadable)?;
        let mut names = certificate.subject().iter_common_name();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(Nameless::NotOneName);
        };
        let name = name.as_str().map_err(|_| Nameless::BadName)?;
        let visible = name.trim() == name && !name.is_empty() && !name.chars().any(is_deceptive);
        if !visible || name.chars().count() > NAME_CHARACTERS_MAX {
            return Err(Nameless::BadName);
        }
        Ok(Self { name: name.to_owned(), origin: Origin::Remote { address } })
    }
}

impl From<Caller> for Approver {
    fn from(caller: Caller) -> Self {
        Self { name: caller.name, origin: caller.origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Caller, Nameless> {
        let mut parameters = rcgen::CertificateParams::new(vec!["host.example".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        // rcgen keeps one value a type: the organization stands for what is no common name.
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "shop");
        for name in names {
            parameters.distinguished_name.push(rcgen::DnType::CommonName, *name);
        }
        let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        Caller::of_certificate(made.der(), "192.0.2.7:4000".to_owned())
    }

    #[test]
    fn the_common_name_is_the_name() {
        let caller = named(&["alice"]).unwrap();
        assert_eq!(caller.name, "alice");
        assert_eq!(caller.origin, Origin::Remote { address: "192.0.2.7:4000".to_owned() });
        assert_eq!(named(&[]), Err(Nameless::NotOneName));
        assert_eq!(Caller::of_certificate(b"\x30\x00", String::new()), Err(Nameless::Unreadable));
    }

    #[test]
    fn names_that_look_like_others_are_refused() {
        for name in ["", " alice", "ali\u{200b}ce", "\u{202e}ecila", &"a".repeat(65)] {
            assert_eq!(named(&[name]), Err(Nameless::BadName), "{name:?}");
        }
    }
}
