//! `pgsluice audit verify`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::audit::ReadError;
use crate::audit::verify::{Known, verify};
use crate::cli::{CommandResult, Exit, Failure, Output};
use crate::text::Untrusted;
use crate::tlog::note::VerifierKey;

/// `audit verify`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The verifier key the log must be signed with, as kept elsewhere [default: audit.vkey beside the log]
    #[arg(long, value_name = "VKEY")]
    vkey: Option<VerifierKey>,
    /// A checkpoint of earlier, as kept elsewhere, that the log must still agree with; may be repeated
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, directory: &Path) -> CommandResult {
    let checkpoints = arguments
        .checkpoint
        .iter()
        .map(|path| fs::read(path).map_err(|error| Failure::usage(format_args!("{}: {error}", path.display()))))
        .collect::<Result<_, _>>()?;
    let result = verify(directory, &Known { vkey: arguments.vkey.clone(), checkpoints });
    let mut output = Output::stdout();
    if arguments.json {
        if let Some(document) = document(&result) {
            output.json(&document)?;
        }
    } else if let Ok(verified) = &result {
        let vkey = verified.vkey.to_string();
        output.line(format_args!("vkey    {}", Untrusted::line(&vkey)))?;
        output.line(format_args!("size    {}", verified.size))?;
        output.line(format_args!("root    {}", verified.root))?;
        output.line(format_args!("signed  {}", verified.signed))?;
        match verified.size.saturating_sub(verified.signed) {
            0 => output.line("the audit log verifies: every entry is what was written and signed")?,
            unsigned => output.line(format_args!(
                "the audit log verifies: every entry is what was written; signed are all but the last {unsigned}, which a \
                 crash can leave, and which nothing but the files themselves vouches for"
            ))?,
        }
    }
    output.flush()?;
    result.map(|_| Exit::Done).map_err(super::failure)
}

/// `None` where there is no log to say something of.
fn document(result: &Result<crate::audit::verify::Verified, ReadError>) -> Option<serde_json::Value> {
    match result {
        Ok(verified) => Some(json!({
            "version": 1,
            "verified": true,
            "vkey": verified.vkey.to_string(),
            "size": verified.size,
            "root": verified.root.to_string(),
            "signed": verified.signed,
        })),
        Err(ReadError::Damaged(damage)) => Some(json!({
            "version": 1,
            "verified": false,
            "first_bad_index": damage.index,
            "reason": damage.reason,
        })),
        Err(ReadError::Missing { .. } | ReadError::Io { .. }) => None,
    }
}
