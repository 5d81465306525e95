//! `pgsluice serve`: the proxy.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use clap::Args;
use tokio::sync::watch;

use super::config::{Config, Duration, ListenAddress};
use super::serve_rows::Rows;
use super::upstream::{SslMode, UpstreamText};
use super::{CommandResult, Exit, Failure, Globals, policy, side};
use crate::audit::{self, Log, Record, RecordKind};
use crate::catalog::Catalog;
use crate::control;
use crate::gate::functions::ApprovedFunctions;
use crate::gate::{self, Gate};
use crate::notify::{Counts, Notifier, Retry, SetupError, Tally};
use crate::policy::Engine;
use crate::proxy::stream::Detached;
use crate::proxy::tls::ServerTls;
use crate::proxy::upstream::Vouching;
use crate::proxy::{
    self, Entered, Entry, EntryLimits, Listener, ListenerLimits, PolicyRules, Shared, Stream, Upstream, Workers,
};

/// `pgsluice serve ...`
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// The Postgres server behind, as a libpq URL.
    #[arg(
        long,
        value_name = "URL",
        env = "PGSLUICE_UPSTREAM",
        hide_env_values = true,
        help = "The Postgres server behind: postgres://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?sslmode=...]. \
                Clients log in with their own credentials; a user given here is used for reading the catalog"
    )]
    pub upstream: Option<UpstreamText>,
    /// Where clients connect [default: 127.0.0.1:6432]
    #[arg(long, value_name = "ADDR", env = "PGSLUICE_LISTEN")]
    pub listen: Option<ListenAddress>,
    /// Where monitoring asks for /metrics, /healthz and /readyz, over plain HTTP [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "PGSLUICE_ADMIN_LISTEN")]
    pub admin_listen: Option<ListenAddress>,
    /// Cedar policies that replace the shipped ones
    #[arg(long, value_name = "DIR", env = "PGSLUICE_POLICIES")]
    pub policies: Option<PathBuf>,
    /// Certificate shown to clients, PEM [default: one made at first start, in the data directory]
    #[arg(long, value_name = "FILE", env = "PGSLUICE_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// TLS towards the upstream, as libpq [default: prefer]
    #[arg(long, value_name = "MODE", env = "PGSLUICE_SSLMODE")]
    pub sslmode: Option<SslMode>,
    /// Authorities that sign the upstream's certificate, PEM [default: the system's]
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLROOTCERT")]
    pub sslrootcert: Option<PathBuf>,
    /// Certificate shown to the upstream, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLCERT")]
    pub sslcert: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLKEY")]
    pub sslkey: Option<PathBuf>,
    /// How long a statement waits for a person [default: 15m]
    #[arg(long, value_name = "TIME", env = "PGSLUICE_HOLD_EXPIRY")]
    pub hold_expiry: Option<Duration>,
    /// The same inside a transaction, whose locks it keeps [default: 60s]
    #[arg(long, value_name = "TIME", env = "PGSLUICE_HOLD_EXPIRY_IN_TRANSACTION")]
    pub hold_expiry_in_transaction: Option<Duration>,
}

/// The longest message that is looked at and can be held, in bytes.
const STATEMENT_BYTES: usize = 16 << 20;
/// How long sessions may take to end when the proxy stops.
const DRAIN: Duration = Duration(std::time::Duration::from_secs(5));
/// How long messages about the last holds may take when the proxy stops.
const LAST_MESSAGES: std::time::Duration = std::time::Duration::from_secs(3);

/// How long the upstream may take to answer before it is said that we are not ready.
const READY_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
/// The database that is looked at where the upstream's URL names none.
const FIRST_DATABASE: &str = "postgres";

/// Runs the proxy until it is told to stop.
///
/// # Errors
///
/// The configuration is wrong, or something it needs cannot be had.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    run_on(None, arguments, globals)
}

/// The same on a socket that listens already, where there is one, instead of the configured address.
///
/// # Errors
///
/// As [`run`].
pub fn run_on(listening: Option<TcpListener>, arguments: &Arguments, globals: &Globals) -> CommandResult {
    let config = Config::build(arguments, globals)?;
    start_tracing(globals);
    raise_file_limit();
    // Sessions have threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(crate::proxy::workers::STACK_BYTES)
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?;
    runtime.block_on(serve(config, listening))
}

