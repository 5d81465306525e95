//! User code that was approved once for its body, and passes until the body changes.
//!
//! An approval is for one function of one database: its OID and the hash of all that makes its meaning
//! ([`CodeUse::hash`](crate::blast::facts::CodeUse)). Another body has another hash, so it is not approved; once that
//! was seen, the approval is gone, and does not come back with the old body.
//!
//! Approvals outlive the proxy, in one file of the data directory that is replaced as a whole. Where it cannot be
//! read, nothing is taken for approved: the proxy does not start.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::Unrecorded;
use crate::blast::Facts;

/// The file's name in the data directory.
pub const FUNCTIONS_FILE: &str = "approved-functions.json";
/// How many approvals there may be.
const MOST_APPROVED: usize = 10_000;
/// A file larger than this is none of ours.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// One function that was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedFunction {
    /// The database.
    pub database: String,
    /// The function's schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The types of its arguments, as `pg_get_function_identity_arguments` writes them.
    pub arguments: String,
    /// `pg_proc.oid`.
    pub oid: u32,
    /// SHA-256, in hex, of all that makes its meaning.
    pub hash: String,
    /// What calling it may do to the session.
    pub session: SessionState,
    /// Who approved.
    pub by: String,
    /// When; RFC 3339.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// What calling a function may do to what is followed of a session: search path, role, prepared statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Nothing that its text says.
    Kept,
    /// Anything: after a call nothing is taken for known.
    Unknown,
}

/// Something the audit log has to know.
#[derive(Debug, Clone)]
pub enum FunctionEvent {
    /// Somebody approves a function. Where this cannot be recorded, it is not approved.
    Approved(ApprovedFunction),
    /// An approval that was recorded could not be kept, for this reason: it does not hold.
    NotKept(ApprovedFunction, String),
    /// Somebody has taken an approval back.
    Revoked {
        /// What was approved.
        function: ApprovedFunction,
        /// Who took it back.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// The function has another body by now.
    Outdated(ApprovedFunction),
}

/// Takes what happens, durably.
pub type FunctionRecorder =
    Arc<dyn Fn(FunctionEvent) -> Pin<Box<dyn Future<Output = Result<(), Unrecorded>> + Send>> + Send + Sync>;

/// The functions that are approved. Cheap to clone.
#[derive(Clone)]
pub struct ApprovedFunctions {
    inner: Arc<Inner>,
    recorder: FunctionRecorder,
}

impl std::fmt::Debug for ApprovedFunctions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApprovedFunctions").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    current: ArcSwap<Approved>,
    /// One change at a time: file and memory go together.
    changing: Mutex<()>,
}

/// What is approved at one moment.
#[derive(Debug, Default)]
pub struct Approved {
    version: u64,
    entries: Vec<Entry>,
    by_database: HashMap<String, ApprovedCode>,
}

/// The approved code of one database, as pairs of OID and hash.
#[derive(Debug, Clone, Default)]
pub struct ApprovedCode {
    /// All of it.
    pub all: Arc<HashSet<(u32, String)>>,
    /// Of that, what may change the session.
    pub changes_session: Arc<HashSet<(u32, String)>>,
}

#[derive(Debug, Clone)]
struct Entry {
    function: ApprovedFunction,
    /// The version of the facts that it was compared with: older ones say nothing about it.
    since: u64,
}

/// The approvals cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the approved functions in {} cannot be read: {what}", path.display())]
pub struct OpenFunctionsError {
    path: PathBuf,
    what: String,
}

/// An approval cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There are too many.
    #[error("{MOST_APPROVED} functions are approved already, which is the limit")]
    Full,
    /// The audit log cannot record it.
    #[error("the audit log cannot record it: {0}")]
    Unrecorded(#[from] Unrecorded),
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Stopping,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    functions: Vec<ApprovedFunction>,
}

