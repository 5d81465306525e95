//! `pgsluice audit`: the log. It is read from the data directory, with or without a running proxy.

mod prove;
mod render;
mod search;
mod tail;
mod verify;

use clap::Subcommand;

use super::{CommandResult, Exit, Failure, Globals};
use crate::audit::{ReadError, Snapshot, StoredEntry, quiet_panics};
use crate::tlog::Hash;

/// `pgsluice audit ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that the log is, entry for entry, what was written and signed
    Verify(verify::Arguments),
    /// Print the end of the log
    Tail(tail::Arguments),
    /// Print the entries that pass all filters, oldest first
    Search(search::Arguments),
    /// Print everything about one entry
    Show(search::ShowArguments),
    /// Print a proof that an entry is in the log, to be checked by whoever has its key
    Prove(prove::ProveArguments),
    /// Check such a proof, without the log
    CheckProof(prove::CheckArguments),
    /// Write the signed log as a directory of tiles, to publish or to take away
    Export(prove::ExportArguments),
}

/// Runs it.
///
/// # Errors
///
/// There is no log, it cannot be read, or it is damaged.
pub fn run(command: &Command, globals: &Globals) -> CommandResult {
    quiet_panics();
    let directory = globals.data_directory()?;
    match command {
        Command::Verify(arguments) => verify::run(arguments, &directory),
        Command::Tail(arguments) => tail::run(arguments, &directory),
        Command::Search(arguments) => search::run(arguments, &directory),
        Command::Show(arguments) => search::show(arguments, &directory),
        Command::Prove(arguments) => prove::prove(arguments, &directory),
        Command::CheckProof(arguments) => prove::check(arguments),
        Command::Export(arguments) => prove::run_export(arguments, &directory),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn failure(error: ReadError) -> Failure {
    match &error {
        ReadError::Damaged(damage) => Failure::with_exit(
            Exit::AuditBroken,
            format_args!("the audit log does not verify: first bad index {}: {}", damage.index, damage.reason),
        ),
        ReadError::Missing { .. } | ReadError::Io { .. } => Failure::failed(&error),
    }
}

/// Calls with every entry from `start` on, until it says to stop. An entry that is not what was written is not shown:
/// it ends with that.
fn for_each_sound(
    snapshot: &Snapshot,
    start: u64,
    mut call: impl FnMut(StoredEntry<'_>) -> Result<crate::audit::Continue, Failure>,
) -> Result<(), Failure> {
    use crate::audit::{Continue, Damage};
    let mut result = Ok(());
    let read = snapshot.for_each(start, u64::MAX, |entry| {
        let called = if Hash::of_leaf(entry.json) == entry.hash {
            call(entry)
        } else {
            let reason = "the entry is not what was written".to_owned();
            Err(failure(Damage { index: entry.index, reason }.into()))
        };
        called.unwrap_or_else(|error| {
            result = Err(error);
            Continue::No
        })
    });
    read.map_err(|damage| failure(damage.into()))?;
    result
}
