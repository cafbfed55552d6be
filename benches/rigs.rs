//! The rigs that are measured, and their orderly end.

use std::fmt::Write;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use labrig::{Rig, Scope, Topology};

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

impl Drop for BenchRig {
    fn drop(&mut self) {
        let Some(rig) = self.rig.take() else { return };
        let summary = rig.shutdown();
        if !std::thread::panicking() {
            assert!(summary.is_clean && !summary.has_losses(), "the rig did not end well: {summary:#?}");
        }
    }
}

/// The config of a rig of echoes.
pub(crate) fn echoes(count: usize, depth: u32, placement: Placement) -> Topology {
    let mut toml = head("echoes");
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
