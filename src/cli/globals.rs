//! The flags that every command has.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};

use super::Failure;
use super::config::File;

/// The flags that every command has. Each is taken from the command line, else from the environment, else
/// from the configuration file.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Configuration file [default: the first of ./pgsluice.toml,
    /// $XDG_CONFIG_HOME/pgsluice/pgsluice.toml, /etc/pgsluice/pgsluice.toml that exists]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "FILE",
        env = "PGSLUICE_CONFIG",
        hide_env = true
    )]
    pub config: Option<PathBuf>,
    /// Data directory: control socket, audit log, keys [default: /var/lib/pgsluice for root, else
    /// $XDG_DATA_HOME/pgsluice]
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "DIR",
        env = "PGSLUICE_DATA",
        hide_env = true
    )]
    pub data: Option<PathBuf>,
    /// When to use colors; NO_COLOR is respected
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "WHEN",
        env = "PGSLUICE_COLOR",
        hide_env = true,
        default_value = "auto",
        hide_default_value = true
    )]
    pub color: Color,
    /// Say more; twice: say everything
    #[arg(short, long, global = true, help_heading = "Global options", action = ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Globals {
    /// The configuration file that applies; an empty one where there is none.
    ///
    /// # Errors
    ///
    /// A file that was asked for does not exist, or one cannot be read or understood.
    pub fn file(&self) -> Result<File, Failure> {
        match &self.config {
            Some(path) => File::read(path),
            None => match default_files().find(|path| path.exists()) {
                Some(path) => File::read(&path),
                None => Ok(File::default()),
            },
        }
    }

    /// The data directory. It need not exist.
    ///
    /// # Errors
    ///
    /// See [`Globals::file`]; or the environment names no home directory.
    pub fn data_directory(&self) -> Result<PathBuf, Failure> {
        match &self.data {
            Some(directory) => Ok(directory.clone()),
            None => self.data_directory_with(&self.file()?),
        }
    }

    /// The data directory, with a configuration file that is read already.
    ///
    /// # Errors
    ///
    /// The environment names no home directory.
    pub fn data_directory_with(&self, file: &File) -> Result<PathBuf, Failure> {
        match self.data.as_ref().or(file.data.as_ref()) {
            Some(directory) => Ok(directory.clone()),
            None => default_data_directory(),
        }
    }

    /// Whether to color what goes to stdout.
    #[must_use]
    pub fn color_on_stdout(&self) -> bool {
        self.color_on(std::io::stdout().is_terminal())
    }

    /// Whether to color what goes to stderr.
    #[must_use]
    pub fn color_on_stderr(&self) -> bool {
        self.color_on(std::io::stderr().is_terminal())
    }

    fn color_on(&self, terminal: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
            }
        }
    }
}

/// An absolute path from the environment; the XDG specification says that others are to be ignored.
fn directory_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn default_files() -> impl Iterator<Item = PathBuf> {
    let user = directory_from("XDG_CONFIG_HOME").or_else(|| directory_from("HOME").map(|home| home.join(".config")));
    [
        Some(PathBuf::from("pgsluice.toml")),
        user.map(|directory| directory.join("pgsluice/pgsluice.toml")),
        Some(PathBuf::from("/etc/pgsluice/pgsluice.toml")),
    ]
    .into_iter()
    .flatten()
}

fn default_data_directory() -> Result<PathBuf, Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Path::new("/var/lib/pgsluice").to_path_buf());
    }
    directory_from("XDG_DATA_HOME")
        .or_else(|| directory_from("HOME").map(|home| home.join(".local/share")))
        .map(|directory| directory.join("pgsluice"))
        .ok_or_else(|| {
            Failure::usage("no data directory: neither XDG_DATA_HOME nor HOME is an absolute path")
                .hint("name one with --data DIR or PGSLUICE_DATA")
        })
}