impl ApprovedFunctions {
    /// What is kept in a data directory. Without a file nothing is approved.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read or understood.
    pub fn open(directory: &Path, recorder: FunctionRecorder) -> Result<Self, OpenFunctionsError> {
        let path = directory.join(FUNCTIONS_FILE);
        let functions = read(&path).map_err(|what| OpenFunctionsError { path: path.clone(), what })?;
        let entries = functions.into_iter().map(|function| Entry { function, since: 0 }).collect();
        let current = ArcSwap::from_pointee(Approved::new(1, entries));
        Ok(Self { inner: Arc::new(Inner { path, current, changing: Mutex::new(()) }), recorder })
    }

    /// What is approved now.
    #[must_use]
    pub fn current(&self) -> Arc<Approved> {
        self.inner.current.load_full()
    }

    /// Goes up with each change. Takes no lock.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.current.load().version
    }

    /// Approves a function, in place of what was approved for its OID before. `since` is the version of the facts in
    /// which it was found with this hash.
    ///
    /// # Errors
    ///
    /// It cannot be recorded or kept; nothing has changed then.
    pub async fn approve(&self, function: ApprovedFunction, since: u64) -> Result<(), KeepError> {
        (self.recorder)(FunctionEvent::Approved(function.clone())).await?;
        let entry = Entry { function: function.clone(), since };
        let kept = self.change(move |entries| {
            let same =
                |other: &ApprovedFunction| other.database == entry.function.database && other.oid == entry.function.oid;
            entries.retain(|other| !same(&other.function));
            if entries.len() >= MOST_APPROVED {
                return Err(KeepError::Full);
            }
            entries.push(entry);
            Ok(())
        });
        let kept = kept.await;
        if let Err(error) = &kept {
            // The log has the approval: it has to have its end as well, if it can.
            let _ = (self.recorder)(FunctionEvent::NotKept(function, error.to_string())).await;
        }
        kept
    }

    /// Takes an approval back; what it was, if there was one.
    ///
    /// # Errors
    ///
    /// The file cannot be written, and the approval still holds; or it is taken back and that cannot be recorded.
    pub async fn revoke(
        &self,
        database: &str,
        oid: u32,
        by: &str,
        reason: Option<&str>,
    ) -> Result<Option<ApprovedFunction>, KeepError> {
        let database = database.to_owned();
        let revoked = self.change(move |entries| {
            let found = |entry: &Entry| entry.function.database == database && entry.function.oid == oid;
            Ok(entries.iter().position(found).map(|at| entries.remove(at).function))
        });
        let Some(function) = revoked.await? else { return Ok(None) };
        let (by, reason) = (by.to_owned(), reason.map(str::to_owned));
        (self.recorder)(FunctionEvent::Revoked { function: function.clone(), by, reason }).await?;
        Ok(Some(function))
    }

    /// Takes back what no longer has the body that was approved; what that was. Nothing where the file cannot be
    /// written: such an approval fits no body that there is, and is taken back another time.
    pub async fn drop_outdated(&self, facts: Arc<Facts>) -> Vec<ApprovedFunction> {
        let dropped = self.change(move |entries| {
            let (outdated, kept): (Vec<_>, Vec<_>) = entries.drain(..).partition(|entry| entry.is_outdated(&facts));
            *entries = kept;
            Ok(outdated.into_iter().map(|entry| entry.function).collect::<Vec<_>>())
        });
        match dropped.await {
            Ok(dropped) => {
                for function in &dropped {
                    // It is gone whether or not that can be recorded.
                    let _ = (self.recorder)(FunctionEvent::Outdated(function.clone())).await;
                }
                dropped
            }
            Err(error) => {
                tracing::error!(%error, "an approval that is outdated could not be taken back");
                Vec::new()
            }
        }
    }

    /// Changes file and memory together, away from the threads that sessions run on.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Vec<Entry>) -> Result<T, KeepError> + Send + 'static,
    ) -> Result<T, KeepError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || inner.change(change)).await {
            Ok(changed) => changed,
            Err(_) => Err(KeepError::Stopping),
        }
    }
}

