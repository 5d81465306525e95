//! What a startup packet asks for, and which of it goes upstream.
//!
//! Any setting can be given at startup, in two places: as a key of its own, and as `-c name=value` within the key
//! `options`, where other server switches may stand too. Postgres applies `options` first, then the keys in their
//! order. Everything is put to [`StartupRules`]; what goes upstream is written anew from what was judged, so that
//! the server is told nothing that was not looked at.

use crate::wire::report::Report;
use crate::wire::startup::{StartupParameters, join_options, split_options};

/// Longest name of a role or database, in bytes (`NAMEDATALEN - 1`).
const NAME_BYTES: usize = 63;
/// Parameters of the protocol, not of the server, begin so.
const PROTOCOL_OPTION: &str = "_pq_.";

/// A startup packet that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartupMessage {
    pub(super) user: String,
    pub(super) database: String,
    /// As it came; `None` if it is absent or says no.
    replication: Option<String>,
    /// In the order in which Postgres applies them.
    settings: Vec<StartupSetting>,
    /// What is left of `options` from its first argument on that is no setting.
    switches: Vec<String>,
    /// Names of protocol options; none is known here.
    pub(super) protocol_options: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct StartupSetting {
    name: String,
    value: String,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Options,
    Key,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// The role; not authenticated yet.
    pub user: &'a str,
    /// The database.
    pub database: &'a str,
    /// Where from.
    pub peer: &'a super::stream::Peer,
}

/// One thing that a startup packet asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartupWish<'a> {
    /// A setting.
    Setting {
        /// Its name in lower case.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// `replication=`: a replication connection, which speaks no SQL.
    Replication {
        /// Its value: `database`, or some way to say yes.
        value: &'a str,
    },
    /// Server switches other than settings, e.g. `-O`.
    Switches {
        /// They and all that follows them.
        text: &'a str,
    },
}

/// What becomes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartupVerdict {
    /// It goes upstream.
    Forward,
    /// It is for us: it is kept from the server, and handed to the session.
    Keep,
    /// The login is refused with SQLSTATE 42501.
    Refuse {
        /// One line; `pgsluice: ` is put before it.
        message: String,
        /// Why.
        detail: String,
        /// What to do instead.
        hint: String,
    },
}

/// Judges what startup packets ask for.
pub trait StartupRules: Send + Sync + std::fmt::Debug {
    /// Judges one wish.
    fn judge(&self, requester: Requester<'_>, wish: StartupWish<'_>) -> StartupVerdict;
}

/// A setting that was given at startup and not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSetting {
    /// Its name in lower case.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the server was told ([`StartupVerdict::Forward`]) or only we were ([`StartupVerdict::Keep`]).
    pub forwarded: bool,
}

/// What a startup packet came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    /// Settings, in the order in which Postgres applies them.
    pub(super) settings: Vec<AcceptedSetting>,
    pub(super) replication: Option<String>,
    /// The startup packet for the server.
    pub(super) upstream: Vec<(String, String)>,
}

impl StartupMessage {
    pub(super) fn new(parameters: &StartupParameters<'_>) -> Result<Self, Report> {
        let mut message = Self {
            user: String::new(),
            database: String::new(),
            replication: None,
            settings: Vec::new(),
            switches: Vec::new(),
            protocol_options: Vec::new(),
        };
        let mut options = String::new();
        for (name, value) in parameters.iter() {
            if name.starts_with(PROTOCOL_OPTION.as_bytes()) {
                message.protocol_options.push(name.to_vec());
                continue;
            }
            let (name, value) = (utf8(name)?, utf8(value)?);
            // Of several, the last counts, as in Postgres.
            match name {
                "user" => message.user = cut(value),
                "database" => message.database = cut(value),
                "replication" => message.replication = (!says_no(value)).then(|| value.to_owned()),
                "options" => value.clone_into(&mut options),
                name => message.settings.push(StartupSetting {
                    name: name.to_owned(),
                    value: value.to_owned(),
                    place: Place::Key,
                }),
            }
        }
        if message.user.is_empty() {
            return Err(Report::fatal("28000", "no PostgreSQL user name specified in startup packet"));
        }
        if message.database.is_empty() {
            message.database.clone_from(&message.user);
        }
        let (mut settings, switches) = parse_options(&options);
        settings.append(&mut message.settings);
        message.settings = settings;
        message.switches = switches;
        Ok(message)
    }

