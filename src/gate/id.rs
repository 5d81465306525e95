//! Names of holds that people can say and type.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Letters and digits that nobody mistakes for one another: no `0 o 1 i l`.
const ALPHABET: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";
const LENGTH: usize = 4;

/// A hold's id, e.g. `h-7k2m`. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HoldId([u8; LENGTH]);

/// A text is no hold's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hold's id is written like h-7k2m")]
pub struct NoHoldId;

impl HoldId {
    /// An id that nobody foresees; whether it is in use already is for the caller to see.
    pub(super) fn random() -> Self {
        // Seeded by the system, differently each time.
        let mut number = RandomState::new().hash_one(0_u8);
        let mut letters = [0; LENGTH];
        for letter in &mut letters {
            let size = ALPHABET.len() as u64;
            *letter = ALPHABET[usize::try_from(number % size).expect("below 31")];
            number /= size;
        }
        Self(letters)
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("h-")?;
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl FromStr for HoldId {
    type Err = NoHoldId;

    /// Reads an id as people type it: in any case, with or without `h-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let letters = lower.strip_prefix("h-").unwrap_or(&lower).as_bytes();
        let letters: [u8; LENGTH] = letters.try_into().map_err(|_| NoHoldId)?;
        if letters.iter().all(|letter| ALPHABET.contains(letter)) { Ok(Self(letters)) } else { Err(NoHoldId) }
    }
}

impl From<HoldId> for String {
    fn from(id: HoldId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for HoldId {
    type Error = NoHoldId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for _ in 0..1000 {
            let id = HoldId::random();
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
            assert_eq!(id.to_string().to_uppercase().trim_start_matches("H-").parse(), Ok(id));
        }
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<HoldId> = (0..1000).map(|_| HoldId::random()).collect();
        assert!(ids.len() > 950, "{}", ids.len());
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "h-", "h-7k2", "h-7k2mm", "h-7k2l", "h-7k2ü", "x-7k2m", "h--7k2"] {
            assert_eq!(text.parse::<HoldId>(), Err(NoHoldId), "{text}");
        }
    }
}