impl Inner {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<T, KeepError>) -> Result<T, KeepError> {
        // Nothing under this lock leaves anything half changed.
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        let mut entries = current.entries.clone();
        let result = change(&mut entries)?;
        let functions = entries.iter().map(|entry| entry.function.clone()).collect();
        write(&self.path, &File { version: 1, functions })
            .map_err(|error| KeepError::Write { path: self.path.clone(), error })?;
        self.current.store(Arc::new(Approved::new(current.version + 1, entries)));
        Ok(result)
    }
}

impl Approved {
    fn new(version: u64, entries: Vec<Entry>) -> Self {
        let mut all: HashMap<String, HashSet<(u32, String)>> = HashMap::new();
        let mut changes: HashMap<String, HashSet<(u32, String)>> = HashMap::new();
        for Entry { function, .. } in &entries {
            let pair = (function.oid, function.hash.clone());
            if function.session == SessionState::Unknown {
                changes.entry(function.database.clone()).or_default().insert(pair.clone());
            }
            all.entry(function.database.clone()).or_default().insert(pair);
        }
        let by_database = all.into_iter().map(|(database, all)| {
            let changes_session = Arc::new(changes.remove(&database).unwrap_or_default());
            (database, ApprovedCode { all: Arc::new(all), changes_session })
        });
        Self { version, by_database: by_database.collect(), entries }
    }

    /// Goes up with each change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The approved code of a database.
    #[must_use]
    pub fn of(&self, database: &str) -> ApprovedCode {
        self.by_database.get(database).cloned().unwrap_or_default()
    }

    /// All approvals for a database, in the order they were given.
    pub fn list(&self, database: &str) -> impl Iterator<Item = &ApprovedFunction> {
        self.entries.iter().map(|entry| &entry.function).filter(move |function| function.database == database)
    }

    /// Whether something that is approved no longer has the body that was.
    #[must_use]
    pub fn is_outdated(&self, facts: &Facts) -> bool {
        self.by_database.contains_key(&facts.database) && self.entries.iter().any(|entry| entry.is_outdated(facts))
    }
}

impl Entry {
    fn is_outdated(&self, facts: &Facts) -> bool {
        let function = &self.function;
        function.database == facts.database
            && self.since <= facts.version
            && !facts.functions.get(&function.name).into_iter().flatten().any(|known| {
                known.code.oid == function.oid && known.code.hash == function.hash && known.schema == function.schema
            })
    }
}

