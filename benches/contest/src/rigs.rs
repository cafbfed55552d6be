//! The rigs of the contest, as the configs that a user would write.

use std::fmt::Write;

use harness::contestant::FRAMES_IN_FLIGHT;
use harness::{Placement, Setup, Work};
use labrig::Topology;

/// The rig for a work.
pub(crate) fn topology(setup: &Setup) -> Topology {
    let mut toml = "schema = 1\n[rig]\nname = \"contest\"\n".to_owned();
    // How it does by pipes alone, which block.
    if std::env::var_os("PEERS_LANES").is_some_and(|lanes| lanes == "off") {
        toml.push_str("fast_lane = false\n");
    }
    match setup.work {
        Work::W1M => {
            manager(&mut toml, "asker", "asker", setup.placement);
            manager(&mut toml, "echo0", "echo", setup.placement);
        }
        Work::W4 => frames(&mut toml, setup),
        _ => (0..setup.children)
            .for_each(|index| manager(&mut toml, &format!("echo{index}"), "echo", setup.placement)),
    }
    Topology::from_toml(toml)
}

/// A manager at the far side of the placement.
fn manager(toml: &mut String, name: &str, kind: &str, placement: Placement) {
    write!(toml, "[managers.{name}]\nkind = \"{kind}\"\n").expect("a text can be written to");
    processor(toml, placement.far());
}

/// Where the manager runs of whom was written last.
fn processor(toml: &mut String, cpu: Option<u32>) {
    let line = cpu.map(|cpu| format!("cpus = [{cpu}]\n"));
    toml.push_str(&line.unwrap_or_default());
}

/// A source at the near side, which fills frames as a coordinator would elsewhere, and a sink at the far one.
fn frames(toml: &mut String, setup: &Setup) {
    let bytes = setup.frame_bytes;
    let (width, height) = (4096, bytes / 4096);
    toml.push_str("[managers.source]\nkind = \"source\"\n");
    processor(toml, setup.placement.near());
    write!(toml, "[managers.source.config]\nwidth = {width}\nheight = {height}\n")
        .expect("a text can be written to");
    manager(toml, "sink", "sink", setup.placement);
    let stream = format!(
        "[streams.video]\nproducer = \"source\"\nslots = {FRAMES_IN_FLIGHT}\nmax_frame_bytes = {bytes}\n\
         readers = {{ sink = \"lossless\" }}\n"
    );
    toml.push_str(&stream);
}
