//! `pgsluice audit prove`, `check-proof` and `export`: the log for those who have only its key.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::audit::export::{ExportError, Signed, export};
use crate::audit::{ReadError, Reader, verify};
use crate::cli::{CommandResult, Exit, Failure, Output, output};
use crate::text::Untrusted;
use crate::tlog::note::VerifierKey;
use crate::tlog::{Evidence, Hash, proof};

/// `audit prove`
#[derive(Debug, Args)]
pub struct ProveArguments {
    /// The entry's index
    index: u64,
}

/// `audit check-proof`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// What `audit prove` printed
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// The entry, what `audit show --json` printed
    #[arg(value_name = "ENTRY")]
    entry: PathBuf,
    /// The verifier key of the log
    #[arg(long, value_name = "VKEY")]
    vkey: VerifierKey,
}

/// `audit export`
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Where to; an earlier export of the same log there is continued
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// What there is to read, as of now: checkpoint first, so that the log has all that it covers.
fn read(directory: &Path) -> Result<(VerifierKey, Signed, crate::audit::Snapshot), ReadError> {
    let reader = Reader::open(directory)?;
    let key = verify::beside(directory)?;
    let signed = Signed::newest(directory, &key)?;
    Ok((key, signed, reader.snapshot()?))
}

pub(super) fn prove(arguments: &ProveArguments, directory: &Path) -> CommandResult {
    let (_, signed, snapshot) = read(directory).map_err(super::failure)?;
    let (index, size) = (arguments.index, signed.checkpoint.size);
    if index >= size {
        return Err(Failure::failed(format_args!("there is no signed entry {index}: the checkpoint has {size}"))
            .hint("a running proxy signs new entries within a second"));
    }
    let damaged = |damage: crate::audit::Damage| super::failure(damage.into());
    let hashes = proof::inclusion(&snapshot, index, size).map_err(damaged)?;
    let evidence = Evidence { index, hashes, checkpoint: signed.note };
    // A proof that does not hold is not given away.
    let mut leaf = None;
    super::for_each_sound(&snapshot, index, |entry| {
        leaf = Some(Hash::of_leaf(entry.json));
        Ok(crate::audit::Continue::No)
    })?;
    if !leaf.is_some_and(|leaf| proof::verify_inclusion(leaf, index, size, &evidence.hashes, signed.checkpoint.root)) {
        let reason = format!("the first {size} entries are not those that were signed");
        return Err(damaged(crate::audit::Damage { index: 0, reason }));
    }
    let mut output = Output::stdout();
    output.line(evidence.to_string().trim_end_matches('\n'))?;
    output.flush()?;
    Ok(Exit::Done)
}

pub(super) fn check(arguments: &CheckArguments) -> CommandResult {
    let read =
        |path: &Path| fs::read(path).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())));
    let (proof, entry) = (read(&arguments.proof)?, read(&arguments.entry)?);
    let entry = entry.strip_suffix(b"\n").unwrap_or(&entry);
    let checked = Evidence::parse(&proof).and_then(|proof| Ok((proof.index, proof.verify(entry, &arguments.vkey)?)));
    let (index, checkpoint) = checked
        .map_err(|error| Failure::with_exit(Exit::AuditBroken, format_args!("the proof does not verify: {error}")))?;
    let mut output = Output::stdout();
    let origin = Untrusted::line(&checkpoint.origin);
    output.line(format_args!("the entry is number {index} of the first {} of {origin}", checkpoint.size))?;
    output.flush()?;
    Ok(Exit::Done)
}

pub(super) fn run_export(arguments: &ExportArguments, directory: &Path) -> CommandResult {
    let (key, signed, snapshot) = read(directory).map_err(super::failure)?;
    export(&snapshot, &signed, &key, &arguments.directory).map_err(|error| match error {
        ExportError::Read(error) => super::failure(error),
        ExportError::Directory { .. } => Failure::usage(error),
        ExportError::Io { .. } => Failure::failed(error),
    })?;
    output::note(format_args!(
        "{}: {} entries; whoever verifies needs the key: {}",
        arguments.directory.display(),
        signed.checkpoint.size,
        Untrusted::line(&key.to_string())
    ));
    Ok(Exit::Done)
}
