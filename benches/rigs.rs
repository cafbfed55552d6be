//! The rigs that are measured, and their orderly end.

use std::fmt::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use labrig::{Rig, Scope, Topology};
use rustix::process::Pid;

use crate::managers::{Desk, FramesSeen};
use crate::placement::Placement;

/// Longer than anything here takes: who waits that long waits for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A rig that runs to be measured. Dropping it ends it, and demands that it ends without a fault or a loss.
pub(crate) struct BenchRig {
    pub(crate) scope: Scope,
    pub(crate) seen: Receiver<FramesSeen>,
    rig: Option<Rig>,
}

impl BenchRig {
    /// Starts a rig and returns when every manager is ready.
    pub(crate) fn launch(topology: Topology) -> Self {
        let (seen, receiver) = channel();
        let builder = Rig::builder(topology).scope(|_| Ok(Desk { seen }));
        let rig = builder.launch().unwrap_or_else(|error| panic!("the rig does not start: {error}"));
        Self { scope: rig.scope(), seen: receiver, rig: Some(rig) }
    }

    /// A rig of `count` echoes called `echo0`, `echo1` …; the far side of a placement.
    pub(crate) fn of_echoes(count: usize, depth: u32, placement: Placement) -> Self {
        Self::launch(echoes(count, depth, placement))
    }
}

impl BenchRig {
    /// The number of a manager's process, to be stopped or killed.
    pub(crate) fn pid_of(&self, manager: &str) -> Pid {
        pid_in(self.rig.as_ref().expect("it is there until it is dropped"), manager)
    }

    /// Where the rig's files are, as long as it runs.
    pub(crate) fn run_dir(&self) -> &Path {
        self.rig.as_ref().expect("it is there until it is dropped").run_dir()
    }

    /// Ends the rig, and demands that one manager was killed and nothing else went wrong.
    pub(crate) fn end_without(mut self, manager: &str) {
        let Some(rig) = self.rig.take() else { return };
        let summary = rig.shutdown();
        let failed: Vec<_> = summary.failed().collect();
        let is_expected = matches!(failed[..], [(name, why)] if name == manager && why.contains("SIGKILL"));
        assert!(is_expected && !summary.has_losses(), "the rig did not end as expected: {summary:#?}");
    }
}

impl Drop for BenchRig {
    fn drop(&mut self) {
        let Some(rig) = self.rig.take() else { return };
        let summary = rig.shutdown();
        if !std::thread::panicking() {
            assert!(summary.is_clean && !summary.has_losses(), "the rig did not end well: {summary:#?}");
        }
    }
}

/// Starts a rig that need not end well, and in which nothing is seen.
pub(crate) fn launch_mortal(toml: &str) -> Rig {
    let builder = Rig::builder(Topology::from_toml(toml)).scope(|_| Ok(Desk { seen: channel().0 }));
    builder.launch().unwrap_or_else(|error| panic!("the rig does not start: {error}"))
}

/// The number of a manager's process in any rig.
pub(crate) fn pid_in(rig: &Rig, manager: &str) -> Pid {
    let status = rig.status().expect("the rig runs");
    let found = status.managers.iter().find(|one| one.name == manager);
    let pid = found.and_then(|one| Pid::from_raw(i32::try_from(one.pid).ok()?));
    pid.expect("the rig has started that manager")
}

/// The config of a rig of echoes.
pub(crate) fn echoes(count: usize, depth: u32, placement: Placement) -> Topology {
    echoes_in(head("echoes"), count, depth, placement)
}

/// The config of a rig of one echo that writes down the end of every call.
pub(crate) fn traced_echo(placement: Placement) -> Topology {
    echoes_in(format!("{}trace = true\n", head("traced")), 1, 1024, placement)
}

/// The config of a rig of one `dozer`.
pub(crate) fn dozer(depth: u32, placement: Placement) -> Topology {
    Topology::from_toml(format!(
        "{}[managers.dozer]\nkind = \"dozer\"\nqueue = {{ depth = {depth} }}\nwatchdog_ms = 0\n\
         restart_policy = \"never\"\n[managers.dozer.config]\n{}",
        head("dozer"),
        cpu(placement.far())
    ))
}

fn echoes_in(mut toml: String, count: usize, depth: u32, placement: Placement) -> Topology {
    for index in 0..count {
        let table = format!("managers.echo{index}");
        write!(toml, "[{table}]\nkind = \"echo\"\nqueue = {{ depth = {depth} }}\n")
            .expect("a text can be written to");
        write!(toml, "[{table}.config]\n{}", cpu(placement.far())).expect("a text can be written to");
    }
    Topology::from_toml(toml)
}

/// The config of a rig whose source fills frames that its sink looks at, with `slots` in the ring.
pub(crate) fn frames(width: u32, height: u32, slots: u32, placement: Placement) -> Topology {
    let (near, far) = (cpu(placement.near()), cpu(placement.far()));
    let bytes = width * height;
    Topology::from_toml(format!(
        "{}[managers.source]\nkind = \"source\"\n\
         [managers.source.config]\nwidth = {width}\nheight = {height}\n{near}\
         [managers.sink]\nkind = \"sink\"\n[managers.sink.config]\n{far}\
         [streams.video]\nproducer = \"source\"\nslots = {slots}\nmax_frame_bytes = {bytes}\n\
         readers = {{ sink = \"lossless\" }}\n",
        head("frames")
    ))
}

fn head(name: &str) -> String {
    format!("schema = 1\n[rig]\nname = \"{name}\"\n")
}

fn cpu(cpu: Option<u32>) -> String {
    cpu.map(|cpu| format!("cpu = {cpu}\n")).unwrap_or_default()
}