fn read(path: &Path) -> Result<Vec<ApprovedFunction>, String> {
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    if length > FILE_BYTES_MAX {
        return Err(format!("it has {length} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let file: File = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if file.version != 1 {
        return Err(format!("it is of version {}, and this pgsluice knows version 1", file.version));
    }
    if file.functions.iter().any(|function| function.oid == 0 || function.hash.is_empty()) {
        return Err("an approval names no function".to_owned());
    }
    Ok(file.functions)
}

/// Replaces the file: after a crash it is the old one or the new one, whole.
fn write(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let text = serde_json::to_vec_pretty(file)?;
    let new = path.with_extension("json.new");
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    out.write_all(&text)?;
    out.sync_all()?;
    drop(out);
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(directory) => std::fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blast::facts::{CodeUse, UserFunction};

    fn function(oid: u32, hash: &str) -> ApprovedFunction {
        ApprovedFunction {
            database: "shop".to_owned(),
            schema: "public".to_owned(),
            name: "tidy".to_owned(),
            arguments: "integer".to_owned(),
            oid,
            hash: hash.to_owned(),
            session: SessionState::Kept,
            by: "alice".to_owned(),
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            reason: "reviewed".to_owned(),
        }
    }

    fn facts(version: u64, oid: u32, hash: &str) -> Facts {
        let code = CodeUse {
            schema: Some("public".to_owned()),
            name: "tidy".to_owned(),
            oid,
            hash: hash.to_owned(),
            reviewed: false,
        };
        let known = UserFunction { schema: "public".to_owned(), code, attribute: false };
        let functions = [("tidy".to_owned(), vec![known])].into();
        Facts { version, database: "shop".to_owned(), functions, ..Facts::default() }
    }

    fn open(directory: &Path) -> Result<ApprovedFunctions, OpenFunctionsError> {
        ApprovedFunctions::open(directory, Arc::new(|_| Box::pin(async { Ok(()) })))
    }

    #[tokio::test]
    async fn approvals_outlive_the_proxy() {
        let directory = tempfile::tempdir().expect("a directory");
        let functions = open(directory.path()).expect("nothing yet");
        functions.approve(function(20_000, "aa"), 1).await.expect("kept");
        functions.approve(function(20_000, "bb"), 1).await.expect("in its place");
        let other = ApprovedFunction { session: SessionState::Unknown, ..function(20_001, "cc") };
        functions.approve(other, 1).await.expect("kept");
        let again = open(directory.path()).expect("readable").current().of("shop");
        assert_eq!(*again.all, [(20_000, "bb".to_owned()), (20_001, "cc".to_owned())].into());
        assert_eq!(*again.changes_session, [(20_001, "cc".to_owned())].into());
        assert!(functions.current().of("other").all.is_empty());
        let revoked = functions.revoke("shop", 20_000, "bob", None).await.expect("written");
        assert_eq!(revoked.map(|function| function.hash), Some("bb".into()));
        assert_eq!(functions.revoke("shop", 20_000, "bob", None).await.expect("nothing to do"), None);
        let again = open(directory.path()).expect("readable").current();
        assert_eq!(again.list("shop").map(|function| function.oid).collect::<Vec<_>>(), [20_001]);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FUNCTIONS_FILE);
        for text in
            ["", "{}", "[]", r#"{"version":2,"functions":[]}"#, r#"{"version":1,"functions":[],"more":1}"#, "\u{0}"]
        {
            std::fs::write(&path, text).expect("written");
            assert!(open(directory.path()).is_err(), "{text:?}");
        }
        std::fs::remove_file(&path).expect("there");
        std::fs::create_dir(&path).expect("made");
        assert!(open(directory.path()).is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_kept_or_recorded_is_not_approved() {
        let directory = tempfile::tempdir().expect("a directory");
        let unrecorded: FunctionRecorder = Arc::new(|_| Box::pin(async { Err(Unrecorded("disk full".to_owned())) }));
        let functions = ApprovedFunctions::open(directory.path(), unrecorded).expect("nothing yet");
        assert!(functions.approve(function(20_000, "aa"), 1).await.is_err());
        assert!(functions.current().of("shop").all.is_empty());
        assert!(!directory.path().join(FUNCTIONS_FILE).exists());
        let functions = open(directory.path()).expect("nothing yet");
        std::fs::create_dir(directory.path().join("approved-functions.json.new")).expect("in the way");
        assert!(functions.approve(function(20_000, "aa"), 1).await.is_err());
        assert!(functions.current().of("shop").all.is_empty());
    }

    #[tokio::test]
    async fn another_body_ends_an_approval_for_good() {
        let directory = tempfile::tempdir().expect("a directory");
        let functions = open(directory.path()).expect("nothing yet");
        functions.approve(function(20_000, "aa"), 5).await.expect("kept");
        // Facts from before the approval say nothing.
        for facts in [facts(4, 20_000, "old"), facts(5, 20_000, "aa")] {
            assert!(!functions.current().is_outdated(&facts));
            assert!(functions.drop_outdated(Arc::new(facts)).await.is_empty());
        }
        assert!(functions.current().is_outdated(&facts(6, 20_000, "bb")));
        assert_eq!(functions.drop_outdated(Arc::new(facts(6, 20_000, "bb"))).await.len(), 1);
        assert!(functions.current().of("shop").all.is_empty());
        assert!(open(directory.path()).expect("readable").current().of("shop").all.is_empty());
    }
}
