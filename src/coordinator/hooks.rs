//! What a program wants to do itself when something fails, and before its rig quits.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use log::Level;

use super::core::Request;
use super::main_loop::MainLoop;
use super::summary::Death;
use crate::remote::{Scope, callbacks};

/// Something has failed that no call tells anybody of: a manager has died, or hangs.
#[derive(Debug, Clone)]
pub struct FailureReport {
    /// Which manager.
    pub manager: String,
    /// Which life of it.
    pub generation: u32,
    /// What has happened, and what is done about it.
    pub what: String,
    /// All that is known of its end, if it has ended.
    pub death: Option<Death>,
}

/// What runs before a quit.
pub(crate) type BeforeQuit = Box<dyn FnOnce(&Scope) + Send>;

/// What is told of failures.
pub(crate) type OnFailure = Arc<dyn Fn(&FailureReport) + Send + Sync>;

/// See the module's words.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) before_quit: Vec<BeforeQuit>,
    pub(crate) on_failure: Vec<OnFailure>,
}

/// A quit that waits for what the program does before it.
pub(super) struct Closing {
    reason: String,
    pub(super) until: Instant,
}

impl MainLoop {
    /// Lets the program do what it wants to do before the quit, while everything still works; says whether the
    /// quit waits for that.
    pub(super) fn waits_before_quit(&mut self, reason: &str) -> bool {
        if self.closing.is_some() {
            return true;
        }
        let hooks = std::mem::take(&mut self.hooks.before_quit);
        if hooks.is_empty() || self.launched.is_some() {
            return false;
        }
        let core = Arc::clone(&self.core);
        let port: Arc<super::core::Core> = Arc::clone(&self.core);
        let scope = Scope::new(port);
        let run = move || {
            hooks.into_iter().for_each(|hook| callbacks::guarded("before_quit", || hook(&scope)));
            core.ask(Request::ReadyToQuit);
        };
        if let Err(error) = thread::Builder::new().name("labrig-before-quit".to_owned()).spawn(run) {
            self.log.note(Level::Error, &format!("what was to be done before the quit is not: {error}"));
            return false;
        }
        self.log.note(Level::Info, &format!("the rig is about to quit: {reason}"));
        let until = Instant::now() + self.core.blueprint.quit_deadline;
        self.closing = Some(Closing { reason: reason.to_owned(), until });
        true
    }

    /// The quit waits no longer: all is done, its time has passed, or somebody insists.
    pub(super) fn end_waiting_before_quit(&mut self) {
        if let Some(Closing { reason, .. }) = self.closing.take() {
            self.begin_quit_now(&reason);
        }
    }

    pub(super) fn press_closing(&mut self, now: Instant) {
        if self.closing.as_ref().is_some_and(|closing| closing.until <= now) {
            self.log
                .note(Level::Warn, "what was to be done before the quit takes too long: it waits no more");
            self.end_waiting_before_quit();
        }
    }

    /// Tells the program of a death.
    pub(super) fn tell_of_death(&self, death: Death) {
        let (manager, generation, what) = (death.manager.clone(), death.generation, death.to_string());
        self.tell_of_failure(FailureReport { manager, generation, what, death: Some(death) });
    }

    pub(super) fn tell_of_failure(&self, report: FailureReport) {
        for told in &self.hooks.on_failure {
            let (told, report) = (Arc::clone(told), report.clone());
            callbacks::run_later(Box::new(move || told(&report)));
        }
    }
}
