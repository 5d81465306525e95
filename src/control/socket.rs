//! The socket file: private from its first moment, and a stale one told from one in use.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::SOCKET_NAME;

/// `sun_path` holds 108 bytes on Linux and 104 on macOS, with a NUL at the end.
const PATH_BYTES_MAX: usize = 103;

/// Where the socket is made before it is private.
const NURSERY: &str = ".ctl";

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another proxy uses this data directory.
    #[error("another pgsluice runs with the data directory {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket stands in its place.
    #[error("{} is no socket, and stands where the control socket has to be", .0.display())]
    NoSocket(PathBuf),
    /// The path is longer than the system allows for sockets.
    #[error("the path {} is too long for a socket: more than {PATH_BYTES_MAX} bytes", .0.display())]
    PathTooLong(PathBuf),
    /// The system refuses.
    #[error("cannot make the control socket {}: {error}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl BindError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::InUse(_) => "stop it first, or give this one a directory of its own with --data DIR",
            Self::NoSocket(_) => "move it away, or choose another directory with --data DIR",
            Self::PathTooLong(_) => "choose a shorter one with --data DIR",
            Self::Io { .. } => "the data directory has to be writable for the user that runs pgsluice",
        }
    }
}

/// A listening control socket. Its file goes when this is dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The socket's file.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever stops may have lost the directory already.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the control socket of a data directory, which has to exist.
pub(super) fn bind(directory: &Path) -> Result<ControlSocket, BindError> {
    let path = directory.join(SOCKET_NAME);
    let nursery = directory.join(NURSERY);
    let newborn = nursery.join("s");
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(BindError::PathTooLong(path));
    }
    remove_stale(&path)?;
    let failed = |error| BindError::Io { path: path.clone(), error };

    // Between bind and chmod the umask decides who may connect; so it is made where nobody else can look.
    remove_nursery(&nursery, &newborn);
    fs::DirBuilder::new().mode(0o700).create(&nursery).map_err(failed)?;
    let made = UnixListener::bind(&newborn).and_then(|listener| {
        fs::set_permissions(&newborn, fs::Permissions::from_mode(0o600))?;
        fs::rename(&newborn, &path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    remove_nursery(&nursery, &newborn);
    Ok(ControlSocket { listener: made.map_err(failed)?, file: SocketFile(path.clone()) })
}

fn remove_nursery(nursery: &Path, newborn: &Path) {
    // Usually there is none; what cannot be removed makes the next step fail, and say so.
    let _ = fs::remove_file(newborn);
    let _ = fs::remove_dir(nursery);
}

/// Removes a socket that nobody listens on any more.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Io { path: path.to_path_buf(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NoSocket(path.to_path_buf())),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(BindError::InUse(path.parent().unwrap_or(path).to_path_buf())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_private_and_goes_away() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(SOCKET_NAME);
        let socket = bind(directory.path()).expect("bound");
        assert_eq!(fs::symlink_metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(!directory.path().join(NURSERY).exists());
        UnixStream::connect(&path).expect("connects");
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_in_use_is_told_from_a_stale_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = bind(directory.path()).expect("bound");
        let error = bind(directory.path()).expect_err("in use");
        assert!(matches!(error, BindError::InUse(_)), "{error}");
        drop(socket);
        // As kill -9 leaves it: a file that nobody listens on.
        drop(UnixListener::bind(directory.path().join(SOCKET_NAME)).expect("bound"));
        assert!(directory.path().join(SOCKET_NAME).exists());
        bind(directory.path()).expect("stale ones are replaced");
    }

    #[test]
    fn other_files_are_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(SOCKET_NAME);
        fs::write(&path, "precious").expect("written");
        assert!(matches!(bind(directory.path()), Err(BindError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");

        let long = directory.path().join("x".repeat(120));
        assert!(matches!(bind(&long), Err(BindError::PathTooLong(_))));
        assert!(matches!(bind(&directory.path().join("none")), Err(BindError::Io { .. })));
    }
}
