//! From the text of a message to what becomes of it: analysis, names, policy, in that order, and remembered.
//!
//! There are four memories, each asked only where the one before does not know:
//!
//! 1. the decisions of this session on the last few texts with literals, by all but these: [`Template`];
//! 2. the decisions of this session by the exact bytes of a text, for texts without literals (what drivers prepare, `BEGIN`)
//!    and those where a literal's value mattered;
//! 3. the decisions of this session by [fingerprint](crate::sql::fingerprint): all but the literals;
//! 4. the analyses of all sessions by fingerprint ([`Analyses`]): what the text says, not yet what it means here.
//!
//! Behind them the policy is asked, whose [verdicts](super::verdicts) on the same effects are remembered too.
//!
//! Decisions belong to one [`Epoch`]: with another policy, other facts about the database, another search path or role
//! or lexer setting, everything is decided again. Those that rest on names of the session are not remembered at all. A
//! statement that has to be held is always analysed itself: what the approver is shown is cut from its own text.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::analyses::{self, Origin};
use super::decide::{Decision, Epoch, Surroundings, judge, judge_text, judge_unknown, prepares};
use crate::policy::Outcome;
use crate::sql::{Fingerprinter, LexerSettings, Limits, Template};

/// How many decisions a session remembers in each of its memories.
const MOST_REMEMBERED: usize = 256;
/// How many templates a session keeps: each is compared with every text, until one fits.
const MOST_TEMPLATES: usize = 16;
/// Longer texts are no templates.
const LONGEST_TEMPLATE_BYTES: usize = 1024;
/// Texts longer than this are not remembered by their bytes.
const LONGEST_EXACT_BYTES: usize = 4 * 1024;
/// Fingerprints longer than this are not remembered.
const LONGEST_FINGERPRINT_BYTES: usize = 16 * 1024;
/// Texts longer than this get no fingerprint.
const LONGEST_FINGERPRINTED_BYTES: usize = 64 * 1024;

/// What was decided on a text.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    /// The decision.
    pub(super) decision: Arc<Decision>,
    /// The text, where it is kept anyway.
    pub(super) text: Option<Arc<[u8]>>,
}

/// Decides, and remembers what it decided in this session.
#[derive(Debug, Default)]
pub(super) struct Decider {
    templates: Templates,
    exact: HashMap<Arc<[u8]>, Arc<Decision>, RandomState>,
    by_fingerprint: HashMap<Box<[u8]>, Arc<Decision>, RandomState>,
    fingerprinter: Fingerprinter,
    epoch: Epoch,
}

/// Decisions on the last few texts with literals, by template. What is in it is remembered by fingerprint as well.
#[derive(Debug, Default)]
struct Templates {
    kept: Vec<(Template, Arc<Decision>)>,
    /// Which one is replaced next.
    oldest: usize,
    /// The one behind that which fitted last: what comes over and over comes in the same order.
    next: usize,
}

impl Templates {
    fn find(&mut self, text: &[u8], settings: &LexerSettings) -> Option<&Arc<Decision>> {
        let next = self.next.min(self.kept.len());
        let found = (next..self.kept.len()).chain(0..next).find(|at| self.kept[*at].0.fits(text, settings))?;
        self.next = found + 1;
        Some(&self.kept[found].1)
    }

    /// Keeps the decision on a text that no template fits; nothing where it can have none.
    fn keep(&mut self, text: &[u8], settings: &LexerSettings, decision: &Arc<Decision>) {
        if text.len() > LONGEST_TEMPLATE_BYTES {
            return;
        }
        let Some(template) = Template::of(text, settings, &Limits::INLINE) else { return };
        let entry = (template, Arc::clone(decision));
        if self.kept.len() < MOST_TEMPLATES {
            self.kept.push(entry);
            return;
        }
        self.kept[self.oldest] = entry;
        self.oldest = (self.oldest + 1) % MOST_TEMPLATES;
    }

    fn clear(&mut self) {
        self.kept.clear();
        (self.oldest, self.next) = (0, 0);
    }
}

impl Decider {
    /// Decides on the text of one message.
    pub(super) fn decide(&mut self, text: &[u8], around: &Surroundings<'_>) -> Decided {
        if self.epoch != around.epoch {
            self.templates.clear();
            self.exact.clear();
            self.by_fingerprint.clear();
            self.epoch = around.epoch;
        }
        let settings = match around.lexer {
            Ok(settings) => settings,
            Err(reason) => return Decided { decision: Arc::new(judge_unknown(reason, around)), text: None },
        };
        if let Some(decision) = self.templates.find(text, settings) {
            return Decided { decision: Arc::clone(decision), text: None };
        }
        if let Some((text, decision)) = self.exact.get_key_value(text) {
            return Decided { decision: Arc::clone(decision), text: Some(Arc::clone(text)) };
        }
        // A second parser is asked about each text: one that our lexer cuts like another may be another to it.
        if cfg!(feature = "pg-query") || text.len() > LONGEST_FINGERPRINTED_BYTES {
            return Decided { decision: Arc::new(judge_text(text, settings, around)), text: None };
        }
        let Some(fingerprint) = self.fingerprinter.read(text, settings, &Limits::INLINE) else {
            return Decided { decision: Arc::new(judge_text(text, settings, around)), text: None };
        };
        if let Some(decision) = self.by_fingerprint.get(fingerprint.bytes) {
            self.templates.keep(text, settings, decision);
            return Decided { decision: Arc::clone(decision), text: None };
        }
        let (statements, origin) = around.analyses.of(text, fingerprint.bytes, settings);
        // What is prepared keeps its own text.
        if statements.iter().any(prepares) {
            let decision = match origin {
                Origin::ThisText => judge(&statements, around).with_text(text),
                Origin::AnotherText => judge_text(text, settings, around),
            };
            return Decided { decision: Arc::new(decision), text: None };
        }
        let mut decision = judge(&statements, around);
        if matches!(decision.verdict.outcome, Outcome::Hold { .. }) {
            // Who is asked to approve sees this text's values.
            if origin == Origin::AnotherText {
                decision = judge_text(text, settings, around);
            }
            return Decided { decision: Arc::new(decision), text: None };
        }
        let decision = Arc::new(decision);
        if decision.rests_on_names() {
            return Decided { decision, text: None };
        }
        let by_text_alone = statements.iter().all(analyses::is_by_fingerprint);
        if by_text_alone && fingerprint.bytes.len() <= LONGEST_FINGERPRINT_BYTES {
            remember(&mut self.by_fingerprint, fingerprint.bytes.into(), &decision);
            self.templates.keep(text, settings, &decision);
        }
        let repeats = !by_text_alone || !fingerprint.has_literals;
        let text = (repeats && text.len() <= LONGEST_EXACT_BYTES).then(|| Arc::<[u8]>::from(text));
        if let Some(text) = &text {
            remember(&mut self.exact, Arc::clone(text), &decision);
        }
        Decided { decision, text }
    }
}

fn remember<K: Eq + std::hash::Hash>(
    memory: &mut HashMap<K, Arc<Decision>, RandomState>,
    key: K,
    decision: &Arc<Decision>,
) {
    if memory.len() >= MOST_REMEMBERED {
        memory.clear();
    }
    memory.insert(key, Arc::clone(decision));
}
