//! Signed notes with Ed25519 keys: C2SP `signed-note`.
//!
//! ```text
//! text, of lines
//! <empty line>
//! — <key name> <base64 of key id (4 bytes, big-endian) and signature>
//! ```
//!
//! A verifier key is written `<name>+<key id in hex>+<base64 of 0x01 and the public key>`, a signing key
//! `PRIVATE+KEY+<name>+<key id in hex>+<base64 of 0x01 and the seed>`: the forms of Go's `sumdb/note`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The longest note that is read, in bytes.
pub const MAX_NOTE_BYTES: usize = 1_000_000;

/// The most signatures on a note that are read.
pub const MAX_SIGNATURES: usize = 100;

/// The signature type of plain Ed25519.
const ED25519: u8 = 0x01;

/// A seed or a public key.
type KeyBytes = Zeroizing<[u8; 32]>;

const SIGNING_KEY_PREFIX: &str = "PRIVATE+KEY+";

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name is not empty and has neither white space nor `+`.
    #[error("a key's name must not be empty and must have neither white space nor '+' nor control characters")]
    Name,
    /// It is not of the form that keys are written in.
    #[error("not a key of the form name+id+base64")]
    Form,
    /// It is no Ed25519 key.
    #[error("not an Ed25519 key")]
    Algorithm,
    /// The id is not the one that belongs to name and key.
    #[error("the key's id does not belong to its name and key")]
    Id,
}

/// What is wrong with a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not of the form of signed notes.
    #[error("not a signed note")]
    Form,
    /// None of the known keys signed it.
    #[error("not signed by the key")]
    Unsigned,
    /// A signature by a known key is wrong: text or signature were changed.
    #[error("the signature does not fit the text")]
    Signature,
}

/// A key that signs notes.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    verifier: VerifierKey,
}

/// A key that verifies notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: ed25519_dalek::VerifyingKey,
}

impl SigningKey {
    /// The key with that name and seed.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Reads a key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text.strip_prefix(SIGNING_KEY_PREFIX).ok_or(KeyError::Form)?)?;
        let key = Self::from_seed(name, &bytes)?;
        if key.verifier.id == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// Writes the key. A secret.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let VerifierKey { name, id, .. } = &self.verifier;
        let key = Zeroizing::new(key_base64(self.key.as_bytes()));
        Zeroizing::new(format!("{SIGNING_KEY_PREFIX}{name}+{:08x}+{}", u32::from_be_bytes(*id), *key))
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text, which must end with a line end, have no empty line at its end and no control characters.
    ///
    /// # Errors
    /// [`NoteError::Form`]: the text cannot be that of a note.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        if !is_note_text(text) || !text.ends_with('\n') || text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form);
        }
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n— {} {}\n", self.verifier.name, STANDARD.encode(bytes)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl VerifierKey {
    fn new(name: &str, key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        let hash = Sha256::new_with_prefix(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
        Ok(Self { name: name.to_owned(), id: [hash[0], hash[1], hash[2], hash[3]], key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key has signed. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let (text, signatures) = split_note(note)?;
        let mut signed = false;
        for signature in signatures {
            let signature = signature?;
            if signature.name != self.name || signature.id != self.id {
                continue;
            }
            let bytes = ed25519_dalek::Signature::from_slice(&signature.bytes).map_err(|_| NoteError::Signature)?;
            self.key.verify_strict(text.as_bytes(), &bytes).map_err(|_| NoteError::Signature)?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::Unsigned) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), key_base64(self.key.as_bytes()))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Algorithm)?;
        let key = Self::new(name, key)?;
        if key.id == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

fn key_base64(key: &[u8; 32]) -> String {
    let mut bytes = Zeroizing::new([ED25519; 33]);
    bytes[1..].copy_from_slice(key);
    STANDARD.encode(*bytes)
}

/// Name, id and the 32 bytes of an Ed25519 key in text.
fn split_key(text: &str) -> Result<(&str, [u8; 4], KeyBytes), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form);
    };
    if id.len() != 8 || !id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(KeyError::Form);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Form)?;
    let key = Zeroizing::new(STANDARD.decode(key).map_err(|_| KeyError::Form)?);
    let key = match key.split_first() {
        Some((&ED25519, key)) => <[u8; 32]>::try_from(key).map_err(|_| KeyError::Form)?,
        Some(_) => return Err(KeyError::Algorithm),
        None => return Err(KeyError::Form),
    };
    Ok((name, id.to_be_bytes(), Zeroizing::new(key)))
}

struct SignatureLine<'a> {
    name: &'a str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// The text, and the signatures as they are read.
fn split_note(note: &[u8]) -> Result<(&str, impl Iterator<Item = Result<SignatureLine<'_>, NoteError>>), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(NoteError::Form);
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Form)?;
    if !is_note_text(note) {
        return Err(NoteError::Form);
    }
    // The text keeps its own line end; the empty line is what separates.
    let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Form)?;
    if signatures.split('\n').count() > MAX_SIGNATURES {
        return Err(NoteError::Form);
    }
    Ok((text, signatures.split('\n').map(|line| parse_signature(line).ok_or(NoteError::Form))))
}

fn parse_signature(line: &str) -> Option<SignatureLine<'_>> {
    let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    (is_key_name(name) && !bytes.is_empty()).then(|| SignatureLine { name, id: *id, bytes: bytes.to_vec() })
}

