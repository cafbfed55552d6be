//! Running a manager's self-check by its name: only what its kind has marked with `#[self_check]` can be called so.
//!
//! The command is answered by the manager's own process, in its worker, as a handler's would be. It counts as
//! hazardous: a check may move what it checks.

use serde::{Deserialize, Serialize};

use super::pending_reply::PendingReply;
use super::scope::Scope;
use crate::macros::{Command, Schema};
use crate::wire::Refusal;

/// A self-check of the addressed manager is to be run; answered when it has passed.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(name = "SelfCheck", hazardous, deadline_ms = 60_000)]
pub struct SelfCheck {
    /// The name of its method.
    pub name: String,
}

impl Scope {
    /// Runs a self-check inside a manager, by the name of the method that is marked with
    /// [`self_check`](macro@crate::self_check). Returns at once; the reply comes when the check has passed.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(scope: &labrig::prelude::Scope) -> Result<(), labrig::prelude::CallError> {
    /// scope.self_check("camera", "shutter_closes")?.wait(Duration::from_secs(10))
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal`], among others when the manager has no self-checks. A check that does not pass, and a name that
    /// none has, are told as the call's failure; the latter lists those there are.
    pub fn self_check(&self, manager: &str, name: &str) -> Result<PendingReply<()>, Refusal> {
        self.to(manager).request(SelfCheck { name: name.to_owned() })
    }
}