    /// The login of somebody who wants the virtual database: to `database`, with nothing of what is asked for but the
    /// name of the program. What we say is UTF-8, so the server is told to report that.
    pub(super) fn to_administer(&self, database: &str) -> Result<Self, Report> {
        if self.replication.is_some() {
            return Err(Report::fatal("0A000", "pgsluice: the virtual database replicates nothing"));
        }
        let name = self.settings.iter().rfind(|setting| setting.name.eq_ignore_ascii_case("application_name"));
        let encoding =
            StartupSetting { name: "client_encoding".to_owned(), value: "UTF8".to_owned(), place: Place::Key };
        Ok(Self {
            user: self.user.clone(),
            database: database.to_owned(),
            replication: None,
            settings: name.cloned().into_iter().chain([encoding]).collect(),
            switches: Vec::new(),
            protocol_options: self.protocol_options.clone(),
        })
    }

    /// Puts everything to the rules.
    pub(super) fn judge(&self, rules: &dyn StartupRules, peer: &super::stream::Peer) -> Result<Judged, Report> {
        let requester = Requester { user: &self.user, database: &self.database, peer };
        let mut upstream = vec![("user".to_owned(), self.user.clone())];
        if self.database != self.user {
            upstream.push(("database".to_owned(), self.database.clone()));
        }
        if let Some(value) = &self.replication
            && forward(rules.judge(requester, StartupWish::Replication { value }))?
        {
            upstream.push(("replication".to_owned(), value.clone()));
        }
        let mut settings = Vec::with_capacity(self.settings.len());
        let mut options = Vec::new();
        for setting in &self.settings {
            let name = setting.name.to_ascii_lowercase();
            let forwarded =
                forward(rules.judge(requester, StartupWish::Setting { name: &name, value: &setting.value }))?;
            match setting.place {
                Place::Key if forwarded => upstream.push((setting.name.clone(), setting.value.clone())),
                Place::Options if forwarded => {
                    options.extend(["-c".to_owned(), format!("{}={}", setting.name, setting.value)]);
                }
                Place::Key | Place::Options => {}
            }
            settings.push(AcceptedSetting { name, value: setting.value.clone(), forwarded });
        }
        if !self.switches.is_empty() {
            let text = join_options(self.switches.iter().map(String::as_str));
            if forward(rules.judge(requester, StartupWish::Switches { text: &text }))? {
                options.extend(self.switches.iter().cloned());
            }
        }
        if !options.is_empty() {
            upstream.push(("options".to_owned(), join_options(options.iter().map(String::as_str))));
        }
        let replication = self.replication.clone();
        Ok(Judged { settings, replication, upstream })
    }
}

