//! Who decides, and from where.

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// The name.
    pub name: String,
    /// Where they are.
    pub origin: Origin,
}

/// Where a decision comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The proxy's own machine: who may open its socket.
    Local,
    /// Elsewhere, by a certificate.
    Remote {
        /// The address it was shown from.
        address: String,
    },
    /// A session of the virtual database, which has seen to it that a person is behind it.
    Login {
        /// The client's address.
        address: String,
    },
}

impl Approver {
    /// Somebody on the proxy's own machine.
    #[must_use]
    pub fn local(name: impl Into<String>) -> Self {
        Self { name: name.into(), origin: Origin::Local }
    }
}

impl Origin {
    /// The address, where it is elsewhere.
    #[must_use]
    pub fn remote_address(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Remote { address } | Self::Login { address } => Some(address),
        }
    }
}
