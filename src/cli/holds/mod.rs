//! `pgsluice holds`: see what waits, and decide.

mod render;

use clap::{Args, Subcommand};

use super::{CommandResult, Exit, Failure, Globals, Output, output};
use crate::control::api::{ApproveBody, ReasonBody};
use crate::control::{Client, ClientError};
use crate::gate::{HoldId, HoldState, HoldView};

/// `pgsluice holds ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the statements that wait for approval
    List(ListArguments),
    /// Show one of them: text, values, who asks, what it would touch
    Show(ShowArguments),
    /// Print what waits, then every change, until interrupted
    Watch(WatchArguments),
    /// Let a statement run, once
    Approve(ApproveArguments),
    /// Refuse a statement
    Deny(ReasonArguments),
    /// Take a statement back
    Withdraw(ReasonArguments),
}

/// `holds list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Also those that ended lately, with how they ended
    #[arg(long)]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// `holds show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `holds watch`
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// `holds approve`
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not run it where it would change more rows than this
    #[arg(long, value_name = "N")]
    max_rows: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// `holds deny`, `holds withdraw`
#[derive(Debug, Args)]
pub struct ReasonArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// Why; it is recorded, and the client is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
///
/// No proxy runs, or it refuses.
pub fn run(command: &Command, globals: &Globals) -> CommandResult {
    let client = Client::new(&globals.data_directory()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::List(arguments) => list(&client, arguments).await,
            Command::Show(arguments) => show(&client, arguments).await,
            Command::Watch(arguments) => watch(&client, arguments).await,
            Command::Approve(arguments) => approve(&client, arguments).await,
            Command::Deny(arguments) => {
                let body = ReasonBody { reason: arguments.reason.clone() };
                print_result(&client.deny(&arguments.id, &body).await.map_err(failure)?, arguments.json)?;
                Ok(Exit::Done)
            }
            Command::Withdraw(arguments) => {
                let body = ReasonBody { reason: arguments.reason.clone() };
                print_result(&client.withdraw(&arguments.id, &body).await.map_err(failure)?, arguments.json)?;
                Ok(Exit::Done)
            }
        }
    })
}

async fn list(client: &Client, arguments: &ListArguments) -> CommandResult {
    let holds = if arguments.all { client.all_holds().await } else { client.holds().await }.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        for hold in &holds {
            output.json(hold)?;
        }
    } else if holds.is_empty() {
        // Not data: a script that counts lines must count none.
        output::note("nothing waits for approval");
    } else {
        for line in render::table(&holds) {
            output.line(line)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

async fn show(client: &Client, arguments: &ShowArguments) -> CommandResult {
    let hold = client.hold(&arguments.id).await.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&hold)?;
    } else {
        output.line(render::whole(&hold))?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

async fn watch(client: &Client, arguments: &WatchArguments) -> CommandResult {
    let mut stream = client.watch().await.map_err(failure)?;
    while let Some(hold) = stream.next().await.map_err(failure)? {
        let mut output = Output::stdout();
        if arguments.json {
            output.json(&hold)?;
        } else {
            output.line(render::change(&hold))?;
        }
        output.flush()?;
    }
    Err(Failure::failed("the proxy has stopped"))
}

async fn approve(client: &Client, arguments: &ApproveArguments) -> CommandResult {
    // What is printed here is what is approved: its digest goes with the approval.
    let seen = client.hold(&arguments.id).await.map_err(failure)?;
    if !arguments.json {
        let mut output = Output::stdout();
        output.line(render::whole(&seen))?;
        output.flush()?;
    }
    let body =
        ApproveBody { reason: arguments.reason.clone(), max_rows: arguments.max_rows, digest: Some(seen.digest) };
    let hold = client.approve(&arguments.id, &body).await.map_err(failure)?;
    print_result(&hold, arguments.json)?;
    Ok(if hold.state == HoldState::Approved { Exit::Done } else { Exit::Pending })
}

fn print_result(hold: &HoldView, json: bool) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if json {
        output.json(hold)?;
    } else {
        output.line(render::result(hold))?;
    }
    output.flush()
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Refused(body) => match body.code.as_str() {
            "denied" | "own_statement" | "not_an_approver" => Exit::Denied,
            "expired" | "approved_already" | "radius_unknown_yet" => Exit::Pending,
            _ => Exit::Failed,
        },
        _ => Exit::Failed,
    };
    let failure = Failure::with_exit(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
