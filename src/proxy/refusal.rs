//! Refusals: what the client is told, and how the server is made to say it.
//!
//! A refused message is not answered by us. It is replaced by one that the server itself must reject, and the
//! server's error is replaced by ours when it comes back. So the answers that are under way keep their order, what is
//! pipelined behind is skipped up to the next Sync by the server's own rule, and the state of the transaction is the
//! server's own.

use super::admission::in_words;
use crate::gate::Hold;
use crate::wire::{Report, encode};

/// What a client is told instead of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// SQLSTATE.
    pub(super) sqlstate: &'static str,
    /// Starts with `pgsluice:`.
    pub(super) message: String,
    /// Which rule and why.
    pub(super) detail: Option<String>,
    /// What to do instead.
    pub(super) hint: Option<String>,
    /// The log's word for it: `hold` where a person is still to decide.
    pub(super) verdict: &'static str,
    /// The hold that it is about.
    pub(super) hold: Option<String>,
}

impl Refusal {
    fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        let verdict = if sqlstate == "42501" { "deny" } else { "failed" };
        Self { sqlstate, message: message.into(), detail: None, hint: None, verdict, hold: None }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The policy does not allow it, whoever approves.
    pub(super) fn by_policy(command: &str, policy: &str, reasons: &[String]) -> Self {
        let why = if reasons.is_empty() { "no policy permits it".to_owned() } else { reasons.join("; ") };
        Self::new("42501", format!("pgsluice: {command} is not allowed here"))
            .detail(format!("{why} (rule {policy})"))
            .hint("This cannot be approved. Use another way, or ask whoever owns the policy to change it.")
    }

    /// A person said no.
    pub(super) fn denied(id: &str, by: &str, reason: &str) -> Self {
        Self::new("42501", format!("pgsluice: {id} was denied by {by}"))
            .detail(format!("Reason: {reason}"))
            .hint("Nothing was run. Talk to the approver, or propose something that does less.")
    }

    /// Nobody has decided, and the client does not wait: `SET pgsluice.wait = 'ticket'`.
    pub(super) fn ticket(hold: &Hold) -> Self {
        let (id, request) = (hold.id.to_string(), &hold.request);
        let refusal = Self::new("42501", format!("pgsluice: held as {id} until a person approves it"))
            .detail(format!("{} (rule {})", request.reasons.join("; "), request.verdict_policy))
            .hint(format!(
                "Nothing was run. pgsluice holds approve {id} --reason '...'   Once it is approved, run the same \
                 statement again with the same values, within {}: it passes once.",
                time_left(hold)
            ));
        Self { verdict: "hold", hold: Some(id), ..refusal }
    }

    /// A person said no to a ticket.
    pub(super) fn ticket_denied(hold: &Hold) -> Self {
        let id = hold.id.to_string();
        let ended = hold.ended.as_ref();
        let by = ended.and_then(|ended| ended.by.as_deref()).unwrap_or("nobody known");
        let reason = ended.and_then(|ended| ended.reason.as_deref()).unwrap_or("no reason given");
        let refusal = Self::denied(&id, by, reason).hint(format!(
            "Nothing was run. The same statement is refused for another {} without asking anybody again: talk to the \
             approver, or propose something that does less.",
            time_left(hold)
        ));
        Self { hold: Some(id), ..refusal }
    }

    /// What must be held, cannot be held as a ticket.
    pub(super) fn no_ticket(why: &str, reasons: &[String], policy: &str) -> Self {
        Self::new("42501", format!("pgsluice: it has to be approved, and cannot be as a ticket: {why}"))
            .detail(format!("{} (rule {policy})", reasons.join("; ")))
            .hint("Send it as one SQL statement of a new session, or wait for the approval: SET pgsluice.wait = 'inline'.")
    }

    /// Nobody decided in time.
    pub(super) fn expired(id: &str) -> Self {
        Self::new("57014", format!("pgsluice: {id} expired: nobody approved it in time"))
            .detail("Nothing was run.")
            .hint("Run it again when an approver is there.")
    }

