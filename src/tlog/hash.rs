//! Hashes of leaves and nodes: RFC 6962, section 2.1, with SHA-256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash in the tree. Shown in base64, as all C2SP formats write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// The root of the tree without leaves: the hash of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf with that content.
    #[must_use]
    pub fn of_leaf(content: &[u8]) -> Self {
        Self(Sha256::new_with_prefix([0x00]).chain_update(content).finalize().into())
    }

    /// The hash of the node over two others.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        let mut message = [0x01; 1 + 2 * HASH_BYTES];
        message[1..=HASH_BYTES].copy_from_slice(&left.0);
        message[1 + HASH_BYTES..].copy_from_slice(&right.0);
        Self(Sha256::digest(message).into())
    }

    /// Reads the base64 of a hash: exactly 32 bytes, padded, no other spelling of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_only_the_one_spelling() {
        let hash = Hash::of_empty_tree();
        let text = hash.to_string();
        assert_eq!(text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(Hash::parse(&text), Some(hash));
        for other in [
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            " 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "",
            "AAAA",
        ] {
            assert_eq!(Hash::parse(other), None, "{other}");
        }
    }
}
