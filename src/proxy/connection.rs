//! From a login to a session, and from a session to its end in the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::admission::Underway;
use super::asking::{SeenWithin, Unseen};
use super::decider::Decider;
use super::ground::Ground;
use super::guard::{Block, Guard};
use super::login::LoggedIn;
use super::names::Namespace;
use super::pending::Unanswered;
use super::pipe::Pipe;
use super::relay::{self, Ended, Signals};
use super::session::{
    Asked, Batch, Cancelled, CopyState, EncodingTold, Failed, Followed, Meaning, Role, Session, SessionIdentity,
    Skipping, Stage, lexer_settings, reported_name,
};
use super::settings::{FollowedSearchPath, OwnSettings};
use super::statistics::Activity;
use super::temporary::TemporaryRelations;
use super::time_limits::TimeLimits;
use super::timing::Timing;
use super::verdicts::OwnVerdicts;
use super::{SessionView, Shared};
use crate::audit::{Encoded, Record, RecordKind, Scribe};
use crate::blast::resolve::UNKNOWN_ROLE;
use crate::blast::{Facts, NameContext, SearchPath};
use crate::sql::settings::ServerEncoding;
use crate::wire::backend::TransactionStatus;

/// Numbers the sessions of this process.
static SESSIONS: AtomicU64 = AtomicU64::new(1);

/// Runs the session of a client that has logged in, until it ends.
pub async fn serve(shared: Arc<Shared>, mut login: Box<LoggedIn>, stop: watch::Receiver<bool>) {
    // Facts are kept fresh while somebody is here; the first look is taken before the client may say anything.
    let fresh = shared.catalog.watch(&login.database).ok();
    let facts = match shared.catalog.refresh(&login.database).await {
        Ok(facts) => Some(facts),
        Err(error) => {
            tracing::warn!(database = %login.database, %error, "statements that name anything will wait for approval");
            None
        }
    };
    let who = identity_of(&shared, &login);
    let activity = Arc::new(Activity::default());
    let _listed = shared.sessions.enter(SessionView::of(&who, &login), Arc::clone(&activity));
    if shared.log.append(start_record(&who, &login)).await.is_err() {
        // The first statement is refused with the reason.
        tracing::error!(session = %who.id, "the audit log cannot be written");
    }
    let ground = Ground::new(&shared, fresh);
    let mut session = session_of(Arc::clone(&shared), who.clone(), activity, ground, &mut login, facts.as_deref());
    let signals = Signals { cancel: login.cancel.take(), stop };
    let ended = relay::run(&mut session, &mut login.client, &mut login.upstream, signals).await;
    finish(session, &who, ended).await;
}

pub(super) fn identity_of(shared: &Shared, login: &LoggedIn) -> SessionIdentity {
    let identity = Arc::new((shared.options.identity_of)(&login.user));
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    SessionIdentity {
        id: format!("s-{}-{number}", shared.options.run).into(),
        name: identity.name.as_str().into(),
        identity,
        role: login.user.clone(),
        database: login.database.as_str().into(),
        client_address: login.client.peer().to_string(),
        application_name: login.application_name().unwrap_or_default().to_owned(),
        tls: login.client.tls().map(|tls| tls.version),
    }
}

pub(super) fn start_record(who: &SessionIdentity, login: &LoggedIn) -> Record {
    let mut record = Record::new(RecordKind::SessionStart);
    record.session = Some(Arc::clone(&who.id));
    record.identity = Some(Arc::clone(&who.name));
    record.database = Some(Arc::clone(&who.database));
    record.detail = Some(serde_json::json!({
        "role": who.role,
        "kind": who.identity.kind.as_str(),
        "owner": who.identity.owner,
        "client": who.client_address,
        "application_name": who.application_name,
        "tls": login.client.tls().map(|tls| tls.version),
        "pid": login.pid(),
    }));
    record
}