/// No ASCII control character but the line end.
fn is_note_text(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| !c.is_whitespace() && c != '+' && !c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example key and notes of the documentation of Go's `sumdb/note`.
    const GO_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const GO_SIGNATURE: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    /// The example of the specification.
    const C2SP_NOTE: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

    #[test]
    fn signs_and_verifies_as_go_does() {
        let signer = SigningKey::parse(GO_SIGNER).unwrap();
        assert_eq!(*signer.to_secret_text(), GO_SIGNER);
        assert_eq!(signer.verifier().to_string(), GO_VERIFIER);
        let note = signer.sign(GO_TEXT).unwrap();
        assert_eq!(note, format!("{GO_TEXT}\n{GO_SIGNATURE}"));
        let verifier: VerifierKey = GO_VERIFIER.parse().unwrap();
        assert_eq!(verifier.open(note.as_bytes()), Ok(GO_TEXT));
    }

    #[test]
    fn the_text_ends_at_the_last_empty_line() {
        let (text, signatures) = split_note(C2SP_NOTE.as_bytes()).unwrap();
        assert!(text.ends_with("ed è subito sera.\n") && text.contains("\n\n"));
        let names: Vec<_> = signatures.map(|signature| signature.unwrap().name).collect();
        assert_eq!(names, ["quasimodo.example/salvatore"]);
    }

    #[test]
    fn signatures_of_others_are_passed_over() {
        let verifier: VerifierKey = GO_VERIFIER.parse().unwrap();
        assert_eq!(verifier.open(C2SP_NOTE.as_bytes()), Err(NoteError::Unsigned));
        let other = SigningKey::from_seed("PeterNeumann", &[7; 32]).unwrap();
        let note = other.sign(GO_TEXT).unwrap();
        assert_eq!(verifier.open(note.as_bytes()), Err(NoteError::Unsigned));
        let both = format!("{note}{GO_SIGNATURE}");
        assert_eq!(verifier.open(both.as_bytes()), Ok(GO_TEXT));
        // One wrong signature of a known key spoils the note.
        let wrong = format!("{GO_TEXT}x\n\n{GO_SIGNATURE}{GO_SIGNATURE}");
        assert_eq!(verifier.open(wrong.as_bytes()), Err(NoteError::Signature));
    }

    #[test]
    fn what_is_not_a_note_is_refused() {
        let verifier: VerifierKey = GO_VERIFIER.parse().unwrap();
        for note in [
            String::new(),
            GO_TEXT.to_owned(),
            format!("{GO_TEXT}{GO_SIGNATURE}"),
            format!("{GO_TEXT}\n{}", GO_SIGNATURE.trim_end()),
            format!("{GO_TEXT}\n{GO_SIGNATURE}\n"),
            format!("{GO_TEXT}\n{GO_SIGNATURE}more\n"),
            format!("{GO_TEXT}\n-{}", &GO_SIGNATURE["—".len()..]),
            format!("{GO_TEXT}\r\n\n{GO_SIGNATURE}"),
            format!("{GO_TEXT}\n{}", GO_SIGNATURE.replace("=", "")),
            format!("{GO_TEXT}\n{}", GO_SIGNATURE.repeat(MAX_SIGNATURES + 1)),
            format!("{}\n{GO_SIGNATURE}", GO_TEXT.repeat(MAX_NOTE_BYTES / 50)),
        ] {
            assert_eq!(verifier.open(note.as_bytes()), Err(NoteError::Form), "{note:.200}");
        }
        assert_eq!(verifier.open(b"\xff\n\n"), Err(NoteError::Form));
        let signer = SigningKey::parse(GO_SIGNER).unwrap();
        assert_eq!(signer.sign("no line end"), Err(NoteError::Form));
        assert_eq!(signer.sign("a\tcontrol\n"), Err(NoteError::Form));
    }

    #[test]
    fn bad_keys_are_told_apart() {
        for (key, error) in [
            ("", KeyError::Form),
            ("PeterNeumann+c74f20a3", KeyError::Form),
            ("PeterNeumann+C74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Form),
            ("PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Form),
            ("PeterNeumann++74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Form),
            ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T", KeyError::Form),
            ("PeterNeumann+c74f20a3+ARpc", KeyError::Form),
            ("PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Algorithm),
            ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Id),
            ("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name),
            ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name),
        ] {
            assert_eq!(key.parse::<VerifierKey>(), Err(error), "{key}");
        }
        assert_eq!(SigningKey::parse(GO_VERIFIER).unwrap_err(), KeyError::Form);
        assert_eq!(SigningKey::from_seed("a+b", &[0; 32]).unwrap_err(), KeyError::Name);
    }

    #[test]
    fn a_signing_key_does_not_show_its_secret() {
        let key = SigningKey::parse(GO_SIGNER).unwrap();
        assert!(!format!("{key:?}").contains("AYEKFALVFGyNhPJEMzD1QIDr"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_flipped_bit_fails(text in "([a-z0-9 ]{1,20}\n){1,5}", seed in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let signer = SigningKey::from_seed("example.com/log", &seed).unwrap();
            let mut note = signer.sign(&text).unwrap().into_bytes();
            prop_assert_eq!(signer.verifier().open(&note), Ok(&*text));
            let at = at.index(note.len());
            note[at] ^= 1 << bit;
            prop_assert!(signer.verifier().open(&note).is_err());
        }

        #[test]
        fn reading_garbage_never_panics(note in "\\PC{0,20}(\n\n)?(— )?\\PC{0,20}\n?", key in "\\PC{0,10}\\+?[0-9a-f]{0,9}\\+?[A-Za-z0-9+/=]{0,50}") {
            let verifier: VerifierKey = GO_VERIFIER.parse().unwrap();
            prop_assert!(verifier.open(note.as_bytes()).is_err());
            let _ = key.parse::<VerifierKey>();
            let _ = SigningKey::parse(&key);
        }
    }
}
