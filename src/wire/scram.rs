//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), with the channel binding
//! `tls-server-end-point` (RFC 5929), and the answer to MD5 password requests.
//!
//! ```text
//! client-first   gs2-header n=,r=<client nonce>
//! server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//! client-final   c=<channel binding>,r=<both nonces>,p=<proof>
//! server-final   v=<server signature>
//! ```
//!
//! The user name stays empty: Postgres takes it from the startup packet. Random bytes come from the caller, so
//! that this module stays pure. Secrets are overwritten when they are dropped, and never printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Random bytes of a client nonce, as many as libpq takes.
pub const NONCE_BYTES: usize = 18;
/// The most iterations that are done for a server: about a second of work. Postgres' default is 4096; a server
/// that asks for more than this wants to keep us busy.
pub const MAX_ITERATIONS: u32 = 1_000_000;
/// Longest challenge that is looked at, in bytes.
const MAX_CHALLENGE_BYTES: usize = 4096;
/// Longest salt that is taken, in bytes. Postgres uses 16.
const MAX_SALT_BYTES: usize = 1024;

/// Why the exchange was given up. None of the texts holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScramError {
    /// A message of the server breaks the grammar; says which part.
    #[error("malformed SCRAM message from the server: {0}")]
    Malformed(&'static str),
    /// The server's nonce does not begin with ours.
    #[error("SCRAM nonce of the server does not continue ours")]
    ForeignNonce,
    /// Fewer than 1 or more than [`MAX_ITERATIONS`].
    #[error("SCRAM iteration count {0} of the server is not within 1 to {MAX_ITERATIONS}")]
    Iterations(u32),
    /// The server reports an error of its own inside the exchange.
    #[error("the server refused the SCRAM exchange")]
    Refused,
    /// The server does not know the password's verifier: it is not the server it claims to be.
    #[error("incorrect SCRAM server signature: the server does not know the password")]
    ServerSignature,
}

/// What the client says about channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Cannot do it, e.g. without TLS (`n`).
    Unsupported,
    /// Can do it, but the server did not offer it (`y`). A server that did knows then that somebody removed
    /// its offer.
    NotOffered,
    /// Binds to this hash of the server's certificate.
    ServerEndPoint(Vec<u8>),
}

impl ChannelBinding {
    /// The mechanism to choose.
    #[must_use]
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::ServerEndPoint(_) => SCRAM_SHA_256_PLUS,
            Self::Unsupported | Self::NotOffered => SCRAM_SHA_256,
        }
    }

    const fn gs2_header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::ServerEndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::ServerEndPoint(hash) => hash,
            Self::Unsupported | Self::NotOffered => &[],
        }
    }
}

/// Waits for the server's first message.
pub struct ClientFirst {
    password: Zeroizing<Vec<u8>>,
    binding: ChannelBinding,
    nonce: String,
}

impl ClientFirst {
    /// Begins an exchange with fresh random bytes.
    #[must_use]
    pub fn new(password: &[u8], binding: ChannelBinding, nonce: [u8; NONCE_BYTES]) -> Self {
        Self::with_nonce(password, binding, STANDARD.encode(nonce))
    }

    fn with_nonce(password: &[u8], binding: ChannelBinding, nonce: String) -> Self {
        Self { password: normalize(password), binding, nonce }
    }

    /// The client-first-message.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{}{}", self.binding.gs2_header(), self.bare())
    }

    /// The mechanism to name beside it.
    #[must_use]
    pub const fn mechanism(&self) -> &'static str {
        self.binding.mechanism()
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Answers the server-first-message. Slow on purpose (the iterations): not to be called on a thread that
    /// others wait for.
    ///
    /// # Errors
    /// A malformed message, a nonce that is not ours, or an iteration count out of bounds.
    pub fn challenge(self, server_first: &[u8]) -> Result<ClientFinal, ScramError> {
        let challenge = Challenge::parse(server_first)?;
        let fresh = challenge.nonce.strip_prefix(self.nonce.as_str()).ok_or(ScramError::ForeignNonce)?;
        if fresh.is_empty() {
            return Err(ScramError::ForeignNonce);
        }
        let mut bound = self.binding.gs2_header().as_bytes().to_vec();
        bound.extend(self.binding.data());
        let without_proof = format!("c={},r={}", STANDARD.encode(bound), challenge.nonce);
        let signed = format!("{},{},{without_proof}", self.bare(), challenge.text);

        let salted = salted_password(&self.password, &challenge);
        let mut proof = hmac(salted.as_slice(), b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(proof.as_slice()).into();
        let signature = hmac(&stored_key, signed.as_bytes());
        for (key, signature) in proof.iter_mut().zip(signature.iter()) {
            *key ^= signature;
        }
        let server_key = hmac(salted.as_slice(), b"Server Key");
        Ok(ClientFinal {
            message: format!("{without_proof},p={}", STANDARD.encode(proof.as_slice())),
            server_signature: hmac(server_key.as_slice(), signed.as_bytes()),
        })
    }
}

impl std::fmt::Debug for ClientFirst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientFirst").field("mechanism", &self.mechanism()).finish_non_exhaustive()
    }
}