    /// Somebody withdrew it from outside.
    pub(super) fn withdrawn(id: &str, by: &str) -> Self {
        Self::new("57014", format!("pgsluice: {id} was withdrawn by {by}")).detail("Nothing was run.")
    }

    /// The client cancelled it.
    pub(super) fn cancelled() -> Self {
        Self::new("57014", "pgsluice: canceling statement due to user request")
            .detail("Its hold is withdrawn; nothing was run.")
    }

    /// The client cancelled it before anything was decided.
    pub(super) fn cancelled_at_once() -> Self {
        Self::new("57014", "pgsluice: canceling statement due to user request").detail("Nothing was run.")
    }

    /// The session is ending.
    pub(super) fn session_over() -> Self {
        Self::new("57P01", "pgsluice: the session is ending").detail("Nothing was run.")
    }

    /// The log cannot take the record.
    pub(super) fn log_failed(error: &str) -> Self {
        Self::new("58030", "pgsluice: the audit log cannot be written, so nothing that it must hold may run")
            .detail(error)
            .hint("Look at the disk of the proxy's data directory. Reads are refused too while it lasts.")
    }

    /// Too many statements wait.
    pub(super) fn gate_full(error: &str) -> Self {
        Self::new("53400", format!("pgsluice: {error}")).hint("Decide or withdraw some: pgsluice holds list")
    }

    /// It was approved, and grew, again and again.
    pub(super) fn keeps_growing() -> Self {
        Self::new("42501", "pgsluice: each time it was approved it would have touched more rows than approved")
            .hint("Bound the statement more tightly, or approve it with --max-rows.")
    }

    /// It is longer than what can be shown to a person.
    pub(super) fn too_long(bytes: usize, limit: usize) -> Self {
        Self::new("54000", format!("pgsluice: a statement of {bytes} bytes is too long to be held for approval"))
            .detail(format!("The limit is {limit} bytes (limits.statement_bytes)."))
            .hint("Send the data with COPY ... FROM STDIN, or in smaller parts.")
    }

    /// `SET pgsluice.x` where x is none of ours, or its value is none.
    pub(super) fn own_setting(name: &str) -> Self {
        Self::new("42501", format!("pgsluice: {name} cannot be set so"))
            .hint("Known are SET pgsluice.reason = '...' and SET pgsluice.wait = 'inline' | 'ticket', each as a statement of its own.")
    }

    /// The ErrorResponse frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut report = Report::error(self.sqlstate, self.message.as_str());
        report.detail.clone_from(&self.detail);
        report.hint.clone_from(&self.hint);
        report.to_bytes()
    }
}

fn time_left(hold: &Hold) -> String {
    let left = hold.expires_at.duration_since(jiff::Timestamp::now());
    in_words(std::time::Duration::from_secs(u64::try_from(left.as_secs()).unwrap_or(0)))
}

/// A refusal on its way through the server.
#[derive(Debug)]
pub(super) struct Planted {
    token: String,
    refusal: Refusal,
}

impl Planted {
    /// Something that no statement of anybody contains.
    pub(super) fn new(refusal: Refusal) -> Self {
        let mut random = [0_u8; 16];
        // Without randomness the name is still rejected by the server; the rewriting is for the reader only.
        let _ = getrandom::fill(&mut random);
        let token = format!("pgsluice_refused_{:032x}", u128::from_be_bytes(random));
        Self { token, refusal }
    }

    /// A simple query that the server must reject as a syntax error.
    pub(super) fn query(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::query(&mut bytes, &self.token);
        bytes
    }

    /// A Parse that the server must reject as a syntax error. It has a name, since parsing an unnamed statement drops
    /// the one before even when it fails.
    pub(super) fn parse(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::parse(&mut bytes, self.token.as_bytes(), self.token.as_bytes());
        bytes
    }

    /// Whether an error of the server is the answer to it.
    pub(super) fn is_answered_by(&self, message: &[u8]) -> bool {
        message.windows(self.token.len()).any(|window| window == self.token.as_bytes())
    }

    /// What the client is told.
    pub(super) const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}
