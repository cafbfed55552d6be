//! A context outside any rig, for calling handlers by hand in tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Context, Identity};
use super::producers::Producers;
use super::publisher::Publications;
use crate::remote::estate::Home;
use crate::remote::{
    Estate, MAX_REMOTE_VALUES, OnUndelivered, Outgoing, Port, Scope, SignalPort, StreamError, StreamParts,
    Wait, Waited,
};
use crate::shm::ReadMode;
use crate::wire::{Generation, Hop, Progress, Refusal};

/// A context that belongs to no rig: whatever is sent from it is refused as after the rig's end.
pub fn detached_context(manager: &str) -> Context {
    let identity = Identity {
        rig: "detached".to_owned(),
        manager: manager.to_owned(),
        generation: Generation(1),
        run_dir: PathBuf::new(),
        state_dir: PathBuf::new(),
    };
    let nowhere = Arc::new(Nowhere(Arc::default()));
    let port = Arc::downgrade(&nowhere);
    nowhere.0.settle_at(Home {
        place: Hop::SCOPE,
        generation: Generation(1),
        limit: MAX_REMOTE_VALUES,
        port,
        wake: Box::new(|| {}),
    });
    let scope = Scope::new(nowhere);
    Context::new(identity, scope, Producers::default(), Arc::default()).publishing(Publications::Detached)
}

/// The way into no rig.
struct Nowhere(Arc<Estate>);

impl SignalPort for Nowhere {}

impl Port for Nowhere {
    fn submit(&self, _: Outgoing<'_>) -> Result<u64, Refusal> {
        Err(Refusal::Closed)
    }

    fn wait(&self, _: Wait<'_>) -> Waited {
        Waited::Over
    }

    fn attend(&self, _: u64) {}

    fn cancel(&self, _: u64) {}

    fn set_expiry(&self, _: u64, _: Option<Duration>) {}

    fn grant(&self, _: u64, _: u32) {}

    fn report_progress(&self, _: u64, _: Progress) {}

    fn on_undelivered(&self, _: OnUndelivered) {}

    fn abandon(&self, _: u64) {}

    fn quit(&self, _: &str) {}

    fn report_loss(&self, _: &str, _: &str) {}

    fn find_stream(&self, _: &str) -> Result<(), StreamError> {
        Err(StreamError::Closed)
    }

    fn open_stream(&self, _: &str, _: ReadMode) -> Result<StreamParts, StreamError> {
        Err(StreamError::Closed)
    }

    fn estate(&self) -> &Arc<Estate> {
        &self.0
    }

    fn default_deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn name_of(&self, _: Hop) -> String {
        String::new()
    }
}
