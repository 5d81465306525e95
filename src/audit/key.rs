//! The key that signs the log's checkpoints: made at the first start, kept beside the log.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::files;
use super::log::OpenError;
use crate::tlog::note::SigningKey;

/// Whether a log already has records, so that its key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// A log without records: a key may be made.
    New,
    /// A log with records: its key must be there.
    Log,
}

/// Reads the key of the log in the directory, or makes it for a new log.
pub(super) fn load_or_make(
    directory: &Path,
    origin: Option<&str>,
    existing: Existing,
) -> Result<SigningKey, OpenError> {
    let path = files::key(directory);
    let key = match read(&path)? {
        Some(key) => key,
        None if existing == Existing::Log => {
            return Err(wrong(
                path,
                "the key of the audit log is missing: restore it, or start a new log in another data directory",
            ));
        }
        None => make(&path, origin)?,
    };
    check_vkey(directory, &key)?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<SigningKey>, OpenError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed(path))?,
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(wrong(path.to_owned(), "others can read the key of the audit log: chmod 600 it"));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed(path))?);
    match SigningKey::parse(text.trim_end_matches('\n')) {
        Ok(key) => Ok(Some(key)),
        Err(error) => Err(wrong(path.to_owned(), format!("the key of the audit log cannot be used: {error}"))),
    }
}

fn make(path: &Path, origin: Option<&str>) -> Result<SigningKey, OpenError> {
    let origin = match origin {
        Some(origin) => origin.to_owned(),
        None => default_origin(),
    };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| wrong(path.to_owned(), format!("no random numbers: {error}")))?;
    let key = SigningKey::from_seed(&origin, &seed)
        .map_err(|error| wrong(path.to_owned(), format!("the audit log cannot be named {origin:?}: {error}")))?;
    // In place only when it is whole: half a key would keep the log from ever opening.
    let temporary = path.with_extension("key.new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&temporary)(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed(&temporary))?;
    writeln!(file, "{}", *key.to_secret_text()).and_then(|()| file.sync_all()).map_err(failed(&temporary))?;
    fs::rename(&temporary, path).map_err(failed(path))?;
    files::sync_parent(path).map_err(failed(path))?;
    Ok(key)
}

/// The verifier key beside it is for others to take away: it must be the one of this key.
fn check_vkey(directory: &Path, key: &SigningKey) -> Result<(), OpenError> {
    let path = files::vkey(directory);
    let vkey = key.verifier().to_string();
    match fs::read_to_string(&path) {
        Ok(text) if text.trim_end_matches('\n') == vkey => Ok(()),
        Ok(_) => Err(wrong(path, "it does not belong to audit.key; one of the two is of another log")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::replace(&path, format!("{vkey}\n").as_bytes()).map_err(failed(&path))
        }
        Err(error) => Err(failed(&path)(error)),
    }
}

/// `pgsluice/` and the host's name, or a random name where that cannot be a key's.
fn default_origin() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !host.is_empty() && host.chars().all(plain) {
        return format!("pgsluice/{host}");
    }
    let random = getrandom::u32().unwrap_or_default();
    format!("pgsluice/{random:08x}")
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

fn wrong(path: PathBuf, reason: impl Into<String>) -> OpenError {
    OpenError::Key { path, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_secret() {
        let directory = tempfile::tempdir().unwrap();
        let key = load_or_make(directory.path(), Some("pgsluice/test"), Existing::New).unwrap();
        let again = load_or_make(directory.path(), Some("pgsluice/other"), Existing::Log).unwrap();
        assert_eq!(key.verifier(), again.verifier());
        assert_eq!(key.verifier().name(), "pgsluice/test");
        let mode = fs::metadata(files::key(directory.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let vkey = fs::read_to_string(files::vkey(directory.path())).unwrap();
        assert_eq!(vkey, format!("{}\n", key.verifier()));
    }

    #[test]
    fn a_log_is_not_given_a_second_key() {
        let directory = tempfile::tempdir().unwrap();
        let error = load_or_make(directory.path(), None, Existing::Log).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        load_or_make(directory.path(), None, Existing::New).unwrap();
        fs::set_permissions(files::key(directory.path()), fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_make(directory.path(), None, Existing::Log).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_verifier_key_of_another_log_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        load_or_make(directory.path(), None, Existing::New).unwrap();
        let other = SigningKey::from_seed("pgsluice/other", &[1; 32]).unwrap();
        fs::write(files::vkey(directory.path()), other.verifier().to_string()).unwrap();
        assert!(matches!(load_or_make(directory.path(), None, Existing::Log), Err(OpenError::Key { .. })));
    }

    #[test]
    fn a_damaged_key_is_told_without_showing_it() {
        let directory = tempfile::tempdir().unwrap();
        load_or_make(directory.path(), Some("pgsluice/test"), Existing::New).unwrap();
        let path = files::key(directory.path());
        let text = fs::read_to_string(&path).unwrap().replace("test", "tost");
        fs::write(&path, &text).unwrap();
        let error = load_or_make(directory.path(), None, Existing::Log).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
        // `PRIVATE+KEY+name+hash+secret`, and the secret may have a `+` itself.
        let secret = text.trim_end().splitn(5, '+').nth(4).unwrap();
        assert!(!error.contains(secret), "{error}");
    }

    #[test]
    fn the_default_name_can_be_a_keys() {
        assert!(SigningKey::from_seed(&default_origin(), &[0; 32]).is_ok());
    }
}
