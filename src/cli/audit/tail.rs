//! `pgsluice audit tail`.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::render;
use crate::audit::{Continue, Reader};
use crate::cli::{CommandResult, Exit, Output};

/// How often the log is looked at for more, when it is followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// `audit tail`
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many entries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: u64,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// One JSON object a line: the entries, byte for byte
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, directory: &Path) -> CommandResult {
    let mut reader = Reader::open(directory).map_err(super::failure)?;
    let mut next = None;
    loop {
        let snapshot = reader.snapshot().map_err(super::failure)?;
        let start = next.unwrap_or_else(|| snapshot.size().saturating_sub(arguments.lines));
        next = Some(snapshot.size());
        let mut output = Output::stdout();
        super::for_each_sound(&snapshot, start, |entry| {
            render::print(&mut output, entry, arguments.json)?;
            Ok(Continue::Yes)
        })?;
        output.flush()?;
        if !arguments.follow {
            return Ok(Exit::Done);
        }
        // Not kept while waiting: what a snapshot sees cannot be written over.
        drop(snapshot);
        std::thread::sleep(LOOK_EVERY);
        if reader.is_left_behind() {
            reader = Reader::open(directory).map_err(super::failure)?;
        }
    }
}
