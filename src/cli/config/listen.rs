//! Where to listen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, de};

/// Where to listen: `HOST:PORT`, with IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 lets the system choose.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 6432 }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "an address is written HOST:PORT, e.g. 127.0.0.1:6432 or [::1]:6432";
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(wrong)?,
            None if host.contains(':') => return Err(wrong),
            None => host,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong);
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| wrong)? })
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read() {
        for (text, good) in [
            ("127.0.0.1:6432", true),
            ("[::1]:0", true),
            ("localhost:1", true),
            ("::1:6432", false),
            (":6432", false),
            ("[::1:6432", false),
            ("host", false),
            ("host:99999", false),
        ] {
            let read = text.parse::<ListenAddress>();
            assert_eq!(read.is_ok(), good, "{text}");
            if let Ok(address) = read {
                assert_eq!(address.to_string(), text);
            }
        }
    }
}
