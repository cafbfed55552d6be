//! Scripts that are to be held against this rig: each by a thread of its own, as a long one takes its time.

use std::sync::Arc;
use std::thread;

use super::main_loop::MainLoop;
use super::ordering::{Asker, answer};
use crate::config::Report;
use crate::procedure::{ScriptSource, check_script};
use crate::registry::RouteTable;
use crate::remote::{CheckScript, ScriptChecked};

impl MainLoop {
    /// Checks a script and says what came of it.
    pub(super) fn check_script(&self, asker: Asker, asked: CheckScript) {
        let core = Arc::clone(&self.core);
        let Some(routes) = core.routes.get().map(Arc::clone) else {
            return self.fail_order(asker, "the rig is not drawn yet".to_owned());
        };
        let checked = move || answer(&core, asker, &check(asked, &routes));
        if let Err(error) = thread::Builder::new().name("labrig-script".to_owned()).spawn(checked) {
            self.fail_order(asker, format!("the script cannot be checked: {error}"));
        }
    }
}

fn check(asked: CheckScript, routes: &RouteTable) -> ScriptChecked {
    let CheckScript { name, text, folder } = asked;
    let score = check_script(&ScriptSource { name, text, folder: folder.into() }, routes);
    let score = score.map(|score| serde_json::to_string(&score).expect("a score holds only plain values"));
    let (score, report) = match score {
        Ok(score) => (score, Report::default()),
        Err(report) => (String::new(), report),
    };
    let faults = report.faults().iter().map(ToString::to_string).collect();
    ScriptChecked { score, faults, report: report.to_json().to_string() }
}