async fn serve(config: Config, listening: Option<TcpListener>) -> CommandResult {
    let mut signals = Signals::catch()?;
    let engine = policy::engine(config.policies.as_deref())?;
    config.webhooks.iter().try_for_each(|webhook| webhook.check().map_err(webhook_failure))?;
    make_data_directory(&config.data)?;
    let tls = server_tls(&config)?;
    let target = config.upstream.target(&config.upstream_tls);
    let upstream = Upstream::new(&target, Vouching::default())
        .map_err(|error| Failure::usage(format_args!("TLS towards the upstream cannot be set up: {error}")))?;
    let catalog = tokio::select! {
        looked = side::look(&config.upstream, upstream.tls()) => looked?.catalog,
        _ = signals.next() => return Ok(Exit::Done),
    };
    let bound = match listening {
        Some(socket) => Listener::listening(socket),
        None => Listener::bind(&address_of(&config.listen)).await,
    };
    let listener = bound.map_err(|error| {
        Failure::failed(format_args!("cannot listen on {}: {error}", config.listen))
            .hint("is another proxy running there? choose another with --listen HOST:PORT")
    })?;
    let log = Log::open(&config.data, audit::Options::default()).map_err(|error| log_failure(&error))?;
    let functions = ApprovedFunctions::open(&config.data, proxy::function_recorder(log.clone())).map_err(|error| {
        Failure::failed(error).hint("put the file right, or move it away: then nothing is approved")
    })?;
    let shared = Arc::new(shared_of(&config, engine, catalog, log.clone(), functions));
    let notifier = notifier_of(&config, &shared.gate)?;
    let state = control_state(&config, &shared, notifier.as_ref().map(Notifier::tally).unwrap_or_default());
    let remote = match &config.control {
        Some(options) => Some(remote_control(options, state.clone()).await?),
        None => None,
    };
    let control =
        control::Server::bind(&config.data, state).map_err(|error| Failure::failed(&error).hint(error.hint()))?;
    let admin = admin_of(&config, &shared).await?;
    let doors = Doors { listener, control: Control { local: control, remote }, admin };
    run_until_stopped(&config, &shared, doors, upstream, tls, signals).await?;
    if let Some(notifier) = notifier {
        notifier.stop(LAST_MESSAGES).await;
    }
    log.close().await.map_err(|error| Failure::failed(format_args!("closing the audit log: {error}")))?;
    Ok(Exit::Done)
}

fn log_failure(error: &audit::OpenError) -> Failure {
    let failure = Failure::failed(format_args!("the audit log cannot be opened: {error}"));
    match error {
        audit::OpenError::Locked { .. } => {
            failure.hint("stop the other one, or choose another directory with --data DIR")
        }
        audit::OpenError::Corrupt { .. } => failure.hint("run pgsluice audit verify; it names the first wrong index"),
        _ => failure.hint("look at the directory's owner, mode and free space, or choose another with --data DIR"),
    }
}

/// Where others come in.
struct Doors {
    listener: Listener,
    control: Control,
    admin: Option<control::Admin>,
}

async fn run_until_stopped(
    config: &Config,
    shared: &Arc<Shared>,
    doors: Doors,
    upstream: Upstream,
    tls: ServerTls,
    mut signals: Signals,
) -> Result<(), Failure> {
    let started = Record { detail: Some(started_detail(config)), ..Record::new(RecordKind::Start) };
    shared.log.append_durable(started).await.map_err(|error| Failure::failed(error.to_string()))?;
    let Doors { listener, control, admin } = doors;
    announce(config, &listener, &tls, control.remote.as_ref(), admin.as_ref());
    let limits =
        EntryLimits { login_timeout: config.limits.login_timeout.0, sessions: config.limits.sessions as usize };
    let rules = Arc::new(PolicyRules::new(Arc::clone(shared)));
    let database = config.upstream.database.as_deref().unwrap_or(FIRST_DATABASE);
    let entry = Entry::new(upstream, rules, limits).with_tls(tls).with_admin_login_database(database);
    let entry = Arc::new(entry);
    let workers = Workers::start().map_err(|error| Failure::failed(format_args!("cannot start threads: {error}")))?;
    let (stop, stopped) = watch::channel(false);
    let remote = control.remote.map(|remote| tokio::spawn(remote.serve()));
    let control = tokio::spawn(control.local.serve());
    let admin = admin.map(|admin| tokio::spawn(admin.serve()));
    let accept = accept_all(listener, workers, entry, Arc::clone(shared), stopped);
    let accepting = tokio::spawn(accept);
    let signal = signals.next().await;
    tracing::info!(signal, "stopping");
    // Sessions answer a stop by ending; a receiver always lives in this function's tasks.
    let _ = stop.send(true);
    let _ = accepting.await;
    shared.gate.close("the proxy stopped");
    control.abort();
    if let Some(remote) = remote {
        remote.abort();
    }
    if let Some(admin) = admin {
        admin.abort();
    }
    let stop = Record { reason: Some(signal.into()), ..Record::new(RecordKind::Stop) };
    shared.log.append_durable(stop).await.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(())
}

