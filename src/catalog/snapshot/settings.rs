//! The settings with which a session begins: its search path and its time limits.

use tokio_postgres::SimpleQueryMessage;

use super::{Assembly, Line, Malformed};
use crate::blast::SearchPath;

/// The settings that we have by ourselves.
pub(super) struct OwnSettings<'a> {
    pub(super) path: OwnSetting<'a>,
    pub(super) time_limits: Vec<OwnSetting<'a>>,
}

/// One of them.
pub(super) struct OwnSetting<'a> {
    name: &'a str,
    value: &'a str,
    source: &'a str,
}

impl<'a> OwnSettings<'a> {
    pub(super) fn new(messages: &'a [SimpleQueryMessage]) -> Result<Self, Malformed> {
        let mut path = None;
        let mut time_limits = Vec::new();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let text = |column| row.try_get(column).ok().flatten();
            let (Some(name), Some(value), Some(source)) = (text(0), text(1), text(2)) else {
                return Err(Malformed("a setting without a value".to_owned()));
            };
            let setting = OwnSetting { name, value, source };
            if name == "search_path" {
                path = Some(setting);
            } else {
                time_limits.push(setting);
            }
        }
        let path = path.ok_or_else(|| Malformed("the setting search_path is not there".to_owned()))?;
        Ok(Self { path, time_limits })
    }

    pub(super) fn fingerprint(&self) -> String {
        let limits: Vec<_> = self.time_limits.iter().map(|limit| limit.value).collect();
        format!("{} {}", self.path.value, limits.join(" "))
    }
}

impl Assembly {
    /// Our own search path is everybody's unless it was set for our role or database.
    pub(super) fn search_paths(&mut self, own: &OwnSetting<'_>, settings: &[Line]) -> Result<(), Malformed> {
        let everybody =
            matches!(own.source, "default" | "environment variable" | "configuration file" | "command line");
        let mut general = if everybody { SearchPath::parse(own.value) } else { SearchPath::Unknown };
        // What is set for this database wins over what is set for all; a role's own wins over both.
        for here in [false, true] {
            for line in settings {
                if line.truth(1)? != here || line.text(2)? != "search_path" {
                    continue;
                }
                let path = SearchPath::parse(line.text(3)?);
                match line.text(0)? {
                    "" => general = path,
                    role => drop(self.facts.role_search_paths.insert(role.to_owned(), path)),
                }
            }
        }
        self.facts.search_path = general;
        Ok(())
    }

    /// Who acts as another role from login on.
    pub(super) fn roles(&mut self, settings: &[Line]) -> Result<(), Malformed> {
        for line in settings {
            if line.text(2)? == "role" {
                self.facts.act_as_others.insert(line.string(0)?);
            }
        }
        Ok(())
    }

    /// Likewise; but as our own connection sets some of them, where a value comes from is told by what roles have set.
    pub(super) fn time_limits(&mut self, own: &[OwnSetting<'_>], settings: &[Line]) -> Result<(), Malformed> {
        for limit in own {
            let mut of_ours = false;
            for line in settings {
                of_ours |= line.text(2)? == limit.name && line.truth(4)?;
            }
            if !of_ours {
                self.facts.time_limits.insert(limit.name.to_owned(), limit.value.to_owned());
            }
        }
        for here in [false, true] {
            for line in settings {
                let name = line.text(2)?;
                if line.truth(1)? != here || matches!(name, "search_path" | "role") {
                    continue;
                }
                let value = line.string(3)?;
                match line.text(0)? {
                    "" => drop(self.facts.time_limits.insert(name.to_owned(), value)),
                    role => drop(self.facts.role_time_limits.insert((role.to_owned(), name.to_owned()), value)),
                }
            }
        }
        Ok(())
    }
}