/// Waits for the server's last message.
pub struct ClientFinal {
    message: String,
    server_signature: Zeroizing<[u8; 32]>,
}

impl ClientFinal {
    /// The client-final-message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Judges the server-final-message.
    ///
    /// # Errors
    /// The server refused, or it did not prove that it knows the password's verifier.
    pub fn verify(self, server_final: &[u8]) -> Result<(), ScramError> {
        if server_final.starts_with(b"e=") {
            return Err(ScramError::Refused);
        }
        let signature = server_final
            .strip_prefix(b"v=")
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .ok_or(ScramError::Malformed("no signature"))?;
        if bool::from(signature.as_slice().ct_eq(self.server_signature.as_slice())) {
            Ok(())
        } else {
            Err(ScramError::ServerSignature)
        }
    }
}

impl Drop for ClientFinal {
    fn drop(&mut self) {
        // A proof and the messages before it let a listener try passwords at leisure.
        self.message.zeroize();
    }
}

impl std::fmt::Debug for ClientFinal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientFinal { .. }")
    }
}

/// A server-first-message.
struct Challenge<'a> {
    text: &'a str,
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Challenge<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        if message.len() > MAX_CHALLENGE_BYTES {
            return Err(ScramError::Malformed("too long"));
        }
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed("not UTF-8"))?;
        let mut attributes = text.split(',');
        let mut next = |name: &'static str| {
            attributes.next().and_then(|attribute| attribute.strip_prefix(name)).ok_or(ScramError::Malformed(name))
        };
        let nonce = next("r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Malformed("nonce"));
        }
        let salt = STANDARD.decode(next("s=")?).map_err(|_| ScramError::Malformed("salt"))?;
        if salt.is_empty() || salt.len() > MAX_SALT_BYTES {
            return Err(ScramError::Malformed("length of the salt"));
        }
        let count = next("i=")?;
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ScramError::Malformed("iteration count"));
        }
        let iterations = count.parse().unwrap_or(u32::MAX);
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        if attributes.next().is_some() {
            return Err(ScramError::Malformed("unknown extension"));
        }
        Ok(Self { text, nonce, salt, iterations })
    }
}

/// SASLprep (RFC 4013), or the bytes as they are where it does not apply: what Postgres' `pg_saslprep` callers do.
fn normalize(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(password)
        .ok()
        .and_then(|text| stringprep::saslprep(text).ok())
        .filter(|text| !text.is_empty())
        .map(|text| text.into_owned().into_bytes());
    Zeroizing::new(prepared.unwrap_or_else(|| password.to_vec()))
}

fn salted_password(password: &[u8], challenge: &Challenge<'_>) -> Zeroizing<[u8; 32]> {
    let mut salted = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &challenge.salt, challenge.iterations, salted.as_mut_slice())
        .expect("HMAC takes keys of any length");
    salted
}

fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The answer to an MD5 password request: `md5` + hex(md5(hex(md5(password + user)) + salt)).
#[must_use]
pub fn md5_answer(user: &[u8], password: &[u8], salt: [u8; 4]) -> Zeroizing<String> {
    let inner = hex(&Md5::new().chain_update(password).chain_update(user).finalize());
    let outer = Md5::new().chain_update(inner.as_bytes()).chain_update(salt).finalize();
    Zeroizing::new(format!("md5{}", hex(&outer).as_str()))
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    let text = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    Zeroizing::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn begin(password: &[u8], binding: ChannelBinding) -> ClientFirst {
        ClientFirst::with_nonce(password, binding, NONCE.to_owned())
    }

    /// The vector of RFC 7677, section 3, has a user name, which Postgres does not use; with `n=user` in place
    /// of `n=` the same code must give the RFC's proof and signature.
    #[test]
    fn rfc_7677_keys() {
        let challenge = Challenge::parse(SERVER_FIRST.as_bytes()).unwrap();
        let salted = salted_password(&normalize(b"pencil"), &challenge);
        let signed =
            format!("n=user,r={NONCE},{SERVER_FIRST},c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let client_key = hmac(salted.as_slice(), b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(client_key.as_slice()).into();
        let signature = hmac(&stored_key, signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature.iter()).map(|(a, b)| a ^ b).collect();
        assert_eq!(STANDARD.encode(proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let server = hmac(hmac(salted.as_slice(), b"Server Key").as_slice(), signed.as_bytes());
        assert_eq!(STANDARD.encode(server.as_slice()), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    /// A server that knows the password, written from RFC 5802 and sharing only the HMAC with the client.
    fn server_final(password: &[u8], first: &str, challenge: &str, last: &str) -> Result<String, &'static str> {
        let bare = first.splitn(3, ',').nth(2).ok_or("first")?;
        let (without_proof, proof) = last.rsplit_once(",p=").ok_or("last")?;
        let proof = STANDARD.decode(proof).map_err(|_| "proof")?;
        let signed = format!("{bare},{challenge},{without_proof}");
        let parsed = Challenge::parse(challenge.as_bytes()).map_err(|_| "challenge")?;
        let salted = salted_password(password, &parsed);
        let stored_key: [u8; 32] = Sha256::digest(hmac(salted.as_slice(), b"Client Key").as_slice()).into();
        let signature = hmac(&stored_key, signed.as_bytes());
        let key: Vec<u8> = proof.iter().zip(signature.iter()).map(|(a, b)| a ^ b).collect();
        if Sha256::digest(key).as_slice() != stored_key {
            return Err("wrong password");
        }
        let server_key = hmac(salted.as_slice(), b"Server Key");
        let signature = hmac(server_key.as_slice(), signed.as_bytes());
        Ok(format!("v={}", STANDARD.encode(signature.as_slice())))
    }

    #[test]
    fn both_sides_prove_that_they_know_the_password() {
        for (binding, gs2, c) in [
            (ChannelBinding::Unsupported, "n,,", "c=biws,"),
            (ChannelBinding::NotOffered, "y,,", "c=eSws,"),
            (
                ChannelBinding::ServerEndPoint(vec![1, 2, 3]),
                "p=tls-server-end-point,,",
                "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAQID,",
            ),
        ] {
            let first = begin(b"pencil", binding);
            let said = first.message();
            assert_eq!(said, format!("{gs2}n=,r={NONCE}"));
            let last = first.challenge(SERVER_FIRST.as_bytes()).unwrap();
            assert!(last.message().starts_with(c));
            assert_eq!(server_final(b"pencils", &said, SERVER_FIRST, last.message()), Err("wrong password"));
            let answer = server_final(b"pencil", &said, SERVER_FIRST, last.message()).unwrap();
            assert_eq!(last.verify(answer.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn a_server_without_the_password_is_found_out() {
        let last = || begin(b"pencil", ChannelBinding::Unsupported).challenge(SERVER_FIRST.as_bytes()).unwrap();
        let forged = format!("v={}", STANDARD.encode([7; 32]));
        assert_eq!(last().verify(forged.as_bytes()), Err(ScramError::ServerSignature));
        assert_eq!(last().verify(b"v="), Err(ScramError::ServerSignature));
        assert_eq!(last().verify(b"e=other-error"), Err(ScramError::Refused));
        assert_eq!(last().verify(b""), Err(ScramError::Malformed("no signature")));
    }

    #[test]
    fn challenges_are_judged_before_work_is_done_for_them() {
        let challenge =
            |text: &str| begin(b"pencil", ChannelBinding::Unsupported).challenge(text.as_bytes()).map(|_| ());
        let cases = [
            ("r=other,s=AAAA,i=4096", ScramError::ForeignNonce),
            ("r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", ScramError::ForeignNonce),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=0", ScramError::Iterations(0)),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001", ScramError::Iterations(1_000_001)),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999", ScramError::Iterations(u32::MAX)),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=+1", ScramError::Malformed("iteration count")),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=*,i=1", ScramError::Malformed("salt")),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=,i=1", ScramError::Malformed("length of the salt")),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1,m=x", ScramError::Malformed("unknown extension")),
            ("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1", ScramError::Malformed("r=")),
            ("", ScramError::Malformed("r=")),
        ];
        for (text, error) in cases {
            assert_eq!(challenge(text), Err(error), "{text}");
        }
        assert_eq!(challenge("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1"), Ok(()));
    }

    #[test]
    fn passwords_are_normalized_where_saslprep_applies() {
        // Non-ASCII space becomes a space, a soft hyphen nothing (RFC 4013, section 3).
        assert_eq!(normalize("a\u{a0}b\u{ad}".as_bytes()).as_slice(), b"a b");
        assert_eq!(normalize("\u{2168}".as_bytes()).as_slice(), b"IX");
        // Prohibited, not UTF-8, or nothing left: as it is.
        assert_eq!(normalize(b"a\x07").as_slice(), b"a\x07");
        assert_eq!(normalize(b"a\xff").as_slice(), b"a\xff");
        assert_eq!(normalize("\u{ad}".as_bytes()).as_slice(), "\u{ad}".as_bytes());
    }

    #[test]
    fn md5_as_libpq_answers() {
        // SELECT 'md5' || md5(md5('secret' || 'alice') || 'salt')
        assert_eq!(md5_answer(b"alice", b"secret", *b"salt").as_str(), "md5986e2194384c07f4fd1df4b1351b3e68");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let first = begin(b"pencil", ChannelBinding::Unsupported);
        assert!(!format!("{first:?}").contains("pencil"));
        let last = first.challenge(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(format!("{last:?}"), "ClientFinal { .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(password: Vec<u8>, challenge: Vec<u8>, text in "r=[ -~]{0,30},s=[ -~]{0,9},i=[0-9]{0,3}") {
            let _ = begin(&password, ChannelBinding::Unsupported).challenge(&challenge);
            let _ = begin(&password, ChannelBinding::Unsupported).challenge(text.as_bytes());
            if let Ok(last) = begin(&password, ChannelBinding::NotOffered).challenge(format!("r={NONCE}x,s=AAAA,i=2").as_bytes()) {
                prop_assert!(last.verify(&challenge).is_err());
            }
        }
    }
}