/// Where people decide.
struct Control {
    local: control::Server,
    remote: Option<control::RemoteServer>,
}

/// What has become of each webhook's messages.
fn webhook_counts(webhooks: &Tally) -> serde_json::Value {
    let counted = |(name, counts): (String, Counts)| serde_json::json!({ "name": name, "messages": counts });
    webhooks.counts().into_iter().map(counted).collect()
}

fn notifier_of(config: &Config, gate: &Gate) -> Result<Option<Notifier>, Failure> {
    if config.webhooks.is_empty() {
        return Ok(None);
    }
    Notifier::start(gate, &config.webhooks, Retry::default()).map(Some).map_err(webhook_failure)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn webhook_failure(error: SetupError) -> Failure {
    Failure::usage(&error).hint("see [[webhook]] in pgsluice.toml")
}

async fn remote_control(
    options: &control::RemoteServerOptions,
    state: control::State,
) -> Result<control::RemoteServer, Failure> {
    control::RemoteServer::bind(options, state).await.map_err(|error| match error {
        control::RemoteBindError::Listen { .. } => Failure::failed(&error).hint("choose another `listen` in [control]"),
        _ => Failure::usage(&error).hint("see [control] in pgsluice.toml"),
    })
}

async fn accept_all(
    listener: Listener,
    workers: Workers,
    entry: Arc<Entry>,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    let limits = ListenerLimits { drain: DRAIN.0, ..ListenerLimits::default() };
    let stop = stopped.clone();
    let handle = |stream: Stream| {
        let (entry, shared, stop) = (Arc::clone(&entry), Arc::clone(&shared), stop.clone());
        let stream = stream.detach();
        workers.run(async move {
            match stream.and_then(Detached::attach) {
                Ok(stream) => connection(entry, shared, stop, stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken up"),
            }
        })
    };
    listener.serve(limits, stopped, handle).await;
    // Their threads are waited for, which must not hold up this one.
    let _ = tokio::task::spawn_blocking(move || drop(workers)).await;
}

/// One client from its first byte to its last.
fn connection(
    entry: Arc<Entry>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    stream: Stream,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match entry.admit(stream).await {
            Ok(Entered::Session(login)) => proxy::serve(shared, login, stop).await,
            Ok(Entered::Admin(login)) => proxy::admin::serve(shared, login, stop).await,
            Ok(Entered::Nobody) => {}
            Err(error) => tracing::info!(peer = %error.peer, user = error.user, %error, "not logged in"),
        }
    })
}

/// The signals that stop the proxy. Caught from the start, so that none finds it half started.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn catch() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::failed(format_args!("signals cannot be caught: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

fn start_tracing(globals: &Globals) {
    let level = match globals.verbose {
        0 => "warn",
        1 => "info,pgsluice=info",
        _ => "info,pgsluice=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PGSLUICE_LOG").unwrap_or_else(|_| level.into());
    // A second start in one process (the demo) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(globals.color_on_stderr())
        .try_init();
}

/// Every session takes two file descriptors: as many as the system allows.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it is not allowed, the limit on sessions is reached sooner, and said.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn make_data_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Failure::failed(format_args!("cannot make the data directory {}: {error}", path.display()))
            .hint("choose another with --data DIR")
    })
}

fn server_tls(config: &Config) -> Result<ServerTls, Failure> {
    match &config.tls {
        Some(pair) => ServerTls::from_files(&pair.certificate, &pair.key).map_err(Failure::usage),
        None => {
            let names = ["localhost".to_owned(), config.listen.host().to_owned()];
            ServerTls::self_made(&config.data, &names).map_err(Failure::failed)
        }
    }
}

fn address_of(listen: &ListenAddress) -> proxy::ListenAddress {
    proxy::ListenAddress::Tcp { host: listen.host().to_owned(), port: listen.port() }
}

fn shared_of(config: &Config, engine: Engine, catalog: Catalog, log: Log, functions: ApprovedFunctions) -> Shared {
    let identities = config.identities.clone();
    let options = gate::Options {
        expiry: config.hold.expiry,
        expiry_in_transaction: config.hold.expiry_in_transaction,
        live_max: config.limits.holds as usize,
        approvers: config.approvers.clone(),
        shared_roles: config.shared_roles.clone(),
        ..gate::Options::default()
    };
    let recorder = proxy::recorder(log.clone());
    Shared {
        options: proxy::Options {
            notice_interval: config.hold.notice_interval,
            statement_bytes: STATEMENT_BYTES,
            enforce_reads: config.enforce_reads.clone(),
            identity_of: Arc::new(move |role| identities.of_role(role)),
            run: run_name(),
        },
        engine: ArcSwap::from_pointee(engine),
        catalog,
        gate: Gate::new(options, recorder),
        functions,
        log,
        sessions: proxy::Sessions::default(),
        analyses: proxy::Analyses::default(),
        verdicts: Arc::default(),
        statistics: proxy::Statistics::default(),
        examinable: proxy::Examinable::default(),
    }
}

