//! Which proxy a command talks to: the one of a data directory, or one on another machine.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{CommandResult, Failure, Globals};
use crate::control::{Client, Remote, RemoteOptions};

/// The flags of every command that talks to a running proxy.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "A proxy on another machine")]
pub struct RemoteArguments {
    /// Talk to the proxy there, https://HOST:PORT, instead of the one of the data directory
    #[arg(long, global = true, value_name = "URL", env = "PGSLUICE_CONTROL", hide_env = true)]
    pub control: Option<String>,
    /// Your certificate, PEM: its common name is who you are
    #[arg(long, global = true, value_name = "FILE", env = "PGSLUICE_CONTROL_CERT", hide_env = true)]
    pub cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, global = true, value_name = "FILE", env = "PGSLUICE_CONTROL_KEY", hide_env = true)]
    pub key: Option<PathBuf>,
    /// Authority that signed the proxy's certificate, PEM [default: those the system trusts]
    #[arg(long, global = true, value_name = "FILE", env = "PGSLUICE_CONTROL_CA", hide_env = true)]
    pub ca: Option<PathBuf>,
}

/// `[remote]`: the same in a configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteEntry {
    /// `https://HOST:PORT`.
    pub control: Option<String>,
    /// Certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Authorities that the proxy's certificate may come from, PEM.
    pub ca: Option<PathBuf>,
}

impl RemoteArguments {
    /// A client of the proxy that is meant: the one that `--control` names, else the one of the data directory where
    /// `--data` names that, else what the configuration file says, the remote one first.
    ///
    /// # Errors
    ///
    /// The configuration file or what it takes to reach the proxy cannot be read or understood.
    pub fn client(&self, globals: &Globals) -> Result<Client, Failure> {
        if self.control.is_none() && globals.data.is_some() {
            return Ok(Client::new(&globals.data_directory()?));
        }
        let file = globals.file()?;
        let entry = file.remote.clone();
        let Some(url) = self.control.clone().or(entry.control) else {
            return Ok(Client::new(&globals.data_directory_with(&file)?));
        };
        let (Some(certificate), Some(key)) = (self.cert.clone().or(entry.cert), self.key.clone().or(entry.key)) else {
            return Err(Failure::usage(format_args!("{url} lets nobody in without a certificate")).hint(
                "give yours with --cert FILE and --key FILE, with PGSLUICE_CONTROL_CERT and PGSLUICE_CONTROL_KEY, or \
                 in [remote]",
            ));
        };
        let options = RemoteOptions { url, certificate, key, ca: self.ca.clone().or(entry.ca) };
        Remote::new(&options).map(Client::remote).map_err(Failure::usage)
    }

    /// The flags, for a shell, that name the same proxy to another command: those that were given, on the command line or
    /// in the environment. What another command finds by itself is not repeated.
    #[must_use]
    pub fn flags(&self, globals: &Globals) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("--config", path(&globals.config)),
            ("--data", path(&globals.data)),
            ("--control", self.control.clone()),
            ("--cert", path(&self.cert)),
            ("--key", path(&self.key)),
            ("--ca", path(&self.ca)),
        ];
        let flags = given.into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", quoted(&value?))));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// Runs a command with [the client](Self::client) of the proxy that is meant.
    ///
    /// # Errors
    ///
    /// There is no such client, the system refuses what waiting for it takes, or the command fails.
    pub fn run(&self, globals: &Globals, command: impl AsyncFnOnce(&Client) -> CommandResult) -> CommandResult {
        let client = self.client(globals)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?
            .block_on(command(&client))
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::globals::Color;

    fn globals(data: Option<&str>, config: &str) -> Globals {
        Globals { config: Some(config.into()), data: data.map(PathBuf::from), color: Color::Never, verbose: 0 }
    }

    #[test]
    fn what_names_the_proxy_is_repeated() {
        let mut here = globals(Some("/var/lib/my data"), "/etc/p.toml");
        let none = RemoteArguments::default();
        assert_eq!(none.flags(&here), "--config /etc/p.toml --data '/var/lib/my data'");
        (here.config, here.data) = (None, Some("it's".into()));
        assert_eq!(none.flags(&here), r"--data 'it'\''s'");
        here.data = None;
        assert_eq!(none.flags(&here), "");
        let there = RemoteArguments {
            control: Some("https://db:6433".to_owned()),
            cert: Some("a.pem".into()),
            key: Some("a.key".into()),
            ca: Some("ca.pem".into()),
        };
        assert_eq!(there.flags(&here), "--control https://db:6433 --cert a.pem --key a.key --ca ca.pem");
    }

    #[test]
    fn the_nearest_word_names_the_proxy() {
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("pgsluice.toml");
        std::fs::write(&config, "data = \"/from/file\"\n[remote]\ncontrol = \"https://db:6433\"").unwrap();
        let config = config.to_str().unwrap();
        let none = RemoteArguments::default();
        let socket = none.client(&globals(Some("/d"), config)).unwrap();
        assert_eq!(socket.place(), "/d/control.sock");
        let Err(Failure::Told { message, hint, .. }) = none.client(&globals(None, config)) else {
            panic!("no certificate was given");
        };
        assert!(message.contains("https://db:6433") && hint.unwrap().contains("--cert"), "{message}");
        let named = RemoteArguments { control: Some("ftp://db".to_owned()), ..RemoteArguments::default() };
        let pair = RemoteArguments { cert: Some("/c".into()), key: Some("/k".into()), ..named };
        let Err(Failure::Told { message, .. }) = pair.client(&globals(Some("/d"), config)) else {
            panic!("no such URL");
        };
        assert!(message.contains("https://HOST:PORT"), "{message}");
    }
}
