//! `[control]`: approvers on other machines.

use std::path::PathBuf;

use serde::Deserialize;

use super::ListenAddress;
use crate::cli::Failure;
use crate::control::RemoteServerOptions;

/// `[control]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlEntry {
    /// Where approvers on other machines connect. Nothing listens where it is `None`.
    pub listen: Option<ListenAddress>,
    /// The certificate shown to them, PEM.
    pub cert: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// The authorities that sign their certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Which of these certificates are revoked: the list of each authority, PEM. Read anew when it changes.
    pub client_crl: Option<PathBuf>,
}

impl ControlEntry {
    /// What to listen with, if at all.
    ///
    /// # Errors
    ///
    /// Something that it takes is not configured.
    pub fn complete(self, approvers: &[String]) -> Result<Option<RemoteServerOptions>, Failure> {
        let Some(listen) = self.listen else {
            return match self.cert.or(self.key).or(self.client_ca).or(self.client_crl) {
                None => Ok(None),
                Some(_) => Err(Failure::usage("[control] has certificates but no `listen`: nobody could connect")
                    .hint("add listen = \"HOST:PORT\", or remove the section")),
            };
        };
        let (Some(certificate), Some(key), Some(client_ca)) = (self.cert, self.key, self.client_ca) else {
            return Err(Failure::usage("[control] needs `cert`, `key` and `client_ca` with its `listen`")
                .hint("nobody is let in without a certificate that an authority in client_ca has signed"));
        };
        if approvers.is_empty() {
            return Err(Failure::usage("[control] listens for approvers, but `approvers` names nobody")
                .hint("list them: approvers = [\"alice\"]; on the network an empty list lets nobody in"));
        }
        Ok(Some(RemoteServerOptions {
            host: listen.host().to_owned(),
            port: listen.port(),
            certificate,
            key,
            client_ca,
            client_crl: self.client_crl,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> ControlEntry {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn it_listens_only_when_it_is_complete() {
        let alice = ["alice".to_owned()];
        assert_eq!(entry("").complete(&alice).unwrap(), None);
        let all = "listen = \"0.0.0.0:6433\"\ncert = \"c\"\nkey = \"k\"\nclient_ca = \"a\"";
        assert_eq!(entry(all).complete(&alice).unwrap().unwrap().port, 6433);
        let told = |text: &str, approvers: &[String]| match entry(text).complete(approvers) {
            Err(Failure::Told { message, .. }) => message,
            other => panic!("{text} was accepted: {other:?}"),
        };
        assert_eq!(entry(all).complete(&alice).unwrap().unwrap().client_crl, None);
        let revoking = format!("{all}\nclient_crl = \"r\"");
        assert_eq!(entry(&revoking).complete(&alice).unwrap().unwrap().client_crl, Some(PathBuf::from("r")));
        assert!(told("client_crl = \"r\"", &alice).contains("no `listen`"));
        assert!(told(all, &[]).contains("names nobody"));
        for line in all.lines() {
            assert!(told(&all.replace(line, ""), &alice).starts_with("[control]"), "without {line}");
        }
    }
}