fn session_of(
    shared: Arc<Shared>,
    who: SessionIdentity,
    activity: Arc<Activity>,
    ground: Ground,
    login: &mut LoggedIn,
    facts: Option<&Facts>,
) -> Session {
    let search_path = FollowedSearchPath::new(login_search_path(login, facts));
    let reported = |name: &str| login.parameters.get(name).map(String::as_str);
    let conforming_strings = reported("standard_conforming_strings") == Some("on");
    let server_encoding = ServerEncoding::from_server_encoding(reported("server_encoding").unwrap_or_default());
    let lexer = lexer_settings(reported("client_encoding").unwrap_or_default(), conforming_strings, server_encoding);
    let mut to_client = Pipe::with_bytes(&login.upstream_ahead);
    to_client.insert(&std::mem::take(&mut login.greeting));
    to_client.insert(&std::mem::take(&mut login.ready));
    let mut own = OwnSettings::default();
    for setting in login.settings.iter().filter(|setting| !setting.forwarded) {
        // What cannot be set so was refused at the door.
        let _ = own.set(&setting.name, &setting.value);
    }
    let sets_role = |name: &str| matches!(name, "role" | "session_authorization");
    let acts_as_another =
        facts.is_none_or(|facts| ["", login.user.as_str()].iter().any(|role| facts.act_as_others.contains(*role)));
    let role = if acts_as_another || login.settings.iter().any(|setting| sets_role(&setting.name)) {
        Role::Unknown
    } else {
        Role::Login
    };
    let reported = login.parameters.iter().filter_map(|(name, value)| Some((reported_name(name)?, value.clone())));
    let scribe = Scribe::new(&who.id, &who.name, &who.database);
    let mut session = Session {
        names: NameContext {
            search_path: search_path.current().clone(),
            role: if role == Role::Login { login.user.clone() } else { UNKNOWN_ROLE.to_owned() },
            ..NameContext::default()
        },
        own_at_login: own.clone(),
        own,
        role,
        approved: Followed::default(),
        reported: reported.collect(),
        time_limits: time_limits(login),
        activity,
        timing: Timing::new(),
        stage: Stage::Reading,
        to_server: Pipe::new(),
        to_client,
        ground,
        decider: Decider::default(),
        verdicts: OwnVerdicts::new(&shared.verdicts),
        analysed: None,
        statements: Namespace::new(),
        portals: Namespace::new(),
        unanswered: Unanswered::default(),
        skipping: Skipping::No,
        asked: Asked::No,
        segment_is_open: false,
        batch: Batch::Begun,
        approved_at_bind: None,
        backlog: std::collections::VecDeque::new(),
        scribe,
        spare: Vec::new(),
        copy: CopyState::None,
        transaction: TransactionStatus::Idle,
        changes_unsettled: false,
        meaning: Meaning::Followed,
        failed: Failed::No,
        segment: 0,
        uncertainty: 0,
        lexer,
        told: EncodingTold::Yes,
        conforming_strings,
        server_encoding,
        search_path,
        temporary: TemporaryRelations::default(),
        seen_within: SeenWithin::default(),
        unseen: if role == Role::Login { Unseen::No } else { Unseen::Due },
        asking: None,
        cancelled: Cancelled::Nothing,
        remembered: HashMap::default(),
        token: super::ours::token(),
        interposes: login.replication.is_none(),
        enforces: login.replication.is_none() && shared.options.enforce_reads.contains(&who.identity.kind),
        guard: Guard::Off,
        block: Block::AsReported,
        swallowed: TransactionStatus::Idle,
        session_epoch: 0,
        statement_count: 0,
        ahead: Vec::new(),
        behind: Vec::new(),
        say: Vec::new(),
        client_ended: false,
        server_ended: false,
        shared,
        who,
    };
    session.encoding_changed();
    session
}

/// The server's time limits at login, as far as the startup packet says anything of them.
fn time_limits(login: &LoggedIn) -> TimeLimits {
    let forwarded = login.settings.iter().filter(|setting| setting.forwarded);
    TimeLimits::new(forwarded.map(|setting| (setting.name.as_str(), setting.value.as_str())))
}

/// The search path at login: what the server reports, else what was asked for at startup, else the catalog's word.
fn login_search_path(login: &LoggedIn, facts: Option<&Facts>) -> SearchPath {
    let asked = login.settings.iter().rev().find(|setting| setting.name == "search_path" && setting.forwarded);
    let said = login.parameters.get("search_path").or_else(|| asked.map(|setting| &setting.value));
    match (said, facts) {
        (Some(value), _) => SearchPath::parse(value),
        (None, Some(facts)) => facts.login_search_path(&login.user).clone(),
        (None, None) => SearchPath::Unknown,
    }
}

pub(super) fn end_record(who: &SessionIdentity, ended: Ended) -> Record {
    let mut record = Record::new(RecordKind::SessionEnd);
    record.session = Some(Arc::clone(&who.id));
    record.identity = Some(Arc::clone(&who.name));
    record.database = Some(Arc::clone(&who.database));
    record.reason = Some(ended.as_str().into());
    record
}

/// Writes down what is still to be written.
async fn finish(mut session: Session, who: &SessionIdentity, ended: Ended) {
    if let Stage::Admitting { underway, .. } = std::mem::replace(&mut session.stage, Stage::Over) {
        settle(underway).await;
    }
    session.abandon();
    session.timing.end(&session.shared.statistics);
    let log = session.shared.log.clone();
    for record in session.backlog.drain(..).chain([Encoded::of(end_record(who, ended))]) {
        if log.append_encoded(record).await.is_err() {
            return;
        }
    }
}

/// Lets a hold that was told to end do so, with the state and the reason it was told.
async fn settle(underway: Underway) {
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), underway.future).await;
}