/// Whether the server is told.
fn forward(verdict: StartupVerdict) -> Result<bool, Report> {
    match verdict {
        StartupVerdict::Forward => Ok(true),
        StartupVerdict::Keep => Ok(false),
        StartupVerdict::Refuse { message, detail, hint } => {
            Err(Report::fatal("42501", format!("pgsluice: {message}")).detail(detail).hint(hint))
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Report> {
    std::str::from_utf8(bytes).map_err(|_| {
        Report::fatal("22021", "pgsluice: the startup packet is not in UTF-8")
            .detail("Names and values in a startup packet are read as UTF-8, whatever client_encoding says.")
            .hint("Use ASCII or UTF-8 for the user, the database and the settings of the connection.")
    })
}

/// Cuts a name as Postgres 15 does, but never within a character: what the server gets is what we judge by.
fn cut(name: &str) -> String {
    let end = (0..=name.len().min(NAME_BYTES)).rev().find(|end| name.is_char_boundary(*end));
    name[..end.unwrap_or(0)].to_owned()
}

/// Whether Postgres' `parse_bool` reads it as no.
fn says_no(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    !value.is_empty()
        && ("false".starts_with(&value) || "no".starts_with(&value) || value == "0" || value == "off" || value == "of")
}

/// Reads `-c name=value` and `--name=value` off the front; at the first other argument, whose meaning for the ones
/// behind it only the server knows, the rest is left as switches.
fn parse_options(options: &str) -> (Vec<StartupSetting>, Vec<String>) {
    let arguments = split_options(options);
    let mut settings = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        let (assignment, taken) = match argument.strip_prefix("-c") {
            Some("") => (arguments.get(at + 1).map(String::as_str), 2),
            Some(assignment) => (Some(assignment), 1),
            None => (argument.strip_prefix("--"), 1),
        };
        let Some((name, value)) = assignment.and_then(|assignment| assignment.split_once('=')) else {
            break;
        };
        if name.is_empty() {
            break;
        }
        // `ParseLongOption` in `src/backend/utils/misc/guc.c`.
        let setting = StartupSetting { name: name.replace('-', "_"), value: value.to_owned(), place: Place::Options };
        settings.push(setting);
        at += taken;
    }
    (settings, arguments[at..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::stream::Peer;
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Rules(fn(StartupWish<'_>) -> StartupVerdict);

    impl StartupRules for Rules {
        fn judge(&self, _: Requester<'_>, wish: StartupWish<'_>) -> StartupVerdict {
            self.0(wish)
        }
    }

    const ALL: Rules = Rules(|_| StartupVerdict::Forward);
    const PEER: Peer = Peer::Unix { uid: None };

    fn message(pairs: &[(&str, &str)]) -> Result<StartupMessage, Report> {
        let mut bytes: Vec<u8> =
            pairs.iter().flat_map(|(name, value)| format!("{name}\0{value}\0").into_bytes()).collect();
        bytes.push(0);
        StartupMessage::new(&StartupParameters::decode(&bytes).unwrap())
    }

    fn upstream(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        message(pairs).unwrap().judge(&ALL, &PEER).unwrap().upstream
    }

    fn names(message: &StartupMessage) -> Vec<(&str, &str)> {
        message.settings.iter().map(|setting| (setting.name.as_str(), setting.value.as_str())).collect()
    }

    #[test]
    fn the_database_is_the_user_unless_said() {
        let default = message(&[("user", "alice")]).unwrap();
        assert_eq!((default.user.as_str(), default.database.as_str()), ("alice", "alice"));
        let empty = message(&[("database", ""), ("user", "alice")]).unwrap();
        assert_eq!(empty.database, "alice");
        for nobody in [&[("database", "shop")][..], &[("user", "alice"), ("user", "")]] {
            assert_eq!(message(nobody).unwrap_err().code, "28000");
        }
    }

    #[test]
    fn of_duplicates_the_last_counts() {
        let doubled = message(&[("user", "a"), ("options", "-cx=1"), ("user", "b"), ("options", "-cy=2")]).unwrap();
        assert_eq!(doubled.user, "b");
        assert_eq!(names(&doubled), [("y", "2")]);
    }

    #[test]
    fn names_are_cut_once_for_us_and_the_server() {
        let long = "é".repeat(40);
        let cut = message(&[("user", &long)]).unwrap();
        assert_eq!(cut.user, "é".repeat(31));
        assert_eq!(cut.judge(&ALL, &PEER).unwrap().upstream[0].1, cut.user);
    }

    #[test]
    fn options_apply_before_keys() {
        let both = message(&[
            ("user", "a"),
            ("search_path", "k"),
            ("options", r"-c search_path=a\ b --work-mem=1MB -cDateStyle=ISO"),
        ])
        .unwrap();
        assert_eq!(
            names(&both),
            [("search_path", "a b"), ("work_mem", "1MB"), ("DateStyle", "ISO"), ("search_path", "k")]
        );
        assert!(both.switches.is_empty());
    }

    #[test]
    fn everything_from_the_first_other_switch_on_is_opaque() {
        for (options, settings, switches) in [
            ("-c a=1 -O -c b=2", 1, 3),
            ("-e", 0, 1),
            ("-c", 0, 1),
            ("-c novalue", 0, 2),
            ("-- -c a=1", 0, 3),
            ("-c =1", 0, 2),
            ("stray", 0, 1),
            ("-C a=1", 0, 2),
        ] {
            let parsed = message(&[("user", "a"), ("options", options)]).unwrap();
            assert_eq!((parsed.settings.len(), parsed.switches.len()), (settings, switches), "{options}");
        }
    }

    #[test]
    fn the_server_gets_what_was_judged() {
        let sent = upstream(&[
            ("application_name", "x"),
            ("user", "a"),
            ("options", r"-cb=\ 1 -O"),
            ("replication", "database"),
            ("_pq_.unknown", "1"),
        ]);
        let expected =
            [("user", "a"), ("replication", "database"), ("application_name", "x"), ("options", r"-c b=\ 1 -O")];
        assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn kept_wishes_do_not_reach_the_server_and_refused_ones_end_the_login() {
        let keeps = Rules(|wish| match wish {
            StartupWish::Setting { name, .. } if name.starts_with("pgsluice.") => StartupVerdict::Keep,
            StartupWish::Replication { .. } | StartupWish::Switches { .. } => StartupVerdict::Refuse {
                message: "no".to_owned(),
                detail: "because".to_owned(),
                hint: "do not".to_owned(),
            },
            _ => StartupVerdict::Forward,
        });
        let pairs = [("user", "a"), ("PGSLUICE.reason", "r"), ("options", "-c pgsluice.wait=ticket")];
        let judged = message(&pairs).unwrap().judge(&keeps, &PEER).unwrap();
        assert_eq!(judged.upstream.len(), 1);
        assert_eq!(judged.settings.len(), 2);
        assert!(judged.settings.iter().all(|setting| !setting.forwarded));
        for refused in [("replication", "true"), ("options", "-O")] {
            let report = message(&[("user", "a"), refused]).unwrap().judge(&keeps, &PEER).unwrap_err();
            assert_eq!((report.code, report.message.as_str()), ("42501", "pgsluice: no"));
        }
    }

    #[test]
    fn the_virtual_database_takes_who_asks_and_nothing_else() {
        let asked = [
            ("user", "a"),
            ("database", "pgsluice"),
            ("application_name", "psql"),
            ("client_encoding", "LATIN1"),
            ("options", "-c work_mem=1GB -O"),
        ];
        let sent = message(&asked).unwrap().to_administer("shop").unwrap().judge(&ALL, &PEER).unwrap().upstream;
        let expected = [("user", "a"), ("database", "shop"), ("application_name", "psql"), ("client_encoding", "UTF8")];
        assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let replicates = message(&[("user", "a"), ("replication", "true")]).unwrap();
        assert_eq!(replicates.to_administer("shop").unwrap_err().code, "0A000");
    }

    #[test]
    fn replication_that_says_no_is_none() {
        for no in ["false", "F", "off", "no", "0", "n"] {
            assert!(message(&[("user", "a"), ("replication", no)]).unwrap().replication.is_none());
        }
        for yes in ["true", "database", "1", "o", "", "false "] {
            assert!(message(&[("user", "a"), ("replication", yes)]).unwrap().replication.is_some(), "{yes}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let parameters = StartupParameters::decode(b"user\0\xff\0\0").unwrap();
        assert_eq!(StartupMessage::new(&parameters).unwrap_err().code, "22021");
    }

    proptest! {
        #[test]
        fn what_is_sent_is_read_the_same(options in "[-ca=\\\\ bO]{0,16}", pairs in vec(("[a-z]{1,3}", "[a-z ]{0,3}"), 0..3)) {
            let mut all = vec![("user", "u"), ("options", options.as_str())];
            all.extend(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let first = message(&all).unwrap();
            let sent = first.judge(&ALL, &PEER).unwrap().upstream;
            let again: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let second = message(&again).unwrap();
            prop_assert_eq!(first, second);
        }
    }
}
