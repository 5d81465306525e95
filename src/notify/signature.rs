//! How a message proves where it comes from.
//!
//! `Pgsluice-Signature: t=UNIX_SECONDS,v1=HEX`, where HEX is HMAC-SHA256 (RFC 2104), with the secret as key, of the
//! seconds as they stand there, a full stop, and the body byte for byte: Stripe's scheme. The receiver computes the
//! same, compares in constant time, and refuses what is older than a few minutes, so that nobody can send an old
//! message again. Each attempt is signed anew.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header's name.
pub const SIGNATURE_HEADER: &str = "pgsluice-signature";

/// The header's value.
#[must_use]
pub fn sign(secret: &[u8], unix_seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(unix_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix_seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python's hmac module.
    #[test]
    fn others_compute_the_same() {
        assert_eq!(
            sign(b"0123456789abcdef", 1_767_225_600, b"{\"event\":\"held\"}"),
            "t=1767225600,v1=dc35f334cce6c6de2afd381c2a1b4009281cdd47ff41308193ae41e62d97e9af"
        );
    }
}
