//! `pgsluice functions`: approve user code once, for its body.

use clap::{Args, Subcommand};

use super::remote::RemoteArguments;
use super::{CommandResult, Exit, Failure, Globals, Output, output};
use crate::control::api::{ApproveFunctionBody, FunctionView, RevokeFunctionBody, ShownFunction};
use crate::control::{Client, ClientError};
use crate::text::Untrusted;

/// `pgsluice functions`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// `pgsluice functions ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the functions of a database that statements wait for, and which of them are approved
    List(ListArguments),
    /// Show a function's source and settings; with --hash, approve it: statements that call it pass until its body changes
    Approve(ApproveArguments),
    /// Take an approval back
    Revoke(RevokeArguments),
}

/// `functions list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// The database
    #[arg(long, value_name = "NAME")]
    database: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// `functions approve`
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The function, as `functions list` writes it; without its arguments where it is the only one of its name
    #[arg(value_name = "SCHEMA.NAME[(ARGUMENTS)]")]
    function: String,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: String,
    /// The hash that was shown with the source: approves exactly that
    #[arg(long, value_name = "HASH", requires = "reason")]
    hash: Option<String>,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `functions revoke`
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The function, as `functions list` writes it
    #[arg(value_name = "SCHEMA.NAME[(ARGUMENTS)]")]
    function: String,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: String,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
///
/// No proxy runs, or it refuses.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    arguments.remote.run(globals, async |client| match &arguments.command {
        Command::List(arguments) => list(client, arguments).await,
        Command::Approve(arguments) => approve(client, arguments).await,
        Command::Revoke(arguments) => revoke(client, arguments).await,
    })
}

async fn list(client: &Client, arguments: &ListArguments) -> CommandResult {
    let functions = client.functions(&arguments.database).await.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        for function in &functions {
            output.json(function)?;
        }
    } else if functions.is_empty() {
        output::note("no functions but those of the server and of reviewed extensions");
    } else {
        for function in &functions {
            output.line(line(function))?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn line(view: &FunctionView) -> String {
    let state = match &view.approval {
        Some(approval) => {
            format!("approved by {}: {}", Untrusted::line(&approval.by), Untrusted::line(&approval.reason))
        }
        None => "not approved".to_owned(),
    };
    let function = &view.function;
    let signature = signature(view);
    let (name, language) = (Untrusted::line(&signature), Untrusted::line(&function.language));
    format!("{name}  {} in {language}, OID {}, hash {}, {state}", function.kind, function.oid, function.hash)
}

/// `schema.name(arguments)`.
fn signature(view: &FunctionView) -> String {
    let function = &view.function;
    format!("{}.{}({})", function.schema, function.name, function.arguments)
}

/// The one function that is meant.
async fn find(client: &Client, database: &str, written: &str) -> Result<FunctionView, Failure> {
    let functions = client.functions(database).await.map_err(failure)?;
    let short = |view: &FunctionView| format!("{}.{}", view.function.schema, view.function.name);
    let mut found: Vec<_> =
        functions.into_iter().filter(|view| signature(view) == written || short(view) == written).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(Failure::failed(format_args!(
            "no function {} waits for approval in database {database}",
            Untrusted::line(written)
        ))
        .hint("`pgsluice functions list` shows what there is")),
        (Some(last), false) => {
            let all: Vec<_> = found.iter().chain([&last]).map(signature).collect();
            Err(Failure::usage(format_args!("{} is the name of several functions", Untrusted::line(written)))
                .hint(format!("name one of them: {}", Untrusted::line(&all.join("  ")))))
        }
    }
}

async fn approve(client: &Client, arguments: &ApproveArguments) -> CommandResult {
    let view = find(client, &arguments.database, &arguments.function).await?;
    let oid = view.function.oid;
    let Some(hash) = &arguments.hash else {
        let shown = client.function(&arguments.database, oid).await.map_err(failure)?;
        let mut output = Output::stdout();
        if arguments.json {
            output.json(&shown)?;
        } else {
            output.line(whole(&shown, &signature(&view)))?;
        }
        output.flush()?;
        output::note(format!(
            "not approved yet. To approve exactly this: pgsluice functions approve '{}' --database {} --hash {} --reason '...'",
            Untrusted::line(&signature(&view)),
            Untrusted::line(&arguments.database),
            shown.source.summary.hash
        ));
        return Ok(Exit::Pending);
    };
    let body = ApproveFunctionBody {
        database: arguments.database.clone(),
        oid,
        hash: hash.clone(),
        reason: arguments.reason.clone().unwrap_or_default(),
    };
    let approved = client.approve_function(&body).await.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&approved)?;
    } else {
        let name = signature(&view);
        output.line(format!(
            "{} is approved: statements that call it pass until its body changes",
            Untrusted::line(&name)
        ))?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

fn whole(shown: &ShownFunction, signature: &str) -> String {
    let source = &shown.source;
    let mut lines = vec![
        format!("function    {}", Untrusted::line(signature)),
        format!("owner       {}", Untrusted::line(&source.owner)),
        format!("language    {}", Untrusted::line(&source.summary.language)),
        format!(
            "rights      {}",
            if source.security_definer { "its owner's (SECURITY DEFINER)" } else { "its caller's" }
        ),
    ];
    lines.extend(source.settings.iter().map(|setting| format!("sets        {}", Untrusted::line(setting))));
    lines.extend(shown.warnings.iter().map(|warning| format!("warning     {}", Untrusted::line(warning))));
    lines.push(format!("source      {}", Untrusted::block(source.definition.trim_end(), 12)));
    lines.push(format!("hash        {}", source.summary.hash));
    lines.join("\n")
}

async fn revoke(client: &Client, arguments: &RevokeArguments) -> CommandResult {
    let view = find(client, &arguments.database, &arguments.function).await?;
    let body = RevokeFunctionBody {
        database: arguments.database.clone(),
        oid: view.function.oid,
        reason: arguments.reason.clone(),
    };
    let revoked = client.revoke_function(&body).await.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&revoked)?;
    } else {
        let name = signature(&view);
        output.line(format!("{} is not approved any more", Untrusted::line(&name)))?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Refused(body) if body.code == "not_an_approver" => Exit::Denied,
        _ => Exit::Failed,
    };
    let failure = Failure::with_exit(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