/// Tells the sessions of this run from those of others.
fn run_name() -> String {
    jiff::Timestamp::now().strftime("%y%m%d%H%M%S").to_string()
}

fn started_detail(config: &Config) -> serde_json::Value {
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listen": config.listen.to_string(),
        "upstream": config.upstream.to_string(),
        "policies": config.policies.as_ref().map(|path| path.display().to_string()),
    })
}

fn announce(
    config: &Config,
    listener: &Listener,
    tls: &ServerTls,
    remote: Option<&control::RemoteServer>,
    admin: Option<&control::Admin>,
) {
    let address = listener.tcp_address().map_or_else(|| config.listen.to_string(), |address| address.to_string());
    eprintln!("pgsluice listens on {address} in front of {}", config.upstream);
    if let Some(address) = admin.and_then(|admin| admin.address().ok()) {
        eprintln!("  metrics          http://{address}/metrics");
    }
    eprintln!("  data directory   {}", config.data.display());
    eprintln!("  TLS certificate  SHA-256 {}", tls.fingerprint());
    match &config.policies {
        Some(directory) => eprintln!("  policies         {}", directory.display()),
        None => eprintln!("  policies         the shipped default: reads flow, destruction waits"),
    }
    if let Some(remote) = remote {
        eprintln!("  remote control   https://{}", remote.address());
    }
}

fn control_state(config: &Config, shared: &Arc<Shared>, webhooks: Tally) -> control::State {
    let (for_status, for_sessions, for_statistics) = (Arc::clone(shared), shared.sessions.clone(), Arc::clone(shared));
    let started = jiff::Timestamp::now();
    let listen = config.listen.to_string();
    control::State {
        inspector: Some(audit::Inspector::new(shared.log.clone(), config.data.clone())),
        rows: Some(Arc::new(Rows(Arc::clone(shared)))),
        gate: shared.gate.clone(),
        functions: Some(control::functions::Functions {
            approved: shared.functions.clone(),
            catalog: shared.catalog.clone(),
        }),
        status: Arc::new(move || {
            serde_json::json!({
                "version": env!("CARGO_PKG_VERSION"),
                "started_at": started.to_string(),
                "listen": listen,
                "sessions": for_status.sessions.count(),
                "holds": for_status.gate.list().len(),
                "audit_failed": for_status.log.failed(),
                "webhooks": webhook_counts(&webhooks),
            })
        }),
        sessions: Arc::new(move || {
            // A view has no map with keys that are not strings, so it is always JSON.
            for_sessions.list().iter().filter_map(|view| serde_json::to_value(view).ok()).collect()
        }),
        statistics: Arc::new(move || for_statistics.statistics.to_json(&for_statistics.beside())),
    }
}

/// Where monitoring asks, if anywhere.
async fn admin_of(config: &Config, shared: &Arc<Shared>) -> Result<Option<control::Admin>, Failure> {
    let Some(listen) = &config.admin_listen else { return Ok(None) };
    let (for_metrics, for_ready) = (Arc::clone(shared), Arc::clone(shared));
    let database = config.upstream.database.clone().unwrap_or_else(|| FIRST_DATABASE.to_owned());
    let monitored = control::Monitored {
        metrics: Arc::new(move || for_metrics.statistics.to_prometheus(&for_metrics.beside())),
        ready: Arc::new(move || {
            let (shared, database) = (Arc::clone(&for_ready), database.clone());
            Box::pin(async move { ready(&shared, &database).await })
        }),
    };
    let bound = control::Admin::bind(listen.host(), listen.port(), monitored).await;
    bound.map(Some).map_err(|error| {
        Failure::failed(format_args!("cannot listen on {listen} for monitoring: {error}"))
            .hint("choose another address with --admin-listen HOST:PORT")
    })
}

/// Whether clients can be served now: the log takes records, and the upstream answers.
async fn ready(shared: &Shared, database: &str) -> Result<(), String> {
    if let Some(reason) = shared.log.failed() {
        return Err(format!("the audit log cannot be written: {reason}"));
    }
    match tokio::time::timeout(READY_PATIENCE, shared.catalog.refresh(database)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the upstream does not answer within {} s", READY_PATIENCE.as_secs())),
    }
}
